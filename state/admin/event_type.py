"""One type of event: what it is, and what flows of it now."""

from contextlib import aclosing
from typing import Any, TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import NotFound, Unavailable
from backend.reads.views import EventTypeView, FlowView
from state.admin.event_types import senders
from state.admin.topics import rate_of
from state.live import RETRY_S
from state.notices import NO_PROBLEM, Problem, problem_of
from state.session import caller_of, looks, part_of_path


class FieldLine(TypedDict):
    """A field as a line of the table; ``needed`` says whether it must be there, or what stands for it."""

    name: str
    type: str
    needed: str


class Waiting(TypedDict):
    """A consumer, and how many messages of the topic wait for it."""

    name: str
    lag: str
    behind: bool


class EventTypeState(rx.State):
    """The type of the address; ``phase`` is ``loading``, ``ready`` or ``missing``.

    ``rate`` and ``waiting`` are as of now; while the bus is away ``problem`` says so.
    """

    phase: str = "loading"
    name: str = ""
    view: rx.Field[dict[str, Any]] = rx.field(default_factory=dict)
    fields: rx.Field[list[FieldLine]] = rx.field(default_factory=list)
    rate: str = ""
    waiting: rx.Field[list[Waiting]] = rx.field(default_factory=list)
    problem: Problem = NO_PROBLEM

    @rx.event
    async def load(self):
        """Load the type that the address names."""
        caller = await caller_of(self)
        self.reset()
        self.name = part_of_path(self, 2)
        try:
            self._show(current().catalogue.one(caller, self.name))
        except NotFound:
            self.phase = "missing"

    @rx.event(background=True)
    async def watch(self):
        """Show how many come and how many wait. Ends when the tab leaves the page."""
        async with aclosing(looks(self, Permission.BUS_READ, RETRY_S)) as callers:
            async for caller in callers:
                async with self:
                    name = part_of_path(self, 2)
                try:
                    async with aclosing(current().catalogue.flow(caller, name)) as flow:
                        async for view in flow:
                            async with self:
                                await caller_of(self)
                                self._flows(view)
                except NotFound:
                    return
                except Unavailable as error:
                    async with self:
                        self.problem = problem_of(error)

    def _show(self, view: EventTypeView) -> None:
        self.view = {
            "summary": view.summary,
            "about": view.about,
            "title": view.title,
            "topic": view.topic,
            "key": view.key,
            "sent_by": senders(view),
            "handled_by": ", ".join(view.handled_by) or "nobody",
            "public": view.public,
            "example": view.example,
            "protobuf": view.protobuf,
        }
        self.fields = [
            FieldLine(
                name=field.name, type=field.type, needed="required" if field.required else f"default {field.default}"
            )
            for field in view.fields
        ]
        self.phase = "ready"

    def _flows(self, view: FlowView) -> None:
        self.rate, self.problem = rate_of(view.per_s), NO_PROBLEM
        self.waiting = [
            Waiting(name=consumer.name, lag=f"{consumer.lag:,}", behind=consumer.lag > 0) for consumer in view.waiting
        ]

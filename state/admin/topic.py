"""The events in one topic: those of the tenant, as the address filters them, and as they come."""

import time
from contextlib import aclosing
from typing import Any

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import NotFound, Unavailable
from backend.reads.views import EventsView, EventView
from state.admin.topics import PATH
from state.live import RETRY_S
from state.notices import NO_PROBLEM, Problem, problem_of
from state.session import caller_of, looks, part_of_path, to_address

MOST = 200
SPANS = {"5m": ("The last 5 minutes", 300), "1d": ("The last day", 86_400), "all": ("All that is kept", 0)}
"""From when on events are asked for: the words, and the seconds before now (0: from the first). An hour by default."""
HOUR_S = 3_600


class TopicState(rx.State):
    """The topic of the address, and its filter: ``since``, ``type`` and ``text`` stand in the address, too.

    ``phase`` is ``loading``, ``ready`` or ``missing``; ``fresh`` are the places of events that came since; ``version``
    counts addresses that were not typed into the search box. While the bus is away ``problem`` says so.
    """

    phase: str = "loading"
    topic: str = ""
    types: rx.Field[list[str]] = rx.field(default_factory=list)
    lines: rx.Field[list[EventView]] = rx.field(default_factory=list)
    fresh: rx.Field[list[str]] = rx.field(default_factory=list)
    partial: bool = False
    since: str = ""
    type: str = ""
    text: str = ""
    version: int = 0
    problem: Problem = NO_PROBLEM

    @rx.var
    def filtered(self) -> bool:
        """Whether only some are asked for."""
        return bool(self.since or self.type or self.text)

    @rx.event(background=True)
    async def watch(self):
        """Show the events that the address asks for, then those that come. Ends when the tab leaves the address."""
        async with aclosing(looks(self, Permission.BUS_READ, RETRY_S)) as callers:
            async for caller in callers:
                async with self:
                    asked = self._asked()
                try:
                    async with aclosing(current().topics.follow(caller, **asked)) as followed:
                        stored = True
                        async for view in followed:
                            async with self:
                                await caller_of(self)
                                (self._show if stored else self._add)(view)
                            stored = False
                except NotFound:
                    async with self:
                        self.phase = "missing"
                    return
                except Unavailable as error:
                    async with self:
                        self.problem = problem_of(error)

    @rx.event
    def choose(self, name: str, value: str):
        """Ask for another time, type or text; empty for any."""
        asked = {"since": self.since, "type": self.type, "text": self.text} | {name: value}
        if name == "text":
            self.text = value
        return to_address(f"{PATH}/{self.topic}", asked)

    def _asked(self) -> dict[str, Any]:
        """Take over what the address asks for, and return it as the backend takes it."""
        query = self.router.url.query_parameters
        topic, text, since = part_of_path(self, 2), query.get("text", ""), query.get("since", "")
        if topic != self.topic:
            self.reset()
            self.topic = topic
        if text != self.text:
            self.text, self.version = text, self.version + 1
        self.since, self.type = since if since in SPANS else "", query.get("type", "")
        seconds = SPANS[self.since][1] if self.since else HOUR_S
        since_ms = int((time.time() - seconds) * 1000) if seconds else 0
        return {"topic": self.topic, "since_ms": since_ms, "type": self.type, "text": self.text}

    def _show(self, view: EventsView) -> None:
        self.lines, self.fresh, self.partial = list(view.events), [], view.partial
        self.types = sorted({*view.types, self.type} - {""})
        self.phase, self.problem = "ready", NO_PROBLEM

    def _add(self, view: EventsView) -> None:
        known = {line.place for line in self.lines}
        lines = [line for line in view.events if line.place not in known]
        if lines:
            self.fresh = [line.place for line in lines]
            self.lines = (lines + self.lines)[:MOST]

"""The events in one topic: those of the tenant, as the address filters them, and as they come."""

import time
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Invalid, NotFound, Unavailable
from backend.reads.views import EventsView, EventView
from state.admin.topics import PATH
from state.live import RETRY_S
from state.notices import NO_PROBLEM, Problem, problem_of
from state.session import caller_of, looks, part_of_path, to_address

MOST = 200
SPANS = {"5m": ("The last 5 minutes", 300), "1d": ("The last day", 86_400), "all": ("All that is kept", 0)}
"""From when on events are asked for: the words, and the seconds before now (0: from the first). An hour by default."""
HOUR_S = 3_600
AT = "at"
"""Stands in the address for a time that is still to be typed; then the time itself does, in UTC."""
LONGEST = 50


class Position(TypedDict):
    """Where in a partition events are looked at, all as in the address; from ``following`` on there are more."""

    partition: str
    offset: str
    following: str


def since_ms_of(since: str, now_s: float) -> int:
    """Return from when on events are asked for, in milliseconds since 1970."""
    if since in SPANS:
        seconds = SPANS[since][1]
        return int((now_s - seconds) * 1000) if seconds else 0
    moment = moment_ms(since)
    return int((now_s - HOUR_S) * 1000) if moment is None else moment


def moment_ms(since: str) -> int | None:
    """Return a time as the address has it, ``2026-01-31T12:00`` in UTC; ``None`` for what is none."""
    try:
        return max(0, int(datetime.fromisoformat(since[:LONGEST]).replace(tzinfo=UTC).timestamp() * 1000))
    except (ValueError, OverflowError):
        return None


NOWHERE = Position(partition="", offset="", following="")


class TopicState(rx.State):
    """The topic of the address, and its filter: ``since``, ``type``, ``text`` and ``position`` stand in the address.

    ``phase`` is ``loading``, ``ready`` or ``missing``; ``fresh`` are the places of events that came since; ``version``
    counts addresses that were not typed into a field. While the bus is away ``problem`` says so.
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
    position: Position = NOWHERE
    problem: Problem = NO_PROBLEM

    @rx.var
    def filtered(self) -> bool:
        """Whether only some are asked for."""
        return bool(self.since or self.type or self.text or self.position["partition"])

    @rx.var
    def span(self) -> str:
        """The choice of since when: a time of its own is one of them."""
        return self.since if self.since in ("", *SPANS) else AT

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
                except Invalid as error:
                    async with self:
                        self.phase, self.lines, self.problem = "ready", [], problem_of(error)
                    return
                except Unavailable as error:
                    async with self:
                        self.problem = problem_of(error)

    @rx.event
    def choose(self, name: str, value: str):
        """Ask for another time, type, text, partition or offset; empty for any."""
        partition, offset = self.position["partition"], self.position["offset"]
        asked = {"since": self.since, "type": self.type, "text": self.text, "partition": partition, "offset": offset}
        # An offset is one of a partition, and counts instead of a time.
        asked |= {"offset": ""} if name in ("since", "partition") else {}
        asked |= {name: value}
        if name == "text":
            self.text = value
        if name == "offset":
            self.position = {**self.position, "offset": value}
        return to_address(f"{PATH}/{self.topic}", asked)

    def _asked(self) -> dict[str, Any]:
        """Take over what the address asks for, and return it as the backend takes it."""
        query = self.router.url.query_parameters
        topic, text, since = part_of_path(self, 2), query.get("text", ""), query.get("since", "")
        if topic != self.topic:
            self.reset()
            self.topic = topic
        self.since = since if since in (*SPANS, AT) or moment_ms(since) is not None else ""
        self.type = query.get("type", "")
        partition = query.get("partition", "")
        partition = partition if partition.isascii() and partition.isdecimal() and len(partition) < 6 else ""
        offset = query.get("offset", "")[:LONGEST] if partition else ""
        if (text, offset) != (self.text, self.position["offset"]):
            self.version += 1
        self.text, self.position = text, Position(partition=partition, offset=offset, following="")
        return {
            "topic": self.topic,
            "since_ms": since_ms_of(self.since, time.time()),
            "type": self.type,
            "text": self.text,
            "partition": int(partition) if partition else None,
            "offset": offset,
        }

    def _show(self, view: EventsView) -> None:
        self.lines, self.fresh, self.partial = list(view.events), [], view.partial
        self.position = {**self.position, "following": view.following}
        self.types = sorted({*view.types, self.type} - {""})
        self.phase, self.problem = "ready", NO_PROBLEM

    def _add(self, view: EventsView) -> None:
        known = {line.place for line in self.lines}
        lines = [line for line in view.events if line.place not in known]
        if lines:
            self.fresh = [line.place for line in lines]
            self.lines = (lines + self.lines)[:MOST]

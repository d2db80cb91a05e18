"""The events in one topic, as they are and as they come."""

import asyncio
import time
from contextlib import aclosing, suppress

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import NotFound, Unavailable
from backend.reads.views import EventView
from state.admin.topics import PATH
from state.live import RETRY_S
from state.session import caller_of, part_of_path, to_address

MOST = 200
SPANS = {"5m": ("The last 5 minutes", 300), "1d": ("The last day", 86_400), "all": ("All that is kept", 0)}
"""From when on events are asked for: the words, and the seconds before now (0: from the first). An hour by default."""
HOUR_S = 3_600


class TopicState(rx.State):
    """The topic of the address, and its filter: ``since``, ``type`` and ``text`` stand in the address, too.

    ``phase`` is ``loading``, ``ready`` or ``missing``; ``fresh`` are the places of events that came since; ``version``
    counts addresses that were not typed into the search box.
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

    @rx.var
    def filtered(self) -> bool:
        """Whether only some are asked for."""
        return bool(self.since or self.type or self.text)

    @rx.event
    async def load(self):
        """Load what the address asks for."""
        caller = await caller_of(self)
        query = self.router.url.query_parameters
        self.topic = part_of_path(self, 2)
        self.types = list(current().topics.types(self.topic))
        text = query.get("text", "")
        if text != self.text:
            self.text, self.version = text, self.version + 1
        since, type_name = query.get("since", ""), query.get("type", "")
        self.since, self.type = since if since in SPANS else "", type_name if type_name in self.types else ""
        seconds = SPANS[self.since][1] if self.since else HOUR_S
        since_ms = int((time.time() - seconds) * 1000) if seconds else 0
        try:
            view = await current().topics.events(caller, self.topic, since_ms=since_ms, type=self.type, text=self.text)
        except NotFound:
            self.phase = "missing"
            return
        self.lines, self.fresh, self.partial = list(view.events), [], view.partial
        self.phase = "ready"

    @rx.event(background=True)
    async def watch(self):
        """Show events as they come. Ends when the tab leaves the page."""
        async with self:
            caller = await caller_of(self)
            caller.require(Permission.BUS_READ)
            topic = part_of_path(self, 2)
        while current().topics.types(topic):
            # While the broker is away, Health says so.
            with suppress(Unavailable):
                async with aclosing(current().topics.follow(caller, topic)) as followed:
                    async for events in followed:
                        async with self:
                            await caller_of(self)
                            self._add([event for event in events if self._fits(event)])
            await asyncio.sleep(RETRY_S)

    @rx.event
    def choose(self, name: str, value: str):
        """Ask for another time, type or text; empty for any."""
        asked = {"since": self.since, "type": self.type, "text": self.text} | {name: value}
        if name == "text":
            self.text = value
        return to_address(f"{PATH}/{self.topic}", asked)

    def _fits(self, event: EventView) -> bool:
        words = "\n".join((event.key, event.subject, event.id, event.payload)).lower()
        return self.phase == "ready" and self.type in ("", event.type) and self.text.lower() in words

    def _add(self, lines: list[EventView]) -> None:
        known = {line.place for line in self.lines}
        lines = [line for line in lines if line.place not in known]
        if lines:
            self.fresh = [line.place for line in lines]
            self.lines = (lines + self.lines)[:MOST]

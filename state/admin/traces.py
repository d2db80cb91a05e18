"""The newest traces, as the address filters them."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.telemetry.views import TraceSummary
from state.admin.trace import milliseconds
from state.session import caller_of, looks, to_address

PATH = "/admin/traces"
MOST = 100
EVERY_S = 3.0
"""Traces come by themselves, and tell nobody."""
STATUSES = {"ok": "Done", "error": "Failed", "cancelled": "Stopped"}
"""What the status of a trace is called."""
SHAPES = {"ok": "ok", "error": "failed", "cancelled": "off"}
DURATIONS = {"100": "100 ms and more", "1000": "1 s and more", "10000": "10 s and more"}
"""The least durations that can be asked for, in milliseconds."""


class Line(TypedDict):
    """A trace as a line of the list; ``shape`` is its status mark, ``took`` a duration with its unit."""

    id: str
    title: str
    service: str
    shape: str
    status: str
    started_ms: int
    took: str


def line_of(trace: TraceSummary) -> Line:
    """Return the line of a trace."""
    return Line(
        id=trace.id,
        title=trace.title,
        service=trace.service,
        shape=SHAPES.get(trace.status, "off"),
        status=STATUSES.get(trace.status, trace.status),
        started_ms=trace.started_ms,
        took=milliseconds(trace.duration_ms),
    )


class TracesState(rx.State):
    """The list, and its filter: ``text``, ``status`` and ``at_least`` (milliseconds) stand in the address.

    ``version`` counts addresses that were not typed into the search box, which then shows the new words.
    """

    loaded: bool = False
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    fresh: rx.Field[list[str]] = rx.field(default_factory=list)
    text: str = ""
    status: str = ""
    at_least: str = ""
    version: int = 0

    @rx.var
    def filtered(self) -> bool:
        """Whether only some are asked for."""
        return bool(self.text or self.status or self.at_least)

    @rx.var
    def full(self) -> bool:
        """Whether there may be more than are shown."""
        return len(self.lines) >= MOST

    @rx.event
    async def load(self):
        """Load what the address asks for."""
        caller = await caller_of(self)
        query = self.router.url.query_parameters
        text, status, at_least = (query.get(name, "") for name in ("text", "status", "at_least"))
        if text != self.text:
            self.text, self.version = text, self.version + 1
        self.status = status if status in STATUSES else ""
        self.at_least = at_least if at_least in DURATIONS else ""
        self.lines, self.fresh = await _found(caller, self._asked()), []
        self.loaded = True

    @rx.event(background=True)
    async def watch(self):
        """Look for new ones every few seconds. Ends when the tab leaves the page."""
        async with aclosing(looks(self, Permission.TRACES_READ, EVERY_S)) as callers:
            async for caller in callers:
                async with self:
                    asked = self._asked()
                lines = await _found(caller, asked)
                async with self:
                    if self.loaded and asked == self._asked() and lines != self.lines:
                        known = {line["id"] for line in self.lines}
                        self.fresh = [line["id"] for line in lines if line["id"] not in known]
                        self.lines = lines

    @rx.event
    def search(self, text: str):
        """Ask for titles that contain a text."""
        self.text = text
        return self._to()

    @rx.event
    def choose_status(self, status: str):
        """Ask for one status alone, or for any."""
        self.status = status if status in STATUSES else ""
        return self._to()

    @rx.event
    def choose_at_least(self, at_least: str):
        """Ask for those alone that took so long."""
        self.at_least = at_least if at_least in DURATIONS else ""
        return self._to()

    def _to(self) -> rx.event.EventSpec:
        return to_address(PATH, self._asked())

    def _asked(self) -> dict[str, str]:
        return {"text": self.text, "status": self.status, "at_least": self.at_least}


async def _found(caller: Caller, asked: Mapping[str, str]) -> list[Line]:
    found = await current().traces.recent(
        caller, text=asked["text"], status=asked["status"], at_least_ms=int(asked["at_least"] or 0), limit=MOST
    )
    return [line_of(trace) for trace in found]

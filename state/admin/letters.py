"""The events that were given up, as the address filters them, and the replay of all that wait."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.bus.views import DeadLetterCount, DeadLetterSummary
from backend.foundation.kernel.caller import Caller, Permission
from state.session import caller_of, looks, to_address

PATH = "/admin/dead-letters"
MOST = 100
EVERY_S = 3.0
"""Events are given up by workers, which tell no page of it."""
STATUSES = {"WAITING": "Waiting", "REPLAYED": "Replayed", "DISCARDED": "Discarded"}
"""What the status of a letter is called."""
SHAPES = {"WAITING": "attention", "REPLAYED": "ok", "DISCARDED": "off"}
ALL = "ALL"
"""Stands in the address for letters of every status; without it those that wait are meant."""
RATES = {"5": "5 a second", "50": "50 a second", "500": "500 a second"}


class Line(TypedDict):
    """A letter as a line of the list; ``shape`` is its status mark."""

    id: int
    type: str
    cause: str
    consumer: str
    attempts: int
    created_ms: int
    shape: str
    status: str
    waits: bool


def line_of(letter: DeadLetterSummary) -> Line:
    """Return the line of a letter."""
    return Line(
        id=letter.id,
        type=letter.type or "Not an event",
        cause=letter.cause,
        consumer=letter.consumer,
        attempts=letter.attempts,
        created_ms=letter.created_ms,
        shape=SHAPES.get(letter.status, "off"),
        status=STATUSES.get(letter.status, letter.status),
        waits=letter.status == "WAITING",
    )


class LettersState(rx.State):
    """The list, and its filter: ``status``, ``consumer`` and ``type`` stand in the address.

    ``replaying`` is empty, ``asked`` (the dialog is open), ``busy`` or ``done``.
    """

    loaded: bool = False
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    consumers: rx.Field[list[str]] = rx.field(default_factory=list)
    types: rx.Field[list[str]] = rx.field(default_factory=list)
    waiting: int = 0
    status: str = ""
    consumer: str = ""
    type: str = ""
    replaying: str = ""
    progress: rx.Field[dict[str, int]] = rx.field(default_factory=dict)

    @rx.var
    def filtered(self) -> bool:
        """Whether only some are asked for, apart from those that wait."""
        return bool(self.status or self.consumer or self.type)

    @rx.var
    def choosable(self) -> int:
        """How many of those that are shown can be replayed or discarded."""
        return sum(line["waits"] for line in self.lines)

    @rx.var
    def full(self) -> bool:
        """Whether there may be more than are shown."""
        return len(self.lines) >= MOST

    @rx.event
    async def load(self):
        """Load what the address asks for."""
        caller = await caller_of(self)
        query = self.router.url.query_parameters
        status = query.get("status", "")
        self.status = status if status in STATUSES or status == ALL else ""
        self.consumer, self.type = query.get("consumer", ""), query.get("type", "")
        self._show(*await _found(caller, self._asked()))
        self.loaded = True

    @rx.event(background=True)
    async def watch(self):
        """Look for new ones every few seconds. Ends when the tab leaves the page."""
        async with aclosing(looks(self, Permission.BUS_REPAIR, EVERY_S)) as callers:
            async for caller in callers:
                async with self:
                    asked = self._asked()
                found = await _found(caller, asked)
                async with self:
                    if self.loaded and asked == self._asked():
                        self._show(*found)

    @rx.event
    def choose(self, name: str, value: str):
        """Ask for one status, consumer or type alone; empty for any."""
        asked = {"status": self.status, "consumer": self.consumer, "type": self.type} | {name: value}
        return to_address(PATH, asked)

    @rx.event
    def ask_replay(self):
        """Ask before all that wait and fit are replayed."""
        self.replaying, self.progress = "asked", {}

    @rx.event
    def close(self):
        """Close the dialog; a replay that is under way stops."""
        self.replaying = ""

    @rx.event(background=True)
    async def replay(self, form: dict[str, Any]):
        """Replay all that wait and fit, and show how far it is; closing the dialog stops it."""
        async with self:
            if self.replaying == "busy":
                return
            self.replaying = "busy"
            caller, consumer, type_name = await caller_of(self), self.consumer, self.type
        rate = str(form.get("rate", ""))
        replay = current().dead_letters.replay_all(
            caller, consumer=consumer, type=type_name, per_s=float(rate if rate in RATES else "50")
        )
        try:
            async for step in replay:
                async with self:
                    if self.replaying != "busy":
                        return
                    self.progress = {"total": step.total, "done": step.done, "failed": step.failed}
        finally:
            await replay.aclose()
        async with self:
            self.replaying = "done"
            self._show(*await _found(caller, self._asked()))

    def _asked(self) -> dict[str, str]:
        status = "" if self.status == ALL else self.status or "WAITING"
        return {"status": status, "consumer": self.consumer, "type": self.type}

    def _show(self, found: Sequence[DeadLetterSummary], counts: Sequence[DeadLetterCount]) -> None:
        self.lines = [line_of(letter) for letter in found]
        self.consumers = sorted({row.consumer for row in counts} | ({self.consumer} - {""}))
        self.types = sorted({row.type for row in counts if row.type} | ({self.type} - {""}))
        self.waiting = sum(
            row.count
            for row in counts
            if row.status == "WAITING" and self.consumer in ("", row.consumer) and self.type in ("", row.type)
        )


async def _found(caller: Caller, asked: Mapping[str, str]) -> tuple[list[DeadLetterSummary], list[DeadLetterCount]]:
    letters = current().dead_letters
    found = await letters.letters(
        caller, status=asked["status"], consumer=asked["consumer"], type=asked["type"], limit=MOST
    )
    return found, await letters.counts(caller)

"""One event that was given up: looked at, mended, tried, sent again or discarded."""

from dataclasses import asdict
from typing import Any

import reflex as rx

from backend.app import current
from backend.foundation.bus.views import DeadLetterView
from backend.foundation.kernel.errors import AutoWeaveError, Conflict, Invalid, NotFound
from state.admin.letters import SHAPES, STATUSES
from state.session import caller_of, part_of_path


class LetterState(rx.State):
    """The letter of the address; ``phase`` is ``loading``, ``ready`` or ``missing``.

    ``payload`` is the data as it is edited; ``plan`` is what a replay of it would do: ``problem`` and ``hint``, or
    ``topic``, ``key`` and ``consumers``.
    """

    phase: str = "loading"
    letter: int = 0
    view: rx.Field[dict[str, Any]] = rx.field(default_factory=dict)
    payload: str = ""
    plan: rx.Field[dict[str, str]] = rx.field(default_factory=dict)
    discarding: bool = False
    error: str = ""

    @rx.event
    async def load(self):
        """Load the letter that the address names."""
        caller = await caller_of(self)
        part = part_of_path(self, 2)
        self.reset()
        try:
            self.letter = int(part) if part.isascii() and part.isdecimal() and len(part) < 18 else 0
            view = await current().dead_letters.one(caller, self.letter)
        except NotFound:
            self.phase = "missing"
            return
        self._show(view)
        self.payload, self.phase = view.payload, "ready"

    @rx.event
    def edit(self, payload: str):
        """Change the data that a replay would send."""
        self.payload, self.plan = payload, {}

    @rx.event
    async def check(self):
        """Say what a replay would do; nothing is sent."""
        plan = await current().dead_letters.plan(await caller_of(self), self.letter, payload=self._changed())
        self.plan = {
            "problem": plan.problem,
            "hint": plan.hint,
            "topic": plan.topic,
            "key": plan.key,
            "consumers": ", ".join(plan.consumers),
        }

    @rx.event
    async def replay(self):
        """Send it again, as it is edited."""
        caller = await caller_of(self)
        try:
            await current().dead_letters.replay(caller, self.letter, payload=self._changed())
        except Conflict:
            # Somebody was quicker: the page shows what became of it.
            pass
        except Invalid as error:
            self._refuse(error)
            return
        self.plan = {}
        self._show(await current().dead_letters.one(caller, self.letter))

    @rx.event
    def ask_discard(self):
        """Ask why before it is discarded."""
        self.discarding, self.error = True, ""

    @rx.event
    def keep(self):
        """Do not discard it."""
        self.discarding = False

    @rx.event
    async def discard(self, form: dict[str, Any]):
        """Discard it with the reason of the form."""
        caller = await caller_of(self)
        try:
            await current().dead_letters.discard(caller, [self.letter], reason=str(form.get("reason", "")))
        except Conflict:
            pass
        except Invalid as error:
            self.error = error.message
            return
        self.discarding = False
        self._show(await current().dead_letters.one(caller, self.letter))

    def _changed(self) -> str | None:
        return self.payload if self.payload != self.view.get("payload") else None

    def _refuse(self, error: AutoWeaveError) -> None:
        self.plan = {"problem": error.message, "hint": error.hint}

    def _show(self, view: DeadLetterView) -> None:
        self.view = asdict(view) | {
            "type": view.type or "Not an event",
            "waits": view.status == "WAITING",
            "shape": SHAPES.get(view.status, "off"),
            "status": STATUSES.get(view.status, view.status),
        }

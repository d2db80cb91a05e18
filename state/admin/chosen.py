"""The dead letters that are ticked in the list, and what is done with them together."""

from typing import Any

import reflex as rx

from backend.app import current
from backend.foundation.bus.views import Progress
from backend.foundation.kernel.errors import Conflict, Invalid
from state.admin.letters import LettersState
from state.session import caller_of


def words_of(progress: Progress) -> str:
    """Return what a replay did, in words."""
    sent = f"{progress.done} sent again." if progress.done else "None was sent."
    left = f" {progress.failed} cannot be sent: open each to see why." if progress.failed else ""
    return sent + left


class ChosenState(rx.State):
    """The ticked letters; ``discarding``: the dialog is open, ``told`` is what was done with the last ones."""

    ids: rx.Field[list[int]] = rx.field(default_factory=list)
    discarding: bool = False
    error: str = ""
    told: str = ""

    @rx.event
    def clear(self):
        """Tick none."""
        self.reset()

    @rx.event
    def tick(self, letter: int, on: bool):
        """Tick a letter, or not."""
        others = [each for each in self.ids if each != letter]
        self.ids, self.told = others + [letter] * on, ""

    @rx.event
    async def tick_all(self, on: bool):
        """Tick all that wait on the page, or none."""
        lines = (await self.get_state(LettersState)).lines
        self.ids, self.told = [line["id"] for line in lines if line["waits"] and on], ""

    @rx.event
    async def replay(self):
        """Send the ticked letters again, as they are."""
        progress = await current().dead_letters.replay_these(await caller_of(self), self.ids)
        self.ids, self.told = [], words_of(progress)
        return LettersState.load

    @rx.event
    def ask_discard(self):
        """Ask why before they are discarded."""
        self.discarding, self.error = True, ""

    @rx.event
    def keep(self):
        """Do not discard them."""
        self.discarding = False

    @rx.event
    async def discard(self, form: dict[str, Any]):
        """Discard the ticked letters with the reason of the form: all, or none where one of them waits no more."""
        caller = await caller_of(self)
        try:
            await current().dead_letters.discard(caller, self.ids, reason=str(form.get("reason", "")))
        except (Conflict, Invalid) as error:
            self.error = error.message
            return None
        self.told, self.ids, self.discarding = f"{len(self.ids)} discarded.", [], False
        return LettersState.load

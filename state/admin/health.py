"""The health of every part, live."""

from contextlib import aclosing

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.reads.views import HealthView, PartHealth
from state.live import at_least_every, health_changes
from state.session import caller_of

EVERY_S = 5.0
"""A part that dies tells nobody, so the page looks by itself too."""
WORDS = {"ok": "Works", "attention": "Needs attention", "failed": "Failed", "off": "Off"}


class HealthState(rx.State):
    """The parts as they were last asked; ``changed`` names those that are different from the time before."""

    loaded: bool = False
    parts: rx.Field[list[PartHealth]] = rx.field(default_factory=list)
    changed: rx.Field[list[str]] = rx.field(default_factory=list)
    checked_ms: int = 0

    @rx.var
    def worst(self) -> str:
        """The status of the whole: that of its worst part."""
        statuses = {part.status for part in self.parts}
        return next((status for status in ("failed", "attention") if status in statuses), "ok")

    @rx.var
    def summary(self) -> str:
        """The whole in a few words."""
        bad = sum(part.status in ("failed", "attention") for part in self.parts)
        if bad:
            return f"{bad} of {len(self.parts)} parts {'needs' if bad == 1 else 'need'} attention"
        return "Every part works"

    @rx.event
    async def load(self):
        """Ask every part."""
        self._show(await current().health.view(await caller_of(self)))

    @rx.event(background=True)
    async def watch(self):
        """Ask again when a part tells of a change, and every few seconds. Ends when the tab leaves the page."""
        async with self:
            (await caller_of(self)).require(Permission.HEALTH_READ)
        async with aclosing(at_least_every(EVERY_S, health_changes())) as heard:
            async for _ in heard:
                async with self:
                    caller = await caller_of(self)
                view = await current().health.view(caller)
                async with self:
                    self._show(view)

    def _show(self, view: HealthView) -> None:
        before = {part.name: part.status for part in self.parts}
        self.changed = [part.name for part in view.parts if before.get(part.name, part.status) != part.status]
        self.parts, self.checked_ms, self.loaded = list(view.parts), view.checked_ms, True

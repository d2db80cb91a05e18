"""One webhook: what it wants, its secret, and whether it is on."""

from contextlib import aclosing
from typing import Any

import reflex as rx

from backend.app import current
from backend.domain.webhooks.errors import WebhookNotFound
from backend.domain.webhooks.views import WebhookView
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid
from state.admin.webhooks import EVERY_S, PATH, status_of, types_of
from state.live import at_least_every, webhook_changes
from state.session import caller_of, part_of_path

ASKS = ("edit", "rotate", "delete")


class WebhookState(rx.State):
    """The webhook of the address; ``phase`` is ``loading``, ``ready`` or ``missing``.

    ``asking`` is the open dialog: empty, ``edit``, ``rotate``, ``rotated`` or ``delete``; ``busy`` while it is done.
    """

    phase: str = "loading"
    webhook: str = ""
    view: rx.Field[dict[str, Any]] = rx.field(default_factory=dict)
    types: rx.Field[list[str]] = rx.field(default_factory=list)
    asking: str = ""
    some: bool = False
    busy: bool = False
    secret: str = ""
    error: str = ""

    @rx.event
    async def load(self):
        """Load the webhook that the address names."""
        caller = await caller_of(self)
        self.reset()
        self.webhook, self.types = part_of_path(self, 2), list(current().webhooks.types())
        await self._fetch(caller)

    @rx.event(background=True)
    async def watch(self):
        """Show what changes. Ends when the tab leaves the page."""
        async with self:
            caller = await caller_of(self)
            caller.require(Permission.WEBHOOKS_READ)
        async with aclosing(at_least_every(EVERY_S, webhook_changes(caller))) as heard:
            async for _ in heard:
                async with self:
                    caller = await caller_of(self)
                    if self.phase == "ready":
                        await self._fetch(caller)

    @rx.event
    def ask(self, what: str):
        """Open a dialog."""
        if what in ASKS:
            self.asking, self.error, self.secret = what, "", ""
            self.some = bool(self.view.get("chosen"))

    @rx.event
    def choose(self, value: str):
        """Ask for all events, or for some types."""
        self.some = value == "some"

    @rx.event
    def close(self):
        """Close the dialog and forget the secret."""
        self.asking = self.secret = ""

    @rx.event(background=True)
    async def save(self, form: dict[str, Any]):
        """Change address and filter; what is wrong stands in the dialog."""
        async with self:
            caller, types = await caller_of(self), types_of(form)
            if self.busy:
                return
            if self.some and not types:
                self.error = "Choose at least one event type."
                return
            self.busy, self.error, webhook = True, "", self.webhook
        try:
            await current().webhooks.change(caller, webhook, url=str(form.get("url", "")), types=types)
            error = ""
        except Invalid as refused:
            error = f"{refused.message} {refused.hint}"
        finally:
            async with self:
                self.busy = False
        async with self:
            self.error, self.asking = error, "edit" if error else ""
            await self._fetch(caller)

    @rx.event(background=True)
    async def turn(self, on: bool):
        """Turn it on or off."""
        async with self:
            caller, webhook = await caller_of(self), self.webhook
            self.busy = True
        try:
            await current().webhooks.turn(caller, webhook, on=on)
        finally:
            async with self:
                self.busy = False
        async with self:
            await self._fetch(caller)

    @rx.event
    async def rotate(self, form: dict[str, Any]):
        """Make a new secret and show it, this once."""
        keep = str(form.get("keep", "24"))
        hours = int(keep) if keep in ("0", "24", "168") else 24
        made = await current().webhooks.rotate(await caller_of(self), self.webhook, keep_hours=hours)
        self.secret, self.asking = made.secret, "rotated"
        self._show(made.view)

    @rx.event
    async def delete(self):
        """Delete it, and go back to the list."""
        await current().webhooks.delete(await caller_of(self), self.webhook)
        self.asking = ""
        return rx.redirect(PATH)

    async def _fetch(self, caller: Caller) -> None:
        try:
            self._show(await current().webhooks.one(caller, self.webhook))
            self.phase = "ready"
        except WebhookNotFound:
            self.phase = "missing"

    def _show(self, view: WebhookView) -> None:
        shape, status = status_of(view)
        self.view = {
            "url": view.url,
            "chosen": list(view.types),
            "enabled": view.enabled,
            "reason": view.reason,
            "shape": shape,
            "status": status,
            "created_ms": view.created_ms,
            "succeeded_ms": view.succeeded_ms,
            "failing_since_ms": view.failing_since_ms,
            "failures": view.failures,
            "error": view.error,
            "old_until_ms": view.old_until_ms,
            "waiting": view.waiting,
            "failed": view.failed,
            "dropped": view.dropped,
        }

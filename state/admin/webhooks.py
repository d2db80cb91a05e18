"""The webhooks of the workspace, and the dialog that makes one."""

from contextlib import aclosing
from typing import Any, TypedDict

import reflex as rx

from backend.app import current
from backend.domain.webhooks.views import WebhookView
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Conflict, Invalid
from state.live import at_least_every, webhook_changes
from state.session import caller_of

PATH = "/admin/webhooks"
EVERY_S = 5.0
TYPE = "type:"
"""A form names the box of an event type with this before it."""


class Line(TypedDict):
    """A webhook as a line of the list; ``shape`` is its status mark."""

    id: str
    url: str
    types: str
    shape: str
    status: str
    succeeded_ms: int
    failures: int
    waiting: int


def line_of(view: WebhookView) -> Line:
    """Return the line of a webhook."""
    shape, status = status_of(view)
    return Line(
        id=view.id,
        url=view.url,
        types=", ".join(view.types) or "All events",
        shape=shape,
        status=status,
        succeeded_ms=view.succeeded_ms,
        failures=view.failures,
        waiting=view.waiting,
    )


def status_of(view: WebhookView) -> tuple[str, str]:
    """Return the status mark of a webhook and its word."""
    if not view.enabled:
        return ("failed", "Gave up") if view.reason else ("off", "Off")
    return ("attention", "Failing") if view.failures else ("ok", "On")


def types_of(form: dict[str, Any]) -> list[str]:
    """Return the event types that are ticked in a form; none when all are meant."""
    return (
        []
        if str(form.get("which", "all")) == "all"
        else [name.removeprefix(TYPE) for name in form if name.startswith(TYPE)]
    )


class WebhooksState(rx.State):
    """The list, and the dialog: ``making`` is empty, ``form``, ``busy`` or ``made``."""

    loaded: bool = False
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    types: rx.Field[list[str]] = rx.field(default_factory=list)
    making: str = ""
    some: bool = False
    made: str = ""
    secret: str = ""
    error: str = ""
    error_field: str = ""

    @rx.event
    async def load(self):
        """Load the webhooks."""
        caller = await caller_of(self)
        await self._fetch(caller)
        self.types = list(current().webhooks.types())
        self.loaded = True

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
                    caller.require(Permission.WEBHOOKS_READ)
                    if self.loaded:
                        await self._fetch(caller)

    @rx.event
    def start(self):
        """Open the form."""
        self.making, self.some, self.secret, self.error, self.error_field = "form", False, "", "", ""

    @rx.event
    def choose(self, value: str):
        """Ask for all events, or for some types."""
        self.some = value == "some"

    @rx.event
    def finish(self):
        """Close the dialog and forget the secret."""
        self.making = self.secret = self.made = ""

    @rx.event(background=True)
    async def create(self, form: dict[str, Any]):
        """Make a webhook of what the form says; what is wrong with a field stands at the field."""
        async with self:
            if self.making == "busy":
                return
            caller = await caller_of(self)
            types = types_of(form)
            if self.some and not types:
                self.error, self.error_field = "Choose at least one event type.", "types"
                return
            self.making, self.error, self.error_field = "busy", "", ""
        try:
            new = await current().webhooks.create(caller, url=str(form.get("url", "")), types=types)
        except (Invalid, Conflict) as error:
            async with self:
                self.making, self.error = "form", f"{error.message} {error.hint}"
                self.error_field = getattr(error, "field", None) or "url"
            return
        async with self:
            self.secret, self.made, self.making = new.secret, new.view.id, "made"
            await self._fetch(caller)

    async def _fetch(self, caller: Caller) -> None:
        self.lines = [line_of(view) for view in await current().webhooks.all(caller)]

"""The deliveries of one webhook, and the one that is looked at."""

from contextlib import aclosing
from typing import Any, TypedDict

import reflex as rx

from backend.app import current
from backend.domain.webhooks.errors import WebhookNotFound
from backend.domain.webhooks.views import AttemptView, DeliveryView
from backend.foundation.kernel.caller import Caller, Permission
from state.admin.webhooks import EVERY_S, PATH
from state.live import at_least_every, webhook_changes
from state.session import caller_of, part_of_path, to_address

MOST = 100
STATUSES = {"WAITING": "Waiting", "DELIVERED": "Delivered", "FAILED": "Failed"}
SHAPES = {"WAITING": "attention", "DELIVERED": "ok", "FAILED": "failed"}


class Line(TypedDict):
    """A delivery as a line of the log; ``due_ms`` is 0 unless it is tried again."""

    id: str
    type: str
    shape: str
    status: str
    attempts: int
    answer: str
    latency: str
    created_ms: int
    due_ms: int


def line_of(view: DeliveryView) -> Line:
    """Return the line of a delivery."""
    fresh = view.status == "WAITING" and (view.sending or not view.attempts)
    return Line(
        id=view.id,
        type=view.type,
        shape="running" if fresh else SHAPES.get(view.status, "off"),
        status="Sending" if fresh else STATUSES.get(view.status, ""),
        attempts=view.attempts,
        answer=str(view.code or "none") if view.attempts else "",
        latency=f"{view.duration_ms:,} ms" if view.attempts else "",
        created_ms=view.created_ms,
        due_ms=view.due_ms if view.status == "WAITING" and not fresh else 0,
    )


def attempt_of(view: AttemptView) -> dict[str, Any]:
    """Return an attempt as the side sheet shows it."""
    return {
        "number": view.number,
        "at_ms": view.at_ms,
        "ok": 200 <= view.code < 300,
        "code": str(view.code) if view.code else "No answer",
        "latency": f"{view.duration_ms:,} ms",
        "error": view.error,
        "answer": view.answer,
    }


class DeliveriesState(rx.State):
    """The log; ``status`` and ``open`` (the delivery of the side sheet) stand in the address."""

    loaded: bool = False
    webhook: str = ""
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    status: str = ""
    shown: str = ""
    line: rx.Field[dict[str, Any]] = rx.field(default_factory=dict)
    body: str = ""
    attempts: rx.Field[list[dict[str, Any]]] = rx.field(default_factory=list)

    @rx.event
    async def load(self):
        """Load what the address asks for."""
        caller = await caller_of(self)
        query = self.router.url.query_parameters
        status = query.get("status", "")
        self.webhook = part_of_path(self, 2)
        self.status, self.shown = status if status in STATUSES else "", query.get("open", "")
        await self._fetch(caller)
        self.loaded = True

    @rx.event(background=True)
    async def watch(self):
        """Show what comes and changes. Ends when the tab leaves the page."""
        async with self:
            caller = await caller_of(self)
            caller.require(Permission.WEBHOOKS_READ)
        async with aclosing(at_least_every(EVERY_S, webhook_changes(caller))) as heard:
            async for _ in heard:
                async with self:
                    caller = await caller_of(self)
                    if self.loaded:
                        await self._fetch(caller)

    @rx.event
    def choose(self, name: str, value: str):
        """Ask for deliveries of one status, or look at one; empty for any, or none."""
        return to_address(f"{PATH}/{self.webhook}", {"status": self.status, "open": self.shown} | {name: value})

    @rx.event
    async def test(self):
        """Send a test event, and look at what becomes of it."""
        self.shown = await current().webhooks.test(await caller_of(self), self.webhook)
        return to_address(f"{PATH}/{self.webhook}", {"open": self.shown})

    @rx.event
    async def redeliver(self):
        """Send the one that is looked at again."""
        caller = await caller_of(self)
        await current().webhooks.redeliver(caller, self.shown)
        await self._fetch(caller)

    @rx.event
    async def redeliver_failed(self):
        """Send all that were given up again."""
        caller = await caller_of(self)
        await current().webhooks.redeliver_failed(caller, self.webhook)
        await self._fetch(caller)

    async def _fetch(self, caller: Caller) -> None:
        webhooks = current().webhooks
        try:
            found = await webhooks.deliveries(caller, self.webhook, status=self.status, limit=MOST)
            self.lines = [line_of(view) for view in found]
            if self.shown:
                detail = await webhooks.delivery(caller, self.shown)
                self.line, self.body = dict(line_of(detail.view)), detail.body
                self.attempts = [attempt_of(one) for one in detail.attempts]
        except WebhookNotFound:
            self.shown = ""

"""`Webhooks`: who gets which events of a tenant, and what became of each."""

import asyncio
import re
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.webhooks.errors import (
    AlreadySending,
    TooManyWebhooks,
    TypeNotOffered,
    WebhookIsOff,
    WebhookMade,
    WebhookNotFound,
)
from backend.domain.webhooks.handlers import KNOWN_FOR_S
from backend.domain.webhooks.models import SubscriptionRow
from backend.domain.webhooks.repository import deliveries, subscriptions
from backend.domain.webhooks.rules.addresses import Allowed, check_url
from backend.domain.webhooks.rules.requests import TOLD_AGAIN_MS, is_rotated, request_of, rotated
from backend.domain.webhooks.rules.retries import rfc3339
from backend.domain.webhooks.rules.signing import OFFERED, TEST_TYPE, body_of_test, new_secret
from backend.domain.webhooks.views import DeliveryDetail, DeliveryView, NewSecret, WebhookView
from backend.foundation.audit.service import Audit
from backend.foundation.events.codec import readable
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Conflict, Invalid, KeyReused
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ids import new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.sealing import Sealer
from backend.foundation.kernel.tables import database_ms
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import deliveries_channel, webhooks_channel
from backend.foundation.live.service import Live

MOST_WEBHOOKS = 50
KEEP_OLD_HOURS = (0, 24, 168)
"""For so long the secret before may sign, too, after a rotation."""

_ID = re.compile(r"wh[sd]_[0-9a-z]{26}", re.ASCII)
_MOST_LISTED, _MOST_ATTEMPTS = 200, 50
_SETTLES_S = KNOWN_FOR_S + 0.1
"""What every process knew before a change, none believes after this."""


class Webhooks:
    """Subscriptions and deliveries of a tenant; needs ``webhooks:read`` or ``webhooks:write``.

    Args:
        allowed: what may be sent to besides public addresses by https.
        sealer: keeps the secrets.
    """

    def __init__(self, db: Database, audit: Audit, live: Live, sealer: Sealer, allowed: Allowed) -> None:
        self._db = db
        self._audit = audit
        self._live = live
        self._sealer = sealer
        self._allowed = allowed

    def types(self) -> tuple[str, ...]:
        """Return the event types that may be subscribed to."""
        return OFFERED

    async def all(self, caller: Caller, *, before: str = "", limit: int = MOST_WEBHOOKS) -> list[WebhookView]:
        """Return the tenant's subscriptions, the newest first, only those made before one if that is told."""
        caller.require(Permission.WEBHOOKS_READ)
        async with self._db.read(caller.tenant) as session:
            return await subscriptions.views(session, caller.tenant, before=_cursor(before), limit=limit)

    async def one(self, caller: Caller, webhook: str) -> WebhookView:
        """Return a subscription; raise `WebhookNotFound`."""
        caller.require(Permission.WEBHOOKS_READ)
        async with self._db.read(caller.tenant) as session:
            return await _view(session, caller, webhook)

    async def create(self, caller: Caller, *, url: str, types: Sequence[str], idempotency_key: str = "") -> NewSecret:
        """Subscribe an address to event types, none meaning all; return the secret, which is told this once.

        Each event of these types that is published after this returned is sent. The same ``idempotency_key`` with the
        same request gives the same subscription and, for a day and until it is rotated, the same secret.

        Raises:
            WebhookUrlInvalid, AddressRefused: the address cannot be sent to.
            TypeNotOffered: no such type.
            TooManyWebhooks: there are 50 already.
            KeyReused: the key made another subscription, or this one was changed since.
            WebhookMade: the key made this one, but its secret is not told any more.
        """
        caller.require(Permission.WEBHOOKS_WRITE)
        checked, wanted = check_url(url, self._allowed), _checked(types)
        request = request_of(caller.subject, idempotency_key) if idempotency_key else None
        async with self._db.write(caller.tenant) as session:
            made = await self._made(session, caller, request, checked, wanted)
            # The second of two at once finds only now that there is one.
            made = made or await self._add(session, caller, request, checked, wanted)
            made = made or await self._made(session, caller, request, checked, wanted)
        hit("webhooks.create.after")
        await asyncio.sleep(_SETTLES_S)
        if made is None:
            raise Conflict("The webhook that this request made was deleted at the same moment.")
        return made

    async def _add(
        self, session: AsyncSession, caller: Caller, request: str | None, url: str, types: list[str]
    ) -> NewSecret | None:
        """Add a subscription and return its secret; ``None`` where the request made one already."""
        webhook, secret = new_id("whs"), new_secret()
        if await subscriptions.count(session, caller.tenant) >= MOST_WEBHOOKS:
            raise TooManyWebhooks(f"There are {MOST_WEBHOOKS} webhooks already.")
        sealed = self._sealer.seal(secret, place_of(caller.tenant, webhook))
        row = {"id": webhook, "tenant": caller.tenant, "url": url, "types": types, "secret": sealed}
        if not await subscriptions.add(session, row | {"request": request}):
            return None
        await self._record(session, caller, "created", webhook, types=types)
        return NewSecret(view=await _view(session, caller, webhook), secret=secret)

    async def _made(
        self, session: AsyncSession, caller: Caller, request: str | None, url: str, types: list[str]
    ) -> NewSecret | None:
        """Return what a request made before; raise `KeyReused` or `WebhookMade` where that is another answer."""
        if request is None:
            return None
        row = await subscriptions.made_by(session, caller.tenant, [request, rotated(request)])
        if row is None:
            return None
        if (row.url, row.types) != (url, types):
            raise KeyReused("This Idempotency-Key was used with another webhook.", field="Idempotency-Key")
        if is_rotated(row.request) or await database_ms(session) > row.created_ms + TOLD_AGAIN_MS:
            raise WebhookMade(f"This Idempotency-Key made the webhook {row.id!r} already.")
        secret = self._sealer.unseal(row.secret, place_of(caller.tenant, row.id))
        return NewSecret(view=await _view(session, caller, row.id), secret=secret)

    async def change(
        self, caller: Caller, webhook: str, *, url: str | None = None, types: Sequence[str] | None = None
    ) -> None:
        """Change the address, the types, or both; what waits goes to the new address.

        Raises as `create` and `WebhookNotFound`.
        """
        caller.require(Permission.WEBHOOKS_WRITE)
        checked = None if url is None else check_url(url, self._allowed)
        wanted = None if types is None else _checked(types)
        async with self._db.write(caller.tenant) as session:
            row = await _row(session, caller, webhook)
            values = {"url": checked or row.url, "types": row.types if wanted is None else wanted}
            moved = row.url != values["url"]
            await subscriptions.change(session, caller.tenant, webhook, values)
            await self._record(session, caller, "changed", webhook, types=values["types"], moved=moved)
        await asyncio.sleep(_SETTLES_S)

    async def turn(self, caller: Caller, webhook: str, *, on: bool) -> None:
        """Turn a subscription on or off. While it is off nothing is queued nor sent; what waited goes on waiting."""
        caller.require(Permission.WEBHOOKS_WRITE)
        values = {"enabled": on, "reason": "", "failing_since_ms": 0, "failures": 0} if on else {"enabled": on}
        async with self._db.write(caller.tenant) as session:
            row = await _row(session, caller, webhook)
            if row.enabled != on:
                await subscriptions.change(session, caller.tenant, webhook, values)
                await self._record(session, caller, "turned_on" if on else "turned_off", webhook)
                after_commit(session, lambda: self._live.notify_soon(deliveries_channel()))
        if on:
            await asyncio.sleep(_SETTLES_S)

    async def rotate(self, caller: Caller, webhook: str, *, keep_hours: int) -> NewSecret:
        """Make a new secret; for ``keep_hours`` (0, 24 or 168) attempts are signed with the one before, too."""
        caller.require(Permission.WEBHOOKS_WRITE)
        if keep_hours not in KEEP_OLD_HOURS:
            raise Invalid("The old secret can be kept for 0, 24 or 168 hours.", field="keep")
        secret = new_secret()
        async with self._db.write(caller.tenant) as session:
            row = await _row(session, caller, webhook)
            until = await database_ms(session) + keep_hours * 3_600_000
            values = {
                "secret": self._sealer.seal(secret, place_of(caller.tenant, webhook)),
                "old_secret": row.secret if keep_hours else "",
                "old_until_ms": until if keep_hours else 0,
                "request": rotated(row.request),
            }
            await subscriptions.change(session, caller.tenant, webhook, values)
            await self._record(session, caller, "secret_rotated", webhook, keep_hours=keep_hours)
            view = await _view(session, caller, webhook)
        hit("webhooks.rotate.after")
        return NewSecret(view=view, secret=secret)

    async def delete(self, caller: Caller, webhook: str) -> None:
        """Delete a subscription with its log; what waits is not sent."""
        caller.require(Permission.WEBHOOKS_WRITE)
        async with self._db.write(caller.tenant) as session:
            await _row(session, caller, webhook)
            gone = {"enabled": False, "secret": "", "old_secret": "", "request": None}
            gone |= {"deleted_ms": await database_ms(session)}
            await subscriptions.change(session, caller.tenant, webhook, gone)
            await self._record(session, caller, "deleted", webhook)

    async def test(self, caller: Caller, webhook: str) -> str:
        """Send an event of the type ``webhooks.test.v1``, whatever the filter; return the delivery's id."""
        caller.require(Permission.WEBHOOKS_WRITE)
        delivery = new_id("whd")
        async with self._db.write(caller.tenant) as session:
            row = await _row(session, caller, webhook, on=True)
            body = body_of_test(delivery, caller.tenant, rfc3339(await database_ms(session)))
            queued = {
                "id": delivery,
                "tenant": caller.tenant,
                "subscription": webhook,
                "event": f"/webhooks {delivery}",
            }
            await deliveries.queue(session, [queued | {"type": TEST_TYPE, "body": body}])
            await self._record(session, caller, "tested", row.id, delivery=delivery)
            after_commit(session, lambda: self._live.notify_soon(deliveries_channel()))
        return delivery

    async def deliveries(
        self, caller: Caller, webhook: str, *, status: str = "", before: str = "", limit: int = 100
    ) -> list[DeliveryView]:
        """Return what was sent or waits, of one status or any, the newest first, those before one, at most 200."""
        caller.require(Permission.WEBHOOKS_READ)
        if status not in ("", "WAITING", "DELIVERED", "FAILED"):
            raise Invalid("A delivery is WAITING, DELIVERED or FAILED.", field="status")
        async with self._db.read(caller.tenant) as session:
            return await deliveries.log(
                session,
                caller.tenant,
                _id(webhook),
                status=status,
                before=_cursor(before),
                limit=max(1, min(limit, _MOST_LISTED)),
            )

    async def delivery(self, caller: Caller, delivery: str) -> DeliveryDetail:
        """Return a delivery with its body and its last 50 attempts; raise `WebhookNotFound`."""
        caller.require(Permission.WEBHOOKS_READ)
        async with self._db.read(caller.tenant) as session:
            found = await deliveries.one(session, caller.tenant, _id(delivery))
            if found is None:
                raise _missing(delivery)
            attempts = await deliveries.attempts(session, caller.tenant, delivery, limit=_MOST_ATTEMPTS)
        return DeliveryDetail(view=found[0], body=readable(found[1].encode()), attempts=tuple(attempts))

    async def redeliver(self, caller: Caller, delivery: str) -> None:
        """Send a delivery again, now, under the same ``webhook-id``.

        Raises:
            WebhookNotFound: there is no such delivery, or its subscription was deleted.
            WebhookIsOff: the subscription is turned off.
            AlreadySending: it is being sent at this moment.
        """
        caller.require(Permission.WEBHOOKS_WRITE)
        async with self._db.write(caller.tenant) as session:
            found = await deliveries.one(session, caller.tenant, _id(delivery))
            if found is None:
                raise _missing(delivery)
            await _row(session, caller, found[2], on=True)
            if not await deliveries.again(session, caller.tenant, delivery):
                raise AlreadySending("The delivery is being sent at this moment.")
            await self._record(session, caller, "redelivered", found[2], delivery=delivery)
            after_commit(session, lambda: self._live.notify_soon(deliveries_channel()))
        hit("webhooks.redeliver.after")

    async def redeliver_failed(self, caller: Caller, webhook: str) -> int:
        """Send all that were given up again; return how many. Raises `WebhookNotFound` and `WebhookIsOff`."""
        caller.require(Permission.WEBHOOKS_WRITE)
        async with self._db.write(caller.tenant) as session:
            await _row(session, caller, webhook, on=True)
            count = await deliveries.all_again(session, caller.tenant, webhook)
            await self._record(session, caller, "failed_redelivered", webhook, count=count)
            after_commit(session, lambda: self._live.notify_soon(deliveries_channel()))
        return count

    async def _record(self, session: AsyncSession, caller: Caller, what: str, webhook: str, **detail: object) -> None:
        await self._audit.record(session, caller, f"webhooks.{what}", webhook, **detail)
        after_commit(session, lambda: self._live.notify_soon(webhooks_channel(caller.tenant)))


def place_of(tenant: str, webhook: str) -> str:
    """Return the place that a subscription's secret is sealed for."""
    return f"{tenant};{webhook}"


def _checked(types: Sequence[str]) -> list[str]:
    for name in types:
        if name not in OFFERED:
            raise TypeNotOffered(f"There is no event type {name[:120]!r} for webhooks.", field="types")
    return sorted(set(types))


async def _view(session: AsyncSession, caller: Caller, webhook: str) -> WebhookView:
    found = await subscriptions.views(session, caller.tenant, _id(webhook), limit=1)
    if not found:
        raise _missing(webhook)
    return found[0]


async def _row(session: AsyncSession, caller: Caller, webhook: str, *, on: bool = False) -> SubscriptionRow:
    row = await subscriptions.found(session, caller.tenant, _id(webhook))
    if row is None:
        raise _missing(webhook)
    if on and not row.enabled:
        raise WebhookIsOff("The webhook is turned off.")
    return row


def _id(text: str) -> str:
    """Return an id as it may be asked for; what is none is not even looked for."""
    if not _ID.fullmatch(text):
        raise _missing(text)
    return text


def _cursor(text: str) -> str:
    """Return the id that a list goes on after, empty for its beginning."""
    if text and not _ID.fullmatch(text):
        raise Invalid("The cursor is none that was given.", field="before")
    return text


def _missing(text: str) -> WebhookNotFound:
    return WebhookNotFound(f"There is no webhook or delivery {text[:60]!r}.")

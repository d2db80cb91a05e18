"""What webhooks do with the events of the bus: a row for each subscription that wants one."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.webhooks.repository import deliveries
from backend.domain.webhooks.repository.subscriptions import Wanted, drop, wanted
from backend.domain.webhooks.rules.signing import body_of
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ids import new_id
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import deliveries_channel, webhooks_channel
from backend.foundation.live.service import Live

KNOWN_FOR_S = 0.5
"""What a process knows of the subscriptions is this old at most; so long a change waits before it is answered."""

OLDER_MS = 60_000
"""An event may be this much older than a subscription to it: the clocks of two machines may differ."""

_KEY = "webhooks"


class _Known(NamedTuple):
    read_s: float
    by_tenant: Mapping[str, list[Wanted]]


@dataclass(frozen=True, slots=True)
class _Tell:
    """Tells a channel after a commit; asked for twice, it does so once."""

    live: Live
    channel: str

    def __call__(self) -> None:
        self.live.notify_soon(self.channel)


class WebhookHandlers:
    """Handlers of the consumer ``webhooks``.

    Each process knows the subscriptions by heart, so that an event that nobody wants costs it no transaction. Once that
    knowledge is older than `KNOWN_FOR_S` the next event is taken for wanted, and the transaction that handles it reads
    the subscriptions anew. So whoever waits for as long after a change can be sure that each event published from then
    on is judged by it, without anybody having been told.
    """

    def __init__(self, live: Live, clock: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._clock = clock
        self._known = _Known(float("-inf"), {})

    def wants(self, event: Event) -> bool:
        """Whether somebody subscribed to this type, as far as is known; or that is known no more."""
        if self._clock() - self._known.read_s > KNOWN_FOR_S:
            return True
        return any(_fits(one, event) for one in self._known.by_tenant.get(event.tenant, ()))

    async def queue(self, session: AsyncSession, event: Event) -> None:
        """Write a delivery for each subscription of the event's tenant that wants it."""
        known = await self._look(session)
        mine = [one for one in known.by_tenant.get(event.tenant, ()) if _fits(one, event)]
        if not mine:
            return
        if full := [one.id for one in mine if one.full]:
            await drop(session, full)
        rows = [_row(one, event) for one in mine if not one.full]
        if rows:
            body = body_of(event)
            hit("webhooks.queue.before")
            await deliveries.queue(session, [row | {"body": body} for row in rows])
            after_commit(session, _Tell(self._live, deliveries_channel()))
        after_commit(session, _Tell(self._live, webhooks_channel(event.tenant)))

    async def _look(self, session: AsyncSession) -> _Known:
        """Read the subscriptions, once in a transaction."""
        known: _Known | None = session.info.get(_KEY)
        if known is None:
            read_s = self._clock()
            by_tenant: dict[str, list[Wanted]] = {}
            for one in await wanted(session):
                by_tenant.setdefault(one.tenant, []).append(one)
            known = session.info[_KEY] = self._known = _Known(read_s, by_tenant)
        return known


def _fits(one: Wanted, event: Event) -> bool:
    return (not one.types or event.type in one.types) and event.time_ms >= one.created_ms - OLDER_MS


def _row(one: Wanted, event: Event) -> dict[str, str]:
    return {
        "id": new_id("whd"),
        "tenant": event.tenant,
        "subscription": one.id,
        "event": f"{event.source} {event.id}",
        "type": event.type,
    }

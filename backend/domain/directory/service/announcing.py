"""How cards are made known: in the transaction of the change that they tell of."""

import hashlib
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import msgspec
import rfc8785
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.directory import repository
from backend.domain.directory.rules.cards import VALID_S, AgentFacts, Standing, card_of, sign_card, withdrawal
from backend.domain.directory.rules.keys import TenantKey
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CardAnnounced, CardWithdrawn
from backend.foundation.kernel.ids import TenantId

REFRESH_MS = 24 * 3_600_000
"""A card older than this is signed again, whoever looks next."""
_TENANTS = 256


class Keys:
    """The keys of tenants, each made when it is first needed.

    Args:
        secret: returns that of the installation.
        base: the installation's address, without a slash at its end.
    """

    def __init__(self, secret: Callable[[], bytes], base: str) -> None:
        self._secret = secret
        self.base = base
        self._made = lru_cache(_TENANTS)(self._make)

    def of(self, tenant: str, base: str = "") -> TenantKey:
        """Return a tenant's key; ``base`` is where its public half is told, by default here."""
        return self._made(tenant, base or self.base)

    @cached_property
    def _read(self) -> bytes:
        return self._secret()

    def _make(self, tenant: str, base: str) -> TenantKey:
        return TenantKey(self._read, tenant, f"{base}/a2a/keys/{tenant}")


class Announcer:
    """Writes cards and tells of them, within the unit of work of whoever changes an agent.

    Args:
        keeps_base: whether a card's address stays as it is.
    """

    def __init__(self, bus: BusService, keys: Keys, *, keeps_base: bool) -> None:
        self._bus = bus
        self._keys = keys
        self._keeps_base = keeps_base

    async def announce(self, session: AsyncSession, facts: AgentFacts, *, public: bool | None = None) -> bool:
        """Make a card if it would say anything new, or is a day old; return whether it was.

        Args:
            public: whether anybody may read it from now on; ``None`` leaves that as it is, at first not.
        """
        before = await repository.card(session, facts.tenant, facts.agent, for_change=True)
        now_ms = await repository.now(session)
        if public is None:
            public = bool(before.public) if before else False
        base = (_base_of(before) if before and self._keeps_base else "") or self._keys.base
        content = _digest(facts, public, base)
        kid = self._keys.of(facts.tenant).kid
        if before and _says(before, content, kid) and now_ms - before.sequence < REFRESH_MS:
            return False
        kept = before is not None and before.status == facts.status
        standing = Standing(
            sequence=_next(before, now_ms), since_ms=before.since_ms if before and kept else now_ms, public=public
        )
        await self._store(session, facts, standing, content, base)
        return True

    async def withdraw(self, session: AsyncSession, tenant: TenantId, agent: str) -> None:
        """Tell that an agent is gone; of one without a card nobody was told."""
        before = await repository.card(session, tenant, agent, for_change=True)
        if before is None or not before.card:
            return
        sequence = _next(before, await repository.now(session))
        proof = self._keys.of(tenant).compact(withdrawal(tenant, agent, sequence))
        gone = {"sequence": sequence, "card": "", "public": False, "content": ""}
        await repository.store(session, repository.values(before) | gone)
        event = Event(
            type="agents.card_withdrawn.v1", tenant=tenant, key=agent, source="/agents", subject=agent,
            data=CardWithdrawn(agent=agent, sequence=sequence, proof=proof),
        )  # fmt: skip
        await self._bus.publish(session, event)

    async def clean(self, session: AsyncSession, tenant: TenantId) -> None:
        """Forget withdrawals after which no older card would be believed anyway."""
        before_ms = await repository.now(session) - VALID_S * 1_000
        await repository.delete_withdrawn(session, tenant, before_ms=before_ms)

    async def _store(
        self, session: AsyncSession, facts: AgentFacts, standing: Standing, content: str, base: str
    ) -> None:
        key = self._keys.of(facts.tenant, base)
        card = rfc8785.dumps(sign_card(card_of(facts, standing, base), key)).decode()
        await repository.store(
            session,
            {
                "tenant": facts.tenant, "agent": facts.agent, "sequence": standing.sequence, "status": facts.status,
                "since_ms": standing.since_ms, "public": standing.public, "content": content, "kid": key.kid,
                "card": card,
            },
        )  # fmt: skip
        event = Event(
            type="agents.card_announced.v1", tenant=TenantId(facts.tenant), key=facts.agent, source="/agents",
            subject=facts.agent,
            data=CardAnnounced(agent=facts.agent, sequence=standing.sequence, valid_s=VALID_S, card=card),
        )  # fmt: skip
        await self._bus.publish(session, event)


def _says(row: Row[Any], content: str, kid: str) -> bool:
    return bool(row.card) and (row.content, row.kid) == (content, kid)


def _next(before: Row[Any] | None, now_ms: int) -> int:
    """Return the next sequence: the time, and never back where the clock was put back."""
    return max(now_ms, before.sequence + 1 if before else 0)


def _base_of(row: Row[Any]) -> str:
    """Return the address that a stored card tells; empty for one that was withdrawn."""
    url = msgspec.json.decode(row.card)["supportedInterfaces"][0]["url"] if row.card else ""
    return url.removesuffix(f"/a2a/{row.agent}")


def _digest(facts: AgentFacts, public: bool, base: str) -> str:
    """Return what tells whether a card would say anything new. Its form is a part: a new version of it is news."""
    form = card_of(facts, Standing(sequence=0, since_ms=0, public=public), base)
    return hashlib.sha256(msgspec.json.encode(form, order="deterministic")).hexdigest()

"""`Directory`: who is there, and how others are told."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.directory import repository
from backend.domain.directory.errors import CardNotFound
from backend.domain.directory.rules.book import Book, Known, Refused
from backend.domain.directory.rules.cards import VALID_S, AgentFacts, Mesh
from backend.domain.directory.service.announcing import Announcer, Keys
from backend.domain.directory.views import CardView, DirectoryView, FlowView, KeysView, Liveness, SkillView
from backend.foundation.bus.ports import Delivery
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import Undecodable, decode
from backend.foundation.events.types import CardAnnounced, CardWithdrawn
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.caller import Caller, Permission, system_caller
from backend.foundation.kernel.errors import NotFound, Unavailable
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry import metrics
from backend.foundation.telemetry.service import Telemetry
from backend.foundation.telemetry.views import RoleView

TYPES = ("agents.card_announced.v1", "agents.card_withdrawn.v1")
LOOK_S = 1.0
"""How often one who follows looks whether a worker lives; cards are heard at once."""

_SERVES = "agents"
_BOOKS = 64
_QUIET_S = 10.0
_log = structlog.get_logger("directory")


@dataclass(slots=True)
class _Open:
    """A tenant whose cards are known here: what its rows were at the last look, and the views made of them."""

    book: Book
    mark: tuple[int, int] = (-1, -1)
    views: dict[str, tuple[Known, RoleView, CardView]] = field(
        default_factory=dict[str, tuple[Known, RoleView, CardView]]
    )


class Directory:
    """The agents that are there, by their cards. Rows are the truth, events only say when to look.

    Args:
        db: where cards are.
        bus: what tells of them.
        telemetry: knows which processes live.
        secret: returns the installation's secret, of which keys are made.
        base: the address by which others reach the installation, without a slash at its end.
        keeps_base: whether cards that are there keep their address: for a command, which does not know under which
            flags the pages run.
    """

    def __init__(
        self,
        db: Database,
        bus: BusService,
        telemetry: Telemetry,
        secret: Callable[[], bytes],
        base: str,
        *,
        keeps_base: bool = False,
    ) -> None:
        self._db = db
        self._bus = bus
        self._telemetry = telemetry
        self._keys = Keys(secret, base)
        self._announcer = Announcer(bus, self._keys, keeps_base=keeps_base)
        self._books: OrderedDict[str, _Open] = OrderedDict()
        self._quiet_until = 0.0

    async def announce(self, session: AsyncSession, facts: AgentFacts, *, public: bool | None = None) -> bool:
        """Tell, in the transaction of its change, what an agent is now; return whether that was news.

        Args:
            public: whether anybody may read the card from now on; ``None`` leaves that as it is, at first not.
        """
        return await self._announcer.announce(session, facts, public=public)

    async def withdraw(self, session: AsyncSession, tenant: TenantId, agent: str) -> None:
        """Tell, in the transaction of its end, that an agent is gone."""
        await self._announcer.withdraw(session, tenant, agent)

    async def clean(self, session: AsyncSession, tenant: TenantId) -> None:
        """Forget old withdrawals."""
        await self._announcer.clean(session, tenant)

    async def agents(self, caller: Caller) -> DirectoryView:
        """Return the tenant's agents by name, those alone whose cards are believed; needs ``agents:read``."""
        caller.require(Permission.AGENTS_READ)
        opened, now_ms = await self._read(caller.tenant)
        role = await self._telemetry.role(system_caller(caller.tenant, "directory"), _SERVES)
        views = _views(opened, role, now_ms)
        return DirectoryView(
            agents=tuple(sorted(views, key=lambda one: (one.name, one.agent))), refused=opened.book.refused
        )

    async def agent(self, caller: Caller, agent: str) -> CardView:
        """Return one of the tenant's agents by its id; raise `CardNotFound`."""
        for view in (await self.agents(caller)).agents:
            if view.agent == agent:
                return view
        raise CardNotFound(f"There is no card of an agent {agent[:80]!r}.")

    async def follow(self, caller: Caller) -> AsyncGenerator[DirectoryView]:
        """Yield what `agents` returns, at first and whenever it has changed, until it is closed.

        While the bus is away changes are found by looking, a second later; raises `Unavailable` where rows are.
        """
        caller.require(Permission.AGENTS_READ)
        news = asyncio.Event()
        hearing = asyncio.create_task(self._listen(caller.tenant, news), name="directory-follow")
        try:
            shown: DirectoryView | None = None
            while not hearing.done():
                view = await self.agents(caller)
                if view != shown:
                    yield view
                    shown = view
                with contextlib.suppress(TimeoutError):
                    # `wait_for` of Python 3.11 may swallow a cancel that comes together with the news.
                    async with asyncio.timeout(LOOK_S):
                        await news.wait()
                news.clear()
            hearing.result()
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])

    async def public_card(self, agent: str = "") -> str:
        """Return the published card of an agent, or the only one of all; anybody may ask. Raises `CardNotFound`."""
        async with self._db.system_read() as session:
            found = await repository.public_cards(session, agent[:80])
        if len(found) != 1:
            words = (
                f"The agent {agent[:80]!r} has no public card." if agent else "There is not exactly one public card."
            )
            raise CardNotFound(words)
        return found[0]

    async def card(self, caller: Caller, agent: str) -> str:
        """Return the card of one of the caller's agents as it was announced; needs ``agents:read``."""
        caller.require(Permission.AGENTS_READ)
        async with self._db.read(caller.tenant) as session:
            row = await repository.card(session, caller.tenant, agent[:80])
        if row is None or not row.card:
            raise CardNotFound(f"There is no card of an agent {agent[:80]!r}.")
        return row.card

    async def keys(self, tenant: str) -> KeysView:
        """Return the public keys that verify a tenant's cards; anybody may ask. Raises `CardNotFound`."""
        async with self._db.system_read() as session:
            known = await repository.has_any(session, tenant[:80])
        if not known:
            raise CardNotFound(f"There are no cards of a tenant {tenant[:80]!r}.")
        return KeysView(jwks=msgspec.json.encode({"keys": [self._keys.of(tenant).jwk]}))

    async def _read(self, tenant: TenantId) -> tuple[_Open, int]:
        """Return what is known of a tenant, with all that its rows hold, and the time."""
        opened = self._open(tenant)
        book = opened.book
        async with self._db.read(tenant) as session:
            now_ms, mark = await repository.mark(session, tenant)
            if mark == opened.mark:
                return opened, now_ms
            stored = await repository.sequences(session, tenant)
            later = [agent for agent, sequence in stored.items() if sequence > book.sequence(agent)]
            rows = await repository.cards(session, tenant, later) if later else ()
        for row in rows:
            # In between the bus may have told of a later one.
            if row.sequence > book.sequence(row.agent):
                self._enter(book, row, now_ms)
        for agent in book.agents() - stored.keys():
            book.forget(agent)
        opened.mark = mark
        return opened, now_ms

    def _enter(self, book: Book, row: Row[Any], now_ms: int) -> None:
        if not row.card:
            book.without_card(row.agent, row.sequence)
            return
        data = CardAnnounced(agent=row.agent, sequence=row.sequence, valid_s=VALID_S, card=row.card)
        try:
            book.announced(data, now_ms=now_ms)
        except Refused as error:
            book.without_card(row.agent, row.sequence, refused=True)
            self._refused(row.tenant, row.agent, error.reason)

    def _open(self, tenant: str) -> _Open:
        opened = self._books.get(tenant)
        if opened is None:
            opened = self._books[tenant] = _Open(Book(tenant, self._keys.of(tenant)))
            while len(self._books) > _BOOKS:
                self._books.popitem(last=False)
        self._books.move_to_end(tenant)
        return opened

    async def _listen(self, tenant: TenantId, news: asyncio.Event) -> None:
        """Hear the bus for ever; whenever that begins (again), something may have been missed before."""
        backoff = Backoff()
        while True:
            try:
                async with self._bus.watch(*TYPES) as seen:
                    news.set()
                    await self._hear(seen, tenant, news)
            except (NotFound, Unavailable) as error:
                _log.info("cards_not_heard", reason=error.message)
            await backoff.wait()

    async def _hear(self, seen: AsyncIterator[Delivery], tenant: TenantId, news: asyncio.Event) -> None:
        async for delivery in seen:
            try:
                event = decode(delivery.message.headers, delivery.message.value)
            except Undecodable:
                continue
            if event.tenant != tenant or not isinstance(event.data, CardAnnounced | CardWithdrawn):
                continue
            try:
                if self._is_news(tenant, event.data):
                    news.set()
            except Refused as error:
                self._refused(tenant, event.data.agent, error.reason)

    def _is_news(self, tenant: TenantId, data: CardAnnounced | CardWithdrawn) -> bool:
        book = self._open(tenant).book
        if isinstance(data, CardWithdrawn):
            return book.withdrawn(data)
        return book.announced(data, now_ms=time.time_ns() // 1_000_000)

    def _refused(self, tenant: str, agent: str, reason: str) -> None:
        """Count what is not believed, and log some of it: a flood must not fill the log."""
        metrics.CARDS_REFUSED.labels(reason).inc()
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _QUIET_S
            _log.warning("card_refused", tenant=tenant, agent=agent[:80], reason=reason)


def _views(opened: _Open, role: RoleView, now_ms: int) -> list[CardView]:
    """Return the views of the cards that are believed, those of before where nothing has changed."""
    views = list[CardView]()
    role = replace(role, seen_ms=0) if role.alive else role
    for known in opened.book.cards(now_ms=now_ms):
        before = opened.views.get(known.agent)
        if before is None or before[0] is not known or before[1] != role:
            before = opened.views[known.agent] = (known, role, _view(known, role))
        views.append(before[2])
    for agent in opened.views.keys() - {view.agent for view in views}:
        del opened.views[agent]
    return views


def _view(known: Known, role: RoleView) -> CardView:
    card, mesh = known.card, known.mesh
    status, since_ms = _liveness(mesh, role)
    return CardView(
        agent=known.agent,
        name=card["name"],
        description=card["description"],
        version=card["version"],
        status=status,
        since_ms=since_ms,
        skills=tuple(
            SkillView(id=one["id"], name=one["name"], description=one["description"]) for one in card.get("skills", [])
        ),
        consumes=tuple(FlowView(**one) for one in mesh.consumes),
        produces=tuple(FlowView(**one) for one in mesh.produces),
        url=card["supportedInterfaces"][0]["url"],
        public=mesh.public,
        kid=known.kid,
        sequence=known.sequence,
        valid_until_ms=known.sequence + mesh.valid_seconds * 1_000,
        card=msgspec.json.format(msgspec.json.encode(card, order="deterministic"), indent=2).decode(),
    )


def _liveness(mesh: Mesh, role: RoleView) -> tuple[Liveness, int]:
    if mesh.status != "RUNNING":
        return "stopped", mesh.since
    if not role.alive:
        return "dead", role.seen_ms
    return "alive", max(mesh.since, role.started_ms)

"""Settings to adapters to rooms, and the one table of who handles what."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple

import structlog

from backend.adapters.database.database import SqlDatabase
from backend.app import Backend, use
from backend.bootstrap.outside import (
    allowed_by,
    model_clients,
    observe,
    open_budgets,
    open_bus,
    open_live,
    open_sandbox,
    open_webhook_sender,
    span_exporters,
)
from backend.bootstrap.secret import secret_of
from backend.bootstrap.settings import Settings
from backend.domain.agents.handlers import AgentHandlers
from backend.domain.agents.service import Agents
from backend.domain.chat.handlers import ChatHandlers
from backend.domain.chat.service import Chat
from backend.domain.directory.service import Directory
from backend.domain.flows.nodes import NODES
from backend.domain.flows.service.below import Below
from backend.domain.flows.service.commits import Committer
from backend.domain.flows.service.flows import Flows
from backend.domain.flows.service.preparation import Preparation
from backend.domain.flows.service.worker import RunWorker
from backend.domain.models.service import Models
from backend.domain.tools.service import Tools
from backend.domain.webhooks.handlers import WebhookHandlers
from backend.domain.webhooks.service import DeliveryWorker, Webhooks
from backend.foundation.audit.service import Audit
from backend.foundation.bus.service import BusService, Contract, DeadLetters, Handler, Wants
from backend.foundation.kernel import failpoints
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.errors import AutoWeaveError, Unavailable
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.sealing import Sealer
from backend.foundation.live.service import Live
from backend.foundation.telemetry.service import Limits, Telemetry
from backend.governance.identity.service import Identity
from backend.reads.asyncapi import document
from backend.reads.catalogue import Catalogue
from backend.reads.conversation import Conversations
from backend.reads.health import Health
from backend.reads.topics import Topics
from backend.reads.traces import Traces

_FIGURES_S = 2.0
_CARDS_S = 3_600.0
_log = structlog.get_logger("bootstrap")


class Built:
    """A process's rooms, and the loops that its roles run."""

    def __init__(self, backend: Backend, worker: RunWorker, deliveries: DeliveryWorker) -> None:
        self.backend = backend
        self.worker = worker
        self.deliveries = deliveries
        self._tasks: list[asyncio.Task[None]] = []
        self._agents_started = self._jobs_started = False

    async def prepare_tenants(self) -> None:
        """Give each tenant its starter tools and agent: those made before this version get what it brings."""
        for tenant in await self.backend.identity.tenants():
            await self.prepare_tenant(tenant)

    async def tell_of_the_document(self) -> None:
        """Tell every tenant when the document that the pages serve is another one than when a worker started last."""
        backend = self.backend
        contract = Contract(backend.database, backend.bus)
        await contract.tell(document(plan=backend.bus.plan), await backend.identity.tenants())

    async def prepare_tenant(self, tenant: TenantId) -> None:
        """Give one tenant its starter tools and agent, and its agents their cards."""
        await self.backend.tools.install_starters(tenant)
        await self.backend.agents.install_starter(tenant)
        await self.backend.agents.announce_all(tenant)

    async def start(self, roles: Collection[str], replaces: str, loaded: Callable[[], None] = lambda: None) -> None:
        """Begin the work of the roles; what needs the broker begins when it answers, runs do not wait for it.

        Args:
            roles: of the process.
            replaces: a dead worker whose leases are given back at once.
            loaded: called, some time after, when all that the process needs has been imported.
        """
        if "agents" in roles:
            await self.worker.start(replaces=replaces)
            self._agents_started = True
            await self._tell_figures()
            self._tasks.append(asyncio.create_task(self._renew_cards(), name="cards"))
        if "jobs" in roles:
            await self.deliveries.start(replaces=replaces)
            self._jobs_started = True
        self._tasks.append(asyncio.create_task(self._work_on_the_bus(roles), name="bus"))
        self._tasks.append(asyncio.create_task(self._warm_up(loaded), name="warm-up"))

    async def stop(self) -> None:
        """Take nothing new, let what is at work end, then send what it wrote; the rest waits in its rows."""
        await self.backend.bus.close()
        if self._agents_started:
            await self.worker.stop()
        if self._jobs_started:
            await self.deliveries.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _warm_up(self, loaded: Callable[[], None]) -> None:
        """Make ready what the first message would wait for."""
        if self._agents_started:
            await self.backend.tools.warm()
            await self.backend.models.warm()
        loaded()

    async def _renew_cards(self) -> None:
        """Let no card of a worker that runs for weeks grow old."""
        while True:
            await asyncio.sleep(_CARDS_S)
            try:
                for tenant in await self.backend.identity.tenants():
                    await self.backend.agents.announce_all(tenant)
            except AutoWeaveError as error:
                _log.warning("cards_not_renewed", reason=error.message)

    async def _tell_figures(self) -> None:
        """Put what only this process knows into its heartbeat, for the health page of another."""
        figure = self.backend.telemetry.figure
        figure("active_runs", lambda: self.worker.active)
        self._sandbox = await self.backend.tools.health()
        figure("sandbox_children", lambda: self._sandbox.children)
        figure("sandbox_calls", lambda: self._sandbox.calls)
        figure("sandbox_kills", lambda: self._sandbox.kills)
        self._tasks.append(asyncio.create_task(self._look_at_the_sandbox(), name="sandbox-figures"))

    async def _look_at_the_sandbox(self) -> None:
        while True:
            await asyncio.sleep(_FIGURES_S)
            self._sandbox = await self.backend.tools.health()

    async def _work_on_the_bus(self, roles: Collection[str]) -> None:
        bus = self.backend.bus
        await _until_available(bus.start)
        for name, consumer in consumers_of(self.backend).items():
            if consumer.role in roles:
                await _until_available(partial(bus.subscribe, name, consumer.handlers, wants=consumer.wants))
        if "relay" in roles:
            await bus.run_relay()


class Consumer(NamedTuple):
    """Who handles events: the role whose processes do, the function of each type, and which of them are wanted."""

    role: str
    handlers: Mapping[str, Handler]
    wants: Wants | None = None


def consumers_of(backend: Backend) -> dict[str, Consumer]:
    """Return who handles what, by the consumer's name."""
    agents = AgentHandlers(backend.agents, backend.bus, backend.live)
    chat = ChatHandlers(backend.live)
    webhooks = WebhookHandlers(backend.live)
    return {
        "agents": Consumer(
            "agents", {"chat.message_sent.v1": agents.message_sent, "agents.start_run.v1": agents.start_run}
        ),
        "chat": Consumer(
            "agents",
            {"flows.run_finished.v1": chat.run_finished, "agents.run_refused.v1": chat.run_refused},
            ChatHandlers.wants,
        ),
        "webhooks": Consumer("jobs", dict.fromkeys(backend.webhooks.types(), webhooks.queue), webhooks.wants),
    }


async def _until_available(attempt: Callable[[], Awaitable[None]]) -> None:
    backoff = Backoff()
    while True:
        try:
            return await attempt()
        except Unavailable as error:
            _log.warning("bus_unavailable", reason=error.message, hint=error.hint)
        await backoff.wait()


@asynccontextmanager
async def open_backend(settings: Settings, roles: Collection[str] = ("web",)) -> AsyncGenerator[Backend]:
    """Build the rooms of a process and make them `backend.app.current()`."""
    async with open_built(settings, roles, "") as built:
        yield built.backend


@asynccontextmanager
async def open_built(
    settings: Settings, roles: Collection[str], worker_id: str, member: str = ""
) -> AsyncGenerator[Built]:
    """Build the rooms of a process; everything is given back in the opposite order."""
    failpoints.arm(settings.failpoints)
    async with AsyncExitStack() as stack:
        built = await _build(settings, roles, worker_id, member, stack)
        use(built.backend)
        stack.callback(use, None)
        yield built


async def _build(
    settings: Settings, roles: Collection[str], worker_id: str, member: str, stack: AsyncExitStack
) -> Built:
    observe(settings, stack)
    db = SqlDatabase(settings.database_url)
    stack.push_async_callback(db.close)
    live = Live(open_live(settings))
    stack.push_async_callback(live.close)
    name = "web" if "web" in roles else "worker"
    limits = Limits(event_ratio=settings.trace_events)
    telemetry = Telemetry(db, name, roles=sorted(roles), limits=limits, exporters=span_exporters(settings, name))
    await telemetry.start()
    stack.push_async_callback(telemetry.close)
    bus = _bus_of(settings, db, live, worker_id, member)
    stack.push_async_callback(bus.close)
    audit = Audit(db)
    identity = Identity(db, live, audit)
    stack.push_async_callback(identity.close)
    _in_background(stack, identity.run(), "identity")
    budgets = open_budgets(settings)
    stack.push_async_callback(budgets.close)
    sandbox = await open_sandbox(settings, roles, stack)
    tools = Tools(db, sandbox)
    models = Models(model_clients(settings), settings.model)
    stack.push_async_callback(models.close)
    chat = Chat(db, bus, live)
    flows = Flows(db, bus, live)
    stack.push_async_callback(flows.close)
    directory = Directory(db, bus, telemetry, partial(secret_of, settings), settings.reached_by, keeps_base=not roles)
    agents = Agents(db, flows, tools, directory, audit)
    sealer = Sealer(partial(secret_of, settings), "webhooks")
    webhooks = Webhooks(db, audit, live, sealer, allowed_by(settings))
    backend = Backend(
        identity=identity, budgets=budgets, chat=chat, agents=agents, directory=directory, flows=flows, tools=tools,
        models=models, webhooks=webhooks, bus=bus,
        dead_letters=DeadLetters(db, bus, audit), live=live, audit=audit, telemetry=telemetry, database=db,
        conversations=Conversations(db, chat, flows),
        health=Health(db, live, bus, models, tools, telemetry, serves="web" in roles),
        topics=Topics(bus), traces=Traces(telemetry), catalogue=Catalogue(bus),
    )  # fmt: skip
    committer = Committer(db, bus)
    preparation = Preparation(db, live, committer, NODES, Below(db, models, tools).services())
    worker = RunWorker(db, bus, live, preparation.prepare, owner=worker_id)
    sender = open_webhook_sender(settings)
    stack.push_async_callback(sender.close)
    built = Built(backend, worker, DeliveryWorker(db, live, audit, sender, sealer, owner=worker_id))
    identity.on_tenant_created.append(built.prepare_tenant)
    return built


def _bus_of(settings: Settings, db: SqlDatabase, live: Live, worker_id: str, member: str) -> BusService:
    return BusService(
        open_bus(settings, named=bool(member)),
        db,
        live,
        member=member or worker_id,
        partitions=settings.bus_partitions,
        retention_ms=settings.bus_retention * 3_600_000,
    )


def _in_background(stack: AsyncExitStack, work: Coroutine[object, object, None], name: str) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)

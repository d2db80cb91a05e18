"""The verbs of agents."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.agents import repository
from backend.domain.agents.errors import CANNOT_START, AgentArchived, AgentNotFound, AgentNotRunning
from backend.domain.agents.rules import CONCIERGE, MAX_SUBJECT, checked_input, facts_of, key_trigger, starter_graph
from backend.domain.agents.views import AgentView
from backend.domain.directory.service import Directory
from backend.domain.flows.service.flows import Flows, RunStart
from backend.domain.flows.views import RunView
from backend.domain.tools.service import Tools
from backend.foundation.audit.service import Audit
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import AutoWeaveError, KeyReused
from backend.foundation.kernel.ids import AgentId, SnapshotId, TenantId, new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry.tracing import current_traceparent, span
from backend.governance.budgets.rules import Limits

_LONGEST_NAME = 80
_TOGETHER = 50
"""Cards that are looked at in one transaction at the start."""


class Agents:
    """The agents of a tenant, and the runs that are asked of them."""

    def __init__(self, db: Database, flows: Flows, tools: Tools, directory: Directory, audit: Audit) -> None:
        self._db = db
        self._flows = flows
        self._tools = tools
        self._directory = directory
        self._audit = audit

    async def list(self, caller: Caller) -> list[AgentView]:
        """Return the tenant's agents by name."""
        caller.require(Permission.AGENTS_READ)
        async with self._db.read(caller.tenant) as session:
            return [repository.agent_view(row) for row in await repository.agents(session)]

    async def get(self, caller: Caller, agent: str) -> AgentView:
        """Return an agent by id or slug; raise `AgentNotFound` for none of this tenant."""
        caller.require(Permission.AGENTS_READ)
        async with self._db.read(caller.tenant) as session:
            return repository.agent_view(await self._row(session, caller.tenant, agent))

    async def run(
        self, caller: Caller, agent: str, *, input: str, thread: str = "", idempotency_key: str = ""
    ) -> RunView:
        """Start a run and return it at once; the same ``idempotency_key`` with the same input gives the same run."""
        caller.require(Permission.AGENTS_RUN)
        input = checked_input(input, thread)
        trigger = key_trigger(caller.subject, idempotency_key) if idempotency_key else new_id("req")
        with span("agents.run", tenant=caller.tenant):
            async with self._db.write(caller.tenant) as session:
                row = await self._row(session, caller.tenant, agent)
                view = await self._flows.start(
                    session, _start(row, input=input, thread=thread, trigger=trigger, source="rest", by=caller.subject)
                )
        if view.input != input or view.thread != thread:
            raise KeyReused("This Idempotency-Key was used with another input or thread.", field="Idempotency-Key")
        return view

    async def start(self, caller: Caller, agent: str) -> AgentView:
        """Let an agent run again; needs ``agents:manage``. One that runs already stays as it is."""
        return await self._change(caller, agent, "RUNNING", "agents.started")

    async def stop(self, caller: Caller, agent: str) -> AgentView:
        """Let an agent take no new runs, those at work end; needs ``agents:manage``."""
        return await self._change(caller, agent, "STOPPED", "agents.stopped")

    async def terminate(self, caller: Caller, agent: str) -> None:
        """Stop an agent for good and withdraw its card; its chats and runs stay. Needs ``agents:manage``."""
        caller.require(Permission.AGENTS_MANAGE)
        async with self._db.write(caller.tenant) as session:
            row = await self._row(session, caller.tenant, agent)
            if await repository.set_status(session, caller.tenant, row.id, "STOPPED", archive=True):
                await self._directory.withdraw(session, caller.tenant, row.id)
                await self._audit.record(session, caller, "agents.terminated", row.id, name=row.name)

    async def publish(self, caller: Caller, agent: str) -> None:
        """Show an agent's card to anybody who asks; running it needs a key as before. Needs ``agents:publish``."""
        await self._show(caller, agent, public=True)

    async def unpublish(self, caller: Caller, agent: str) -> None:
        """Show an agent's card to its tenant alone; needs ``agents:publish``."""
        await self._show(caller, agent, public=False)

    async def announce_all(self, tenant: TenantId) -> None:
        """Make cards for agents that have none, or one that is old or of another version; for workers."""
        async with self._db.write(tenant) as session:
            await self._directory.clean(session, tenant)
            agents = [row.id for row in await repository.agents(session)]
        for some in (agents[at : at + _TOGETHER] for at in range(0, len(agents), _TOGETHER)):
            async with self._db.write(tenant) as session:
                for agent in some:
                    await self._announce(session, tenant, agent)

    async def start_for_event(
        self,
        session: AsyncSession,
        tenant: TenantId,
        agent: str,
        *,
        input: str,
        thread: str,
        trigger: str,
        source: str,
        by: str,
    ) -> None:
        """Start a run in an event's own unit of work; the event's id is the trigger, so that it starts one run."""
        row = await self._row(session, tenant, agent)
        by = by[:MAX_SUBJECT].replace("\x00", "")
        start = _start(row, input=checked_input(input, thread), thread=thread, trigger=trigger, source=source, by=by)
        await self._flows.start(session, start)

    async def refusals(self, caller: Caller, asked: Sequence[StartRun]) -> Sequence[AutoWeaveError | None]:
        """Return for each command why it would start no run as things are now, ``None`` where it would.

        For a door that can tell its sender at once; what holds is what is there when the command is handled. Needs
        ``events:publish``.
        """
        caller.require(Permission.EVENTS_PUBLISH)
        async with self._db.read(caller.tenant) as session:
            found = await repository.named(session, caller.tenant, {command.agent for command in asked})
        return [_refusal(command, found.get(command.agent)) for command in asked]

    async def install_starter(self, tenant: TenantId) -> None:
        """Give a tenant its starter agent; one that is there stays as it is."""
        async with self._db.write(tenant) as session:
            agent = AgentId(new_id("agt"))
            if await self._has(session, tenant, CONCIERGE.slug):
                return
            snapshot = await self._flows.publish_snapshot(session, tenant, agent, starter_graph(CONCIERGE))
            await repository.insert_agent(
                session,
                {
                    "id": agent, "tenant": tenant, "slug": CONCIERGE.slug, "name": CONCIERGE.name,
                    "description": CONCIERGE.description, "status": "RUNNING", "reason": "", "model": "",
                    "tools": list(CONCIERGE.tools), "prompts": list(CONCIERGE.prompts),
                    "limits": msgspec.to_builtins(Limits()), "snapshot": snapshot,
                },
            )  # fmt: skip
            await self._announce(session, tenant, agent)

    async def _change(self, caller: Caller, agent: str, status: str, action: str) -> AgentView:
        caller.require(Permission.AGENTS_MANAGE)
        async with self._db.write(caller.tenant) as session:
            row = await self._living(session, caller.tenant, agent)
            if await repository.set_status(session, caller.tenant, row.id, status):
                await self._announce(session, caller.tenant, row.id)
                await self._audit.record(session, caller, action, row.id, name=row.name)
            return repository.agent_view(await self._row(session, caller.tenant, row.id))

    async def _show(self, caller: Caller, agent: str, *, public: bool) -> None:
        caller.require(Permission.AGENTS_PUBLISH)
        async with self._db.write(caller.tenant) as session:
            row = await self._living(session, caller.tenant, agent)
            if await self._announce(session, caller.tenant, row.id, public=public):
                action = "agents.published" if public else "agents.unpublished"
                await self._audit.record(session, caller, action, row.id, name=row.name)

    async def _announce(
        self, session: AsyncSession, tenant: TenantId, agent: str, *, public: bool | None = None
    ) -> bool:
        # Locked: a card must not tell what somebody else changes at this moment.
        row = await repository.locked(session, tenant, agent)
        if row is None or row.archived_ms:
            return False
        tools = await self._tools.described(session, tenant, row.tools)
        return await self._directory.announce(session, facts_of(row, tools), public=public)

    async def _living(self, session: AsyncSession, tenant: TenantId, agent: str) -> Row[Any]:
        row = await self._row(session, tenant, agent)
        if row.archived_ms:
            raise AgentArchived(f"Agent {row.name!r} was terminated.")
        return row

    async def _has(self, session: AsyncSession, tenant: TenantId, slug: str) -> bool:
        return await repository.agent(session, tenant, slug) is not None

    async def _row(self, session: AsyncSession, tenant: TenantId, agent: str) -> Row[Any]:
        row = await repository.agent(session, tenant, agent)
        if row is None:
            raise _missing(agent)
        return row


def _missing(agent: str) -> AgentNotFound:
    return AgentNotFound(f"There is no agent {agent[:_LONGEST_NAME]!r}.")


def _refusal(command: StartRun, row: Row[Any] | None) -> AutoWeaveError | None:
    try:
        checked_input(command.input, command.thread)
        if row is None:
            raise _missing(command.agent)
        _check_running(row)
    except CANNOT_START as error:
        return error
    return None


def _check_running(row: Row[Any]) -> None:
    if row.archived_ms:
        raise AgentArchived(f"Agent {row.name!r} was terminated.")
    if row.status != "RUNNING":
        raise AgentNotRunning(f"Agent {row.name!r} is {row.status.lower()}.")


def _start(row: Row[Any], *, input: str, thread: str, trigger: str, source: str, by: str) -> RunStart:
    _check_running(row)
    return RunStart(
        tenant=TenantId(row.tenant),
        agent=AgentId(row.id),
        snapshot=SnapshotId(row.snapshot),
        input=input,
        trigger=trigger,
        source=source,
        subject=by,
        thread=thread,
        traceparent=current_traceparent(),
        limits=msgspec.convert(row.limits, Limits),
    )

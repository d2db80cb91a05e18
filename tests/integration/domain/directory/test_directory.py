"""BUS-7 AGT-3: agents announce signed cards with their changes, and a directory shows who lives."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from backend.adapters.valkey.bus import ValkeyBus
from backend.domain.agents.errors import AgentArchived, AgentNotFound
from backend.domain.agents.models import AgentRow
from backend.domain.agents.service import Agents
from backend.domain.directory.errors import CardNotFound
from backend.domain.directory.models import CardRow
from backend.domain.directory.rules.book import Book
from backend.domain.directory.rules.cards import VALID_S, card_of
from backend.domain.directory.rules.keys import TenantKey
from backend.domain.directory.service import Directory, announcing
from backend.domain.directory.service import directory as service
from backend.domain.directory.views import DirectoryView
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import decode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CardAnnounced, CardWithdrawn
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden
from backend.foundation.kernel.tables import now_ms
from backend.foundation.telemetry import metrics
from backend.foundation.telemetry.models import TelemetryProcess
from backend.foundation.telemetry.repository import delete_process, upsert_process
from tests.fixtures.door import BASE, Installation, installation, sqlite_installation
from tests.fixtures.engine import Engine
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration
__all__ = ["installation", "sqlite_installation"]

PATIENCE_S = 30.0


async def heard(views: AsyncGenerator[DirectoryView]) -> DirectoryView:
    async with asyncio.timeout(PATIENCE_S):
        return await anext(views)


def refusals(reason: str) -> float:
    return metrics.CARDS_REFUSED.labels(reason)._value.get()


async def announcements(engine: Engine) -> list[CardAnnounced | CardWithdrawn]:
    """What the topic holds, in its order."""
    found: list[CardAnnounced | CardWithdrawn] = []
    await with_topics(engine)
    async with aclosing(engine.backend.bus.replay("aw.cards", since_ms=0, limit=100)) as stored:
        async for delivery in stored:
            data = decode(delivery.message.headers, delivery.message.value).data
            assert isinstance(data, CardAnnounced | CardWithdrawn)
            found.append(data)
    return found


async def with_topics(engine: Engine) -> None:
    """The worker makes them at its start."""
    bus = engine.backend.bus

    async def there() -> bool:
        return "aw.cards" in {topic.name for topic in await bus.topics()}

    await until(there, PATIENCE_S)


async def emit(engine: Engine, data: CardAnnounced | CardWithdrawn, tenant: str = "") -> None:
    name = "agents.card_withdrawn.v1" if isinstance(data, CardWithdrawn) else "agents.card_announced.v1"
    owner = replace(engine.ada, tenant=tenant).tenant if tenant else engine.ada.tenant
    await engine.backend.bus.emit(Event(type=name, tenant=owner, key=data.agent, source="/forger", data=data))


async def test_who_follows_hears_each_change_of_an_agent_from_the_bus(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LOOK_S", 3_600.0)
    agents = engine.backend.agents
    async with aclosing(engine.backend.directory.follow(engine.ada)) as views:
        [first] = (await heard(views)).agents
        assert (first.name, first.status, first.public) == ("Concierge", "alive", False)
        assert {skill.id for skill in first.skills} >= {"ask", "dev.autoweave.calculator"}
        await agents.stop(engine.ada, "concierge")
        [stopped] = (await heard(views)).agents
        assert stopped.status == "stopped"
        assert stopped.since_ms >= first.since_ms
        await agents.start(engine.ada, "concierge")
        assert [one.status for one in (await heard(views)).agents] == ["alive"]
        await agents.publish(engine.ada, "concierge")
        assert [one.public for one in (await heard(views)).agents] == [True]
        await agents.terminate(engine.ada, "concierge")
        assert (await heard(views)).agents == ()
    assert await agents.list(engine.ada) == []


async def test_while_the_bus_is_away_changes_are_found_by_looking_and_heard_again_after(
    sqlite_installation: Installation, private_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, ada = sqlite_installation.backend, sqlite_installation.ada
    adapter = ValkeyBus(private_valkey.url, namespace="apart")
    bus = BusService(adapter, backend.database, backend.live, partitions=1)
    directory = Directory(backend.database, bus, backend.telemetry, lambda: b"0" * 32, BASE)
    private_valkey.kill()
    try:
        async with aclosing(directory.follow(ada)) as views:
            assert len((await heard(views)).agents) == 1
            await backend.agents.publish(ada, "concierge")
            assert [one.public for one in (await heard(views)).agents] == [True]
            private_valkey.start()
            await bus.start()
            # Looking is too slow for the rest: what comes is heard.
            monkeypatch.setattr(service, "LOOK_S", 3_600.0)
            following = asyncio.ensure_future(anext(views))
            forged = CardAnnounced(agent="agt_x", sequence=1, valid_s=VALID_S, card="{}")
            event = Event(
                type="agents.card_announced.v1", tenant=ada.tenant, key="agt_x", source="/forger", data=forged
            )
            counted = refusals("unsigned")

            async def refused() -> bool:
                await bus.emit(event)
                return refusals("unsigned") > counted

            await until(refused, PATIENCE_S)
            following.cancel()
            await asyncio.wait([following])
    finally:
        await bus.close()


async def test_a_change_that_is_none_tells_nobody(sqlite_engine: Engine) -> None:
    agents = sqlite_engine.backend.agents
    await until(lambda: _told(sqlite_engine, 1), PATIENCE_S)
    for _ in range(3):
        await agents.start(sqlite_engine.ada, "concierge")
        await agents.unpublish(sqlite_engine.ada, "concierge")
        await agents.announce_all(sqlite_engine.ada.tenant)
    await agents.stop(sqlite_engine.ada, "concierge")
    await until(lambda: _told(sqlite_engine, 2), PATIENCE_S)
    actions = [entry.action for entry in await sqlite_engine.backend.audit.entries(sqlite_engine.ada, action="agents.")]
    assert actions == ["agents.stopped"]


async def _told(engine: Engine, times: int) -> bool:
    found = len(await announcements(engine))
    assert found <= times
    return found == times


async def test_forged_and_replayed_cards_change_nothing_and_are_counted(sqlite_engine: Engine) -> None:
    agents, directory, ada = sqlite_engine.backend.agents, sqlite_engine.backend.directory, sqlite_engine.ada
    await agents.stop(ada, "concierge")
    await until(lambda: _told(sqlite_engine, 2), PATIENCE_S)
    old, new = await announcements(sqlite_engine)
    assert isinstance(new, CardAnnounced)
    before = await directory.agents(ada)
    counted = {reason: refusals(reason) for reason in ("replayed", "bad_signature", "too_long", "misplaced")}
    altered = CardAnnounced(
        agent=new.agent, sequence=new.sequence, valid_s=new.valid_s, card=new.card.replace("STOPPED", "RUNNING")
    )
    raised = CardAnnounced(agent=new.agent, sequence=new.sequence + 1, valid_s=new.valid_s, card=new.card)
    long = CardAnnounced(agent=new.agent, sequence=new.sequence + 1, valid_s=VALID_S, card="x" * 100_000)
    async with aclosing(directory.follow(ada)) as views:
        assert await heard(views) == before
        following = asyncio.ensure_future(anext(views))

        async def all_refused() -> bool:
            # Again and again: nobody can see from when on a follower hears.
            for data in (old, altered, raised, long):
                await emit(sqlite_engine, data)
            return all(refusals(reason) > count for reason, count in counted.items())

        await until(all_refused, PATIENCE_S)
        await agents.publish(ada, "concierge")
        async with asyncio.timeout(PATIENCE_S):
            [after] = (await following).agents
    assert (after.status, after.public) == ("stopped", True)


async def test_a_card_is_not_believed_after_its_withdrawal_nor_in_another_tenant(sqlite_engine: Engine) -> None:
    engine, directory = sqlite_engine, sqlite_engine.backend.directory
    garden = await engine.backend.identity.create_tenant("Garden", "bob@example.org", "a long passphrase of bob")
    bob = replace(engine.ada, tenant=garden, subject="usr_bob")
    [own] = (await directory.agents(bob)).agents
    [hers] = (await directory.agents(engine.ada)).agents
    assert (own.kid, own.agent) != (hers.kid, hers.agent)
    await engine.backend.agents.terminate(engine.ada, "concierge")
    await until(lambda: _told(engine, 3), PATIENCE_S)
    card = next(one for one in await announcements(engine) if one.agent == hers.agent)
    unknown, replayed = refusals("unknown_key"), refusals("replayed")
    async with aclosing(directory.follow(bob)) as views, aclosing(directory.follow(engine.ada)) as hers_now:
        assert (await heard(views)).agents == (own,)
        assert (await heard(hers_now)).agents == ()
        waiting = [asyncio.ensure_future(anext(one)) for one in (views, hers_now)]

        async def both_refused() -> bool:
            await emit(engine, card, tenant=garden)
            await emit(engine, card)
            return refusals("unknown_key") > unknown and refusals("replayed") > replayed

        await until(both_refused, PATIENCE_S)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    assert (await directory.agents(bob)).agents == (own,)
    assert (await directory.agents(engine.ada)).agents == ()


async def test_a_directory_made_of_the_bus_alone_knows_the_same(sqlite_engine: Engine, tmp_path: Path) -> None:
    agents, ada = sqlite_engine.backend.agents, sqlite_engine.ada
    await agents.publish(ada, "concierge")
    await until(lambda: _told(sqlite_engine, 2), PATIENCE_S)
    [shown] = (await sqlite_engine.backend.directory.agents(ada)).agents
    secret = (tmp_path / "secret.key").read_bytes()
    book = Book(ada.tenant, TenantKey(secret, ada.tenant, ""))
    for data in await announcements(sqlite_engine):
        assert isinstance(data, CardAnnounced)
        assert book.announced(data, now_ms=shown.sequence)
    [known] = book.cards(now_ms=shown.sequence)
    assert (known.agent, known.sequence, known.kid) == (shown.agent, shown.sequence, shown.kid)


async def test_two_who_change_an_agent_at_once_leave_one_card_that_fits_its_row(engine: Engine) -> None:
    agents, ada = engine.backend.agents, engine.ada
    changes = [agents.stop, agents.start, agents.publish, agents.unpublish] * 5
    await asyncio.gather(*(change(ada, "concierge") for change in changes))
    view = await agents.get(ada, "concierge")
    [shown] = (await engine.backend.directory.agents(ada)).agents
    assert shown.status == ("alive" if view.status == "RUNNING" else "stopped")

    async def all_told() -> bool:
        return shown.sequence in {one.sequence for one in await announcements(engine)}

    await until(all_told, PATIENCE_S)
    sequences = [one.sequence for one in await announcements(engine)]
    assert sequences == sorted(set(sequences))


async def test_an_agent_lives_while_it_runs_and_a_worker_was_seen_within_15_seconds(installation: Installation) -> None:
    backend, ada = installation.backend, installation.ada

    async def shown() -> tuple[str, int]:
        [one] = (await backend.directory.agents(ada)).agents
        return one.status, one.since_ms

    async def seen(ago_ms: int) -> int:
        async with backend.database.system_write() as session:
            values = {"seen_ms": now_ms() - ago_ms, "started_ms": now_ms() - ago_ms}
            await session.execute(update(TelemetryProcess).values(**values))
            return (await session.execute(select(col(TelemetryProcess.seen_ms)))).scalar_one()

    assert await shown() == ("dead", 0)
    async with backend.database.system_write() as session:
        process = {"id": "prc_1", "service": "worker", "roles": ["relay"], "host": "h", "pid": 1}
        await upsert_process(session, process | {"figures": {}, "samples": {}})
    assert await shown() == ("dead", 0)
    async with backend.database.system_write() as session:
        await session.execute(update(TelemetryProcess).values(roles=["agents", "relay"]))
    assert (await shown())[0] == "alive"
    await seen(13_000)
    assert (await shown())[0] == "alive"
    assert await seen(15_001) == (await shown())[1]
    assert (await shown())[0] == "dead"
    await backend.agents.stop(ada, "concierge")
    assert (await shown())[0] == "stopped"
    await backend.agents.start(ada, "concierge")
    async with backend.database.system_write() as session:
        await delete_process(session, "prc_1")
    assert await shown() == ("dead", 0)


async def test_a_stored_card_that_was_changed_by_another_hand_is_not_shown(sqlite_installation: Installation) -> None:
    backend, ada, bob = sqlite_installation.backend, sqlite_installation.ada, sqlite_installation.bob
    async with backend.database.write(ada.tenant) as session:
        row = (await session.execute(select(CardRow))).scalar_one()
        row.card = row.card.replace("Concierge", "Forger")
    view = await backend.directory.agents(ada)
    assert (view.agents, view.refused) == ((), 1)
    counted = refusals("bad_signature")
    assert (await backend.directory.agents(ada)).refused == 1
    assert refusals("bad_signature") == counted
    assert len((await backend.directory.agents(bob)).agents) == 1
    await backend.agents.stop(ada, "concierge")
    view = await backend.directory.agents(ada)
    assert ([one.name for one in view.agents], view.refused) == (["Concierge"], 0)


async def test_a_day_old_card_is_signed_again_and_old_withdrawals_are_forgotten(
    sqlite_installation: Installation,
) -> None:
    backend, ada = sqlite_installation.backend, sqlite_installation.ada

    async def age(days: int) -> None:
        async with backend.database.write(ada.tenant) as session:
            await session.execute(update(CardRow).values(sequence=now_ms() - days * 86_400_000))

    async def rows() -> list[int]:
        async with backend.database.read(ada.tenant) as session:
            return list((await session.execute(select(col(CardRow.sequence)))).scalars())

    [first] = await rows()
    await backend.agents.announce_all(ada.tenant)
    assert await rows() == [first]
    await age(2)
    await backend.agents.announce_all(ada.tenant)
    [again] = await rows()
    assert again > first
    await backend.agents.terminate(ada, "concierge")
    await backend.agents.announce_all(ada.tenant)
    assert len(await rows()) == 1
    await age(8)
    await backend.agents.announce_all(ada.tenant)
    assert await rows() == []


async def test_a_card_of_an_earlier_version_is_signed_and_told_anew_when_a_worker_starts(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLW-7: the cards of before said that nothing is streamed."""

    def earlier(*facts: Any) -> dict[str, Any]:
        card = card_of(*facts)
        return card | {"capabilities": card["capabilities"] | {"streaming": False}}

    async def shown() -> tuple[int, bool]:
        [one] = (await sqlite_engine.backend.directory.agents(sqlite_engine.ada)).agents
        return one.sequence, msgspec.json.decode(one.card)["capabilities"]["streaming"]

    monkeypatch.setattr(announcing, "card_of", earlier)
    await sqlite_engine.built.prepare_tenants()
    before, streams = await shown()
    assert not streams
    monkeypatch.undo()
    await sqlite_engine.built.prepare_tenants()
    after, streams = await shown()
    assert (after > before, streams) == (True, True)

    async def told() -> bool:
        found = await announcements(sqlite_engine)
        return any(isinstance(one, CardAnnounced) and one.sequence == after for one in found)

    await until(told, PATIENCE_S)
    await sqlite_engine.built.prepare_tenants()
    assert (await shown())[0] == after


async def test_what_the_clock_does_never_makes_a_sequence_go_back(sqlite_installation: Installation) -> None:
    backend, ada = sqlite_installation.backend, sqlite_installation.ada
    async with backend.database.write(ada.tenant) as session:
        await session.execute(update(CardRow).values(sequence=now_ms() + 3_600_000))
        ahead = (await session.execute(select(col(CardRow.sequence)))).scalar_one()
    await backend.agents.stop(ada, "concierge")
    async with backend.database.read(ada.tenant) as session:
        assert (await session.execute(select(col(CardRow.sequence)))).scalar_one() == ahead + 1


async def test_a_command_leaves_a_cards_address_and_the_installation_does_not(
    sqlite_installation: Installation,
) -> None:
    backend, ada = sqlite_installation.backend, sqlite_installation.ada

    def agents(base: str, *, keeps_base: bool) -> Agents:
        directory = Directory(
            backend.database, backend.bus, backend.telemetry, lambda: b"0" * 32, base, keeps_base=keeps_base
        )
        return Agents(backend.database, backend.flows, backend.tools, directory, backend.audit)

    [first] = (await backend.directory.agents(ada)).agents
    await agents("http://another.example", keeps_base=True).stop(ada, "concierge")
    [stopped] = (await backend.directory.agents(ada)).agents
    assert (stopped.status, stopped.url) == ("stopped", first.url)
    assert "another.example" not in stopped.card
    await agents("http://another.example", keeps_base=False).announce_all(ada.tenant)
    [moved] = (await backend.directory.agents(ada)).agents
    assert moved.url == f"http://another.example/a2a/{first.agent}"


async def test_each_verb_needs_its_permission_and_touches_no_other_tenant(sqlite_installation: Installation) -> None:
    backend, ada, bob = sqlite_installation.backend, sqlite_installation.ada, sqlite_installation.bob
    agents, directory = backend.agents, backend.directory
    [hers] = (await directory.agents(ada)).agents
    without = {
        Permission.AGENTS_MANAGE: (agents.start, agents.stop, agents.terminate),
        Permission.AGENTS_PUBLISH: (agents.publish, agents.unpublish),
        Permission.AGENTS_READ: (directory.agent, directory.card),
    }
    for permission, verbs in without.items():
        less = Caller(tenant=ada.tenant, subject="usr_x", permissions=frozenset(Permission) - {permission})
        for verb in verbs:
            with pytest.raises(Forbidden):
                await verb(less, hers.agent)
            with pytest.raises((AgentNotFound, CardNotFound)):
                await verb(bob, hers.agent)
    nobody = Caller(tenant=ada.tenant, subject="usr_x")
    with pytest.raises(Forbidden):
        await directory.agents(nobody)
    with pytest.raises(Forbidden):
        await anext(directory.follow(nobody))
    assert (await directory.agents(ada)).agents == (hers,)


async def test_a_terminated_agent_stays_for_its_chats_and_cannot_be_woken(sqlite_installation: Installation) -> None:
    backend, ada = sqlite_installation.backend, sqlite_installation.ada
    await backend.agents.terminate(ada, "concierge")
    await backend.agents.terminate(ada, "concierge")
    assert (await backend.agents.get(ada, "concierge")).status == "STOPPED"
    for verb in (backend.agents.start, backend.agents.stop, backend.agents.publish):
        with pytest.raises(AgentArchived):
            await verb(ada, "concierge")
    await backend.agents.install_starter(ada.tenant)
    await backend.agents.announce_all(ada.tenant)
    assert (await backend.directory.agents(ada)).agents == ()
    async with backend.database.read(ada.tenant) as session:
        assert len((await session.execute(select(AgentRow))).scalars().all()) == 1
    entries = await backend.audit.entries(ada, action="agents.terminated")
    assert len(entries) == 1

"""Members of a group on Kafka and on Valkey: sharing, leaving, dying, pausing, being fenced."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from backend.foundation.bus.ports import Bus
from backend.foundation.kernel.errors import Conflict, Fenced
from tests.contract.members import (
    DEADLINE_S,
    PARTITIONS,
    Collector,
    Mesh,
    by_key,
    join,
    message,
    publish,
    received,
    without_repeats,
)
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract

KEYS = [f"k{number}" for number in range(16)]


async def _shared(*sinks: Collector) -> None:
    """Wait until the members have all partitions between them, each some."""
    await until(
        lambda: all(sink.owned for sink in sinks) and sum(len(sink.owned) for sink in sinks) == PARTITIONS, DEADLINE_S
    )


async def test_members_of_a_group_share_the_partitions(bus: Bus, mesh: Mesh) -> None:
    """BUS-1: each message goes to one of them."""
    one = await join(bus)
    two = await join(await mesh.make(), member="two")
    await _shared(one, two)
    assert not one.owned & two.owned
    await publish(bus, [message(key, number) for number in range(10) for key in KEYS])
    await until(lambda: len(one.deliveries) + len(two.deliveries) >= 160, DEADLINE_S)
    assert one.deliveries
    assert two.deliveries
    assert sorted(one.values() + two.values()) == sorted(str(number) for number in range(10) for _ in KEYS)


async def test_nothing_is_lost_or_overtaken_when_members_come_and_go(bus: Bus, mesh: Mesh) -> None:
    """BUS-3: messages written during each change arrive, in order by key."""
    one = await join(bus)
    one.commits_when_revoked = True
    total = 0

    async def write() -> None:
        nonlocal total
        for number in range(20):
            await publish(bus, [message(key, total + number) for key in KEYS])
        total += 20

    await write()
    joining = asyncio.create_task(join(await mesh.make(), member="two"))
    await write()
    two = await joining
    two.commits_when_revoked = True
    await _shared(one, two)
    await write()
    assert two.reader is not None
    await two.reader.stop()
    await until(lambda: len(one.owned) == PARTITIONS, DEADLINE_S)
    await write()

    expected = {(key, str(number)) for key in KEYS for number in range(total)}
    await until(
        lambda: {(e.message.key, e.message.value.decode()) for e in (*one.deliveries, *two.deliveries)} == expected,
        DEADLINE_S,
    )
    for sink in (one, two):
        for values in by_key(sink.deliveries).values():
            fresh = [int(value) for value in without_repeats(values)]
            assert fresh == sorted(fresh)


async def test_what_was_committed_when_revoked_is_not_delivered_again(bus: Bus, mesh: Mesh) -> None:
    """BUS-3: a sink may commit while it lets go."""
    await publish(bus, [message(key, number) for number in range(5) for key in KEYS])
    one = await join(bus)
    one.commits_when_revoked = True
    await received(one, 80)
    two = await join(await mesh.make(), member="two")
    await _shared(one, two)
    await publish(bus, [message(key, "last") for key in KEYS])
    await until(lambda: (one.values() + two.values()).count("last") == len(KEYS), DEADLINE_S)
    assert set(two.values()) <= {"last"}


async def test_a_member_that_stops_lets_the_others_have_its_partitions_at_once(bus: Bus, mesh: Mesh) -> None:
    """BUS-1."""
    one = await join(bus)
    two = await join(await mesh.make(), member="two")
    await _shared(one, two)
    assert one.reader is not None
    await one.reader.stop()
    assert one.names()[-1] == "revoked"
    assert not one.owned
    await until(lambda: len(two.owned) == PARTITIONS, DEADLINE_S)


async def test_stopping_twice_is_fine(bus: Bus) -> None:
    """BUS-1."""
    sink = await join(bus)
    assert sink.reader is not None
    await sink.reader.stop()
    await sink.reader.stop()
    assert sink.names().count("revoked") == 1


async def test_a_commit_is_refused_when_another_owns_the_partition(bus: Bus, mesh: Mesh) -> None:
    """BUS-3: a member that was overtaken cannot move the group's position."""
    await publish(bus, [message(key, number) for number in range(5) for key in KEYS])
    one = await join(bus)
    await received(one, 80)
    two = await join(await mesh.make(), member="two")
    await _shared(one, two)
    gone = next(iter(two.owned))
    assert one.reader is not None
    with pytest.raises(Fenced):
        await one.reader.commit({gone: one.last()[gone]})


async def test_a_commit_is_refused_after_leaving(bus: Bus) -> None:
    """BUS-3."""
    await publish(bus, [message("k", 1)])
    sink = await join(bus)
    await received(sink, 1)
    assert sink.reader is not None
    await sink.reader.stop()
    with pytest.raises(Fenced):
        await sink.reader.commit(sink.last())


async def test_long_work_costs_neither_membership_nor_the_delivery_of_other_messages(bus: Bus, mesh: Mesh) -> None:
    """BUS-3: nothing is committed for much longer than a silent member would be missed."""
    await publish(bus, [message(key, number) for number in range(3) for key in KEYS])
    sink = await join(bus)
    await received(sink, 48)
    with pytest.raises(TimeoutError):
        await until(lambda: "revoked" in sink.names() or "lost" in sink.names(), mesh.session_s * 3)
    await publish(bus, [message("new", 1)])
    await received(sink, 49)
    assert sink.reader is not None
    await sink.reader.commit(sink.last())
    assert sink.names() == ["assigned"]
    assert await bus.lag("aw.test") == {"orders": 0}


async def test_a_paused_partition_waits_and_the_others_go_on(bus: Bus, mesh: Mesh) -> None:
    """BUS-3: back-pressure keeps the membership, and loses and repeats nothing."""
    sink = await join(bus)
    await publish(bus, [message(key, 0) for key in KEYS])
    await received(sink, len(KEYS))
    paused = sink.deliveries[0].partition
    theirs = {each.message.key for each in sink.deliveries if each.partition == paused}
    others = set(KEYS) - theirs
    assert sink.reader is not None
    sink.reader.pause([paused])
    await publish(bus, [message(key, number) for number in range(1, 50) for key in KEYS])
    await received(sink, len(KEYS) + 49 * len(others))
    with pytest.raises(TimeoutError):
        await until(lambda: "revoked" in sink.names(), mesh.session_s * 2)
    # What was on its way when the pause was asked for may still come.
    assert all(len(by_key(sink.deliveries)[key]) < 50 for key in theirs)
    sink.reader.resume([paused])
    await received(sink, 50 * len(KEYS))
    assert by_key(sink.deliveries) == {key: [str(number) for number in range(50)] for key in KEYS}


@asynccontextmanager
async def _child(mesh: Mesh) -> AsyncGenerator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contract.child", mesh.kind, mesh.url, mesh.namespace),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _said(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        return (await child.stdout.readline()).decode().strip()


@pytest.mark.crash
async def test_what_a_killed_member_had_not_committed_is_delivered_again(bus: Bus, mesh: Mesh) -> None:
    """BUS-1 BUS-3: a process that read and did not commit ends by SIGKILL."""
    await publish(bus, [message(key, number) for number in range(5) for key in KEYS])
    async with _child(mesh) as child:
        committed = int(await _said(child))
        child.kill()
    heir = await join(bus, member="heir")
    await received(heir, 80 - committed)
    assert 0 < committed < 80
    assert len(heir.deliveries) == 80 - committed
    for values in by_key(heir.deliveries).values():
        assert values == [str(number) for number in range(5)][-len(values) :]


@pytest.mark.crash
async def test_a_member_that_was_thought_dead_cannot_commit_any_more(bus: Bus, mesh: Mesh) -> None:
    """BUS-3: a process that hung (SIGSTOP) wakes up when another owns its partitions."""
    await publish(bus, [message(key, number) for number in range(5) for key in KEYS])
    async with _child(mesh) as zombie:
        committed = int(await _said(zombie))
        os.kill(zombie.pid, signal.SIGSTOP)
        heir = await join(bus, member="heir")
        await until(lambda: len(heir.owned) == PARTITIONS, DEADLINE_S)
        await received(heir, 80 - committed)
        os.kill(zombie.pid, signal.SIGCONT)
        assert zombie.stdin is not None
        zombie.stdin.write(b"\n")
        assert await _said(zombie) == "fenced"
        assert await bus.lag("aw.test") == {"orders": 80 - committed}


async def test_a_group_is_deleted_once_it_has_no_members(bus: Bus) -> None:
    """BUS-10: what a load has made is gone after it; the next group of that name begins at the beginning."""
    await publish(bus, [message("k", 1)])
    one = await join(bus)
    await received(one, 1)
    with pytest.raises(Conflict):
        await bus.delete_group("aw.test")
    assert one.reader is not None
    await one.reader.commit({one.deliveries[0].partition: one.deliveries[0].offset})
    await one.reader.stop()
    assert await bus.lag("aw.test") == {"orders": 0}
    await bus.delete_group("aw.test")
    assert await bus.lag("aw.test") == {}
    again = await join(bus)
    await received(again, 1)
    await bus.delete_group("aw.nobody")


async def test_the_members_of_a_group_are_told_with_what_they_own(bus: Bus, mesh: Mesh) -> None:
    """BUS-1 BUS-10: name, host and partitions, as long as they are members."""
    assert await bus.members("aw.test") == []
    await bus.create_topic("more", partitions=2)
    one, two = await join(bus), await join(await mesh.make(), member="two")
    await _shared(one, two)

    async def told(*sinks: Collector) -> bool:
        return [set(member.partitions) for member in await bus.members("aw.test")] == [sink.owned for sink in sinks]

    await until(lambda: told(one, two), DEADLINE_S)
    members = await bus.members("aw.test")
    assert [member.name for member in members] == ["one", "two"]
    assert all(member.host for member in members)
    assert two.reader is not None
    await two.reader.stop()
    await until(lambda: len(one.owned) == PARTITIONS, DEADLINE_S)
    await until(lambda: told(one), DEADLINE_S)
    assert await bus.members("aw.other") == []


@pytest.mark.crash
async def test_a_killed_member_is_told_no_longer(bus: Bus, mesh: Mesh) -> None:
    """BUS-10."""
    await publish(bus, [message(key, number) for number in range(5) for key in KEYS])
    async with _child(mesh) as child:
        await _said(child)
        assert [member.name for member in await bus.members("aw.test")] == ["child"]
        child.kill()

    async def gone() -> bool:
        return await bus.members("aw.test") == []

    await until(gone, DEADLINE_S)

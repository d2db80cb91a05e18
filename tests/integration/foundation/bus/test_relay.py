"""The relay: from the outbox to the broker, whatever fails."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select, update

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.audit.service import Audit
from backend.foundation.bus import repository, rules
from backend.foundation.bus.models import LeaseRow, OutboxRow
from backend.foundation.bus.ports import Message
from backend.foundation.bus.service import BusService, DeadLetters
from backend.foundation.bus.service.lease import ShardLease
from backend.foundation.events import codec
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.tables import now_ms
from backend.foundation.live.service import Live
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until
from tests.integration.foundation.bus.conftest import ServiceFactory
from tests.integration.foundation.bus.events import START, TENANT, Seen, publish, start_run

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RETRIES", rules.Retries(first_s=0.01, longest_s=0.01))


class FaultyBus(ValkeyBus):
    """The real one, except that it refuses keys, or everything, as a test says; keeps what it wrote, in order."""

    def __init__(self, url: str, *, namespace: str) -> None:
        super().__init__(url, namespace=namespace)
        self.refused: set[str] = set()
        self.down = 0
        self.written: list[str] = []

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        if self.down:
            self.down -= 1
            return [Unavailable("The broker is away.") for _ in messages]
        good = [message for message in messages if message.key not in self.refused]
        assert set(await super().publish(good)) <= {None}
        self.written += [message.key + input_of(message) for message in good]
        return [ValueError("refused") if message.key in self.refused else None for message in messages]


def input_of(message: Message) -> str:
    data = codec.decode(message.headers, message.value, message.key).data
    assert isinstance(data, StartRun)
    return data.input


@pytest.fixture
def broker(valkey_url: str, valkey_namespace: str) -> FaultyBus:
    return FaultyBus(valkey_url, namespace=valkey_namespace)


@asynccontextmanager
async def relaying(bus: BusService) -> AsyncGenerator[None]:
    task = asyncio.create_task(bus.run_relay())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def lease(database: SqlDatabase) -> LeaseRow:
    async with database.system_read() as session:
        return (await session.execute(select(LeaseRow))).scalar_one()


async def has_lease(database: SqlDatabase) -> bool:
    async with database.system_read() as session:
        held = select(func.count()).select_from(LeaseRow).where(LeaseRow.__table__.c.until_ms > now_ms())
        return bool((await session.execute(held)).scalar_one())


async def unsent(database: SqlDatabase) -> int:
    async with database.system_read() as session:
        return (await repository.backlog(session))[0]


async def test_a_refused_event_holds_up_its_key_only_and_is_sent_before_what_follows(
    services: ServiceFactory, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5."""
    bus = await services(broker=broker)
    broker.refused = {"bad"}
    async with relaying(bus):
        for number in range(3):
            await publish(bus, database, start_run(number, key="bad"), start_run(number, key="good"))
        await until(lambda: broker.written == ["good0", "good1", "good2"])
        broker.refused = set()
        await until(lambda: broker.written[3:] == ["bad0", "bad1", "bad2"])
    assert await unsent(database) == 0


async def test_an_event_that_is_refused_once_is_still_sent_before_all_that_follow_with_its_key(
    services: ServiceFactory, valkey_url: str, valkey_namespace: str, database: SqlDatabase
) -> None:
    """BUS-5: also those of later batches, when the broker has changed its mind in between."""

    class RefusesOnce(FaultyBus):
        async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
            results = await super().publish(messages)
            self.refused = set()
            return results

    broker = RefusesOnce(valkey_url, namespace=valkey_namespace)
    bus = await services(broker=broker)
    broker.refused = {"bad"}
    keys = ["bad" if number in {0, 600, 1_100} else f"good-{number % 7}-" for number in range(1_200)]
    await publish(bus, database, *(start_run(number, key=key) for number, key in enumerate(keys)))
    async with relaying(bus):
        await until(lambda: len(broker.written) == len(keys))
    assert [each for each in broker.written if each.startswith("bad")] == ["bad0", "bad600", "bad1100"]
    assert await unsent(database) == 0


async def test_large_events_go_out_in_order_among_small_ones(
    services: ServiceFactory, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5: what is large is read apart, so that a batch of it does not fill the memory."""
    bus = await services(broker=broker)

    def event(number: int) -> Event:
        data = StartRun(agent="a", input=("é" * 300_000 if number % 3 == 0 else "") + f"#{number}")
        return Event(type=START, tenant=TENANT, key=f"k{number % 2}", source="/test", data=data)

    await publish(bus, database, *map(event, range(40)))
    async with relaying(bus):
        await until(lambda: len(broker.written) == 40)
    for key in ("k0", "k1"):
        numbers = [int(each.rpartition("#")[2]) for each in broker.written if each.startswith(key)]
        assert numbers == list(range(int(key[1]), 40, 2))
    assert await unsent(database) == 0


async def test_an_event_that_is_always_refused_becomes_a_dead_letter(
    services: ServiceFactory, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5 BUS-4: its key goes on."""
    bus = await services(broker=broker)
    letters = DeadLetters(database, bus, Audit(database))
    broker.refused = {"bad"}
    caller = Caller(tenant=TENANT, subject="usr_1", permissions=frozenset({Permission.BUS_REPAIR}))

    async def given_up() -> bool:
        return bool(await letters.letters(caller, consumer="relay"))

    async with relaying(bus):
        await publish(bus, database, start_run(1, key="bad"))
        await until(given_up)
        broker.refused = set()
        await publish(bus, database, start_run(2, key="bad"))
        await until(lambda: broker.written == ["bad2"])


async def test_while_the_broker_is_away_events_wait_and_what_it_may_have_lost_goes_again(
    services: ServiceFactory, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5: in order; receivers deduplicate."""
    bus = await services(broker=broker)
    async with relaying(bus):
        await publish(bus, database, start_run(0))
        await until(lambda: broker.written == ["k0"])
        await until(lambda: _nothing_waits(database))
        broker.down = 3
        await publish(bus, database, start_run(1))
        await until(lambda: broker.written == ["k0", "k0", "k1"])
        await until(lambda: _nothing_waits(database))


async def _nothing_waits(database: SqlDatabase) -> bool:
    return await unsent(database) == 0


async def test_one_of_two_relays_works_and_the_other_takes_over_when_it_leaves(
    services: ServiceFactory, database: SqlDatabase, broker: FaultyBus
) -> None:
    """BUS-5: at once, without sending anything twice, and in order."""
    first, second = await services(broker=broker), await services()
    seen = Seen()
    await second.subscribe("starter", {START: seen})
    async with relaying(second):
        async with relaying(first):
            await until(lambda: has_lease(database))
            epoch = (await lease(database)).epoch
            for number in range(30):
                await publish(second, database, start_run(number))
            await until(lambda: seen.count == 30)
            assert (await lease(database)).epoch == epoch
        for number in range(30, 60):
            await publish(second, database, start_run(number))
        await until(lambda: seen.count == 60, 15)
    assert seen.inputs == {"k": list(range(60))}


async def test_when_a_relay_dies_another_takes_over_and_sends_again_what_may_be_lost(
    services: ServiceFactory, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5: after its lease has ended."""
    bus = await services(broker=broker)
    dead = ShardLease(database, owner="dead", shard=0)
    assert await dead.hold()
    await publish(bus, database, start_run(1))
    async with database.system_write() as session:
        await session.execute(update(OutboxRow).values(sent_ms=now_ms()))
    await publish(bus, database, start_run(2))
    async with database.system_write() as session:
        await session.execute(update(LeaseRow).values(until_ms=now_ms() + 300))
    async with relaying(bus):
        await until(lambda: broker.written == ["k1", "k2"])
    async with database.system_write() as session:
        assert not await repository.mark_sent(session, dead.name, dead.epoch, [1])
        assert not await repository.renew_lease(session, dead.name, dead.epoch, 1000)


async def test_a_relay_that_was_restarted_goes_on_at_once(database: SqlDatabase) -> None:
    """BUS-5: its name is the same, so that the lease which it left is its own."""
    dead, stranger = ShardLease(database, owner="worker-1", shard=0), ShardLease(database, owner="worker-2", shard=0)
    assert await dead.hold()
    assert not await stranger.hold()
    again = ShardLease(database, owner="worker-1", shard=0)
    assert await again.hold()
    assert again.epoch == dead.epoch + 1


async def test_a_relay_that_lost_its_lease_does_not_mark_anything_and_stands_by(
    services: ServiceFactory, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5."""
    bus = await services(broker=broker)
    async with relaying(bus):
        await until(lambda: has_lease(database))
        async with database.system_write() as session:
            await session.execute(update(LeaseRow).values(owner="other", epoch=99, until_ms=now_ms() + 60_000))
        await publish(bus, database, start_run(1))
        await until(lambda: bool(broker.written))
        with pytest.raises(TimeoutError):
            await until(lambda: _nothing_waits(database), 0.5)
    assert (await lease(database)).epoch == 99


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_id_that_commits_late_is_not_overlooked(
    services: ServiceFactory, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5: PostgreSQL gives ids out before the commit."""
    bus = await services(broker=broker)
    async with relaying(bus):
        async with database.write(TENANT) as late:
            await bus.publish(late, start_run(1, key="late"))
            await late.run_sync(lambda session: session.dispatch.before_commit(session))
            await publish(bus, database, start_run(2, key="early"))
            await until(lambda: broker.written == ["early2"])
        await until(lambda: broker.written == ["early2", "late1"])


async def test_shards_divide_the_keys_and_lose_none(
    valkey_url: str, valkey_namespace: str, broker: FaultyBus, database: SqlDatabase
) -> None:
    """BUS-5."""
    live = Live(ValkeyLive(valkey_url, namespace=valkey_namespace))
    bus = BusService(broker, database, live, relay_shards=3)
    await bus.start()
    async with relaying(bus):
        await publish(bus, database, *[start_run(number % 5, key=f"k{number // 5}-") for number in range(100)])
        await until(lambda: len(broker.written) == 100)
    for key in range(20):
        assert [each for each in broker.written if each.startswith(f"k{key}-")] == [f"k{key}-{n}" for n in range(5)]
    await bus.close()
    await live.close()


async def test_events_outlive_a_crash_of_the_broker(private_valkey: PrivateValkey, database: SqlDatabase) -> None:
    """BUS-5 BUS-3: published while it is down, handled once when it is back."""
    live = Live(ValkeyLive(private_valkey.url))
    bus = BusService(ValkeyBus(private_valkey.url, lease_ms=1500), database, live)
    await bus.start()
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    async with relaying(bus):
        await publish(bus, database, *[start_run(number) for number in range(50)])
        await until(lambda: seen.count >= 50)
        private_valkey.kill()
        for number in range(50, 100):
            await publish(bus, database, start_run(number))
        await asyncio.to_thread(private_valkey.start)
        await until(lambda: seen.count >= 100, 30)
    assert seen.inputs == {"k": list(range(100))}
    await bus.close()
    await live.close()

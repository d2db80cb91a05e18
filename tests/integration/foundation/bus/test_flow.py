"""Events from a transaction to a handler, over real databases and a real Valkey."""

import asyncio
from contextlib import suppress

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.adapters.database.database import SqlDatabase
from backend.foundation.bus import rules
from backend.foundation.bus.models import InboxRow, OutboxRow
from backend.foundation.bus.ports import Message
from backend.foundation.bus.service import BusService, DeadLetters, cleaning, work
from backend.foundation.bus.views import DeadLetterView
from backend.foundation.events import codec
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Conflict, Forbidden, TooLarge
from backend.foundation.kernel.ids import TenantId
from tests.fixtures.waiting import until
from tests.integration.foundation.bus.conftest import ServiceFactory
from tests.integration.foundation.bus.events import START, TENANT, Seen, no_lag, publish, start_run

pytestmark = pytest.mark.integration

READER = Caller(tenant=TENANT, subject="usr_1", permissions=frozenset({Permission.BUS_REPAIR}))


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RETRIES", rules.Retries(first_s=0.01, longest_s=0.01))


async def count(database: SqlDatabase, model: type[InboxRow] | type[OutboxRow]) -> int:
    async with database.system_read() as session:
        return (await session.execute(select(func.count()).select_from(model))).scalar_one()


@pytest.mark.usefixtures("relay")
async def test_events_of_committed_transactions_are_handled_once_in_order(
    bus: BusService, database: SqlDatabase
) -> None:
    """BUS-5 BUS-3."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    for number in range(100):
        await publish(bus, database, start_run(number, key=f"k{number % 7}"))
    await until(lambda: seen.count >= 100)
    assert seen.inputs == {f"k{key}": list(range(key, 100, 7)) for key in range(7)}
    await until(lambda: no_lag(bus))
    assert (await bus.outbox()).waiting == 0


@pytest.mark.usefixtures("relay")
async def test_an_event_of_a_transaction_that_was_rolled_back_is_never_told(
    bus: BusService, database: SqlDatabase
) -> None:
    """BUS-5."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    with suppress(RuntimeError):
        async with database.write(TENANT) as session:
            await bus.publish(session, start_run(1))
            raise RuntimeError
    await publish(bus, database, start_run(2))
    await until(lambda: seen.count >= 1)
    assert seen.inputs == {"k": [2]}


async def test_a_relay_that_was_not_woken_finds_the_events_by_itself(
    services: ServiceFactory, bus: BusService, database: SqlDatabase
) -> None:
    """BUS-5: the notice is a hint; this one was lost."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    relay = asyncio.create_task(bus.run_relay())
    other = await services()
    other._wake_relay = lambda: None  # type: ignore[method-assign] # pyright: ignore[reportPrivateUsage]
    await publish(other, database, start_run(1))
    await until(lambda: seen.count == 1)
    relay.cancel()
    await asyncio.wait([relay])


async def test_the_same_event_twice_is_handled_once(bus: BusService) -> None:
    """BUS-3: by tenant, source and id; also within one batch."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    event = start_run(1)
    other_tenant = msgspec.structs.replace(event, tenant=TenantId("ten_2"), key="other tenant")
    other_source = msgspec.structs.replace(event, source="/elsewhere", key="other source")
    await bus.emit(event, event, other_tenant, other_source)
    await bus.emit(event, start_run(2))
    await until(lambda: seen.count >= 4)
    assert seen.inputs == {"k": [1, 2], "other tenant": [1], "other source": [1]}


async def test_consumers_of_different_names_each_handle_an_event(bus: BusService) -> None:
    """BUS-1."""
    first, second = Seen(), Seen()
    await bus.subscribe("first", {START: first})
    await bus.subscribe("second", {START: second})
    await bus.emit(start_run(1))
    await until(lambda: first.count == second.count == 1)


async def test_what_a_handler_publishes_is_committed_with_its_work(
    bus: BusService, relay: asyncio.Task[None], database: SqlDatabase
) -> None:
    """BUS-5: a handler that fails tells nobody."""
    failed = False

    async def answer(session: AsyncSession, event: Event) -> None:
        nonlocal failed
        assert isinstance(event.data, StartRun)
        if event.key == "question":
            await bus.publish(session, start_run(int(event.data.input) + (0 if failed else 100), key="answer"))
            if not failed:
                failed = True
                raise ValueError

    seen = Seen()
    await bus.subscribe("answerer", {START: answer})
    await bus.subscribe("reader", {START: seen})
    await publish(bus, database, start_run(1, key="question"))
    await until(lambda: "answer" in seen.inputs)
    assert seen.inputs == {"question": [1], "answer": [1]}
    assert not relay.done()


async def test_an_event_that_always_fails_is_a_dead_letter_with_all_that_is_needed(
    bus: BusService, letters: DeadLetters
) -> None:
    """BUS-4."""
    seen = Seen()
    seen.failures = {1: 100}
    await bus.subscribe("starter", {START: seen})
    bad = start_run(1)
    await bus.emit(bad, start_run(2))
    await until(lambda: seen.count == 1)
    letter = await _only(letters)
    assert (letter.consumer, letter.event, letter.type, letter.key) == ("starter", bad.id, START, "k")
    assert letter.attempts == rules.RETRIES.attempts
    assert letter.cause == "ValueError: event 1 fails"
    assert "in _number" in letter.stack
    assert letter.position.startswith("aw.agents[")
    assert '"input": "1"' in letter.payload
    assert await letters.letters(READER, before=letter.id) == []
    assert await letters.letters(READER, consumer="other") == []


async def test_dead_letters_are_shown_to_their_tenant_and_with_permission_only(
    bus: BusService, letters: DeadLetters
) -> None:
    """IDN-3 IDN-2."""
    seen = Seen()
    seen.failures = {1: 100}
    await bus.subscribe("starter", {START: seen})
    await bus.emit(start_run(1), start_run(2))
    await until(lambda: seen.count == 1)
    stranger = Caller(tenant=TenantId("ten_2"), subject="usr_2", permissions=READER.permissions)
    assert await letters.letters(stranger) == []
    with pytest.raises(Forbidden):
        await letters.letters(Caller(tenant=TENANT, subject="usr_1"))


async def test_what_cannot_be_decoded_is_a_dead_letter_and_the_rest_goes_on(
    bus: BusService, letters: DeadLetters, services: ServiceFactory
) -> None:
    """BUS-4: never a crash loop."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    wire = codec.encode(start_run(1))
    no_tenant = {name: value for name, value in wire.headers.items() if name != "ce_tenantid"}
    broken = [Message(wire.topic, "k", wire.headers, b"{")]
    broken += [
        Message(wire.topic, "k", no_tenant, wire.value),
        Message(wire.topic, "k", {"content-type": "x"}, b"\xff"),
    ]
    await bus._bus.publish(broken)  # pyright: ignore[reportPrivateUsage] - as a foreign program would
    await bus.emit(start_run(2))
    await until(lambda: seen.count == 1)
    assert [letter.cause.split(":")[0] for letter in await letters.letters(READER)] == ["BadPayload"]
    nobody = Caller(tenant=TenantId(""), subject="system", permissions=READER.permissions)
    causes = {letter.cause.split(":")[0] for letter in await letters.letters(nobody)}
    assert causes == {"MissingTenant", "Undecodable"}


async def test_types_that_a_consumer_does_not_want_cost_it_nothing(
    bus: BusService, letters: DeadLetters, database: SqlDatabase
) -> None:
    """BUS-3: also types that this version does not know yet."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    wire = codec.encode(start_run(1))
    unknown = Message(wire.topic, "k", wire.headers | {"ce_type": "agents.later.v9"}, b"?")
    await bus._bus.publish([unknown])  # pyright: ignore[reportPrivateUsage]
    await bus.emit(start_run(2))
    await until(lambda: seen.count == 1)
    await until(lambda: no_lag(bus))
    assert await count(database, InboxRow) == 1
    assert await letters.letters(READER) == []


async def test_events_that_a_consumer_has_nothing_to_do_with_cost_it_no_transaction(
    bus: BusService, database: SqlDatabase
) -> None:
    """BUS-3."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen}, wants=lambda event: event.key == "mine")
    await bus.emit(*[start_run(number, key="others") for number in range(5)], start_run(9, key="mine"))
    await until(lambda: seen.count == 1)
    await until(lambda: no_lag(bus))
    assert seen.inputs == {"mine": [9]}
    assert await count(database, InboxRow) == 1


async def test_a_slow_handler_runs_without_a_transaction_and_once(bus: BusService, database: SqlDatabase) -> None:
    """BUS-3: many keys at a time, each in order."""
    seen, at_work, most = Seen(), 0, 0
    all_started = asyncio.Event()

    async def slow(event: Event) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        if at_work == 8:
            all_started.set()
        await all_started.wait()
        await seen.slowly(event)
        at_work -= 1

    await bus.subscribe_slow("thinker", {START: slow})
    events = [start_run(number, key=f"k{number % 8}") for number in range(24)]
    await bus.emit(*events)
    await until(lambda: seen.count == 24)
    assert seen.inputs == {f"k{key}": list(range(key, 24, 8)) for key in range(8)}
    assert most == 8
    await bus.emit(*events[:8], start_run(99, key="last"))
    await until(lambda: "last" in seen.inputs)
    await until(lambda: no_lag(bus))
    assert seen.count == 25
    assert await count(database, InboxRow) == 25


async def test_a_slow_handler_that_always_fails_ends_as_a_dead_letter(bus: BusService, letters: DeadLetters) -> None:
    """BUS-4."""
    seen = Seen()
    seen.failures = {1: 100, 2: 2}
    await bus.subscribe_slow("thinker", {START: seen.slowly})
    await bus.emit(start_run(1), start_run(2))
    await until(lambda: seen.count == 1)
    assert [letter.attempts for letter in await letters.letters(READER)] == [rules.RETRIES.attempts]


async def test_a_handler_that_hangs_ends_as_a_dead_letter_and_its_neighbours_are_handled(
    bus: BusService, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-3 BUS-4: it cannot hold the database's writer for ever."""
    monkeypatch.setattr(work, "_TRANSACTION_S", 0.3)
    seen = Seen()

    async def handle(session: AsyncSession, event: Event) -> None:
        if event.key == "stuck":
            await asyncio.Event().wait()
        await seen(session, event)

    await bus.subscribe("starter", {START: handle})
    await bus.emit(start_run(1, key="a"), start_run(2, key="stuck"), start_run(3, key="b"))
    await until(lambda: seen.count == 2, 10)
    await until(lambda: _has_dead_letter(letters), 10)
    letter = await _only(letters)
    assert (letter.key, letter.cause) == ("stuck", "TimeoutError: The transaction took more than 0.3 s.")


async def _only(letters: DeadLetters) -> DeadLetterView:
    [letter] = await letters.letters(READER)
    return await letters.one(READER, letter.id)


async def _has_dead_letter(letters: DeadLetters) -> bool:
    return bool(await letters.letters(READER))


async def test_while_the_database_is_down_events_wait_and_none_is_given_up(
    bus: BusService, letters: DeadLetters, database: SqlDatabase
) -> None:
    """BUS-4: what a handler meets in a database that is away is not its fault."""
    seen, meetings = Seen(), 0

    async def handle(session: AsyncSession, event: Event) -> None:
        nonlocal meetings
        meetings += 1
        if meetings <= 3 * rules.RETRIES.attempts:
            raise OperationalError("INSERT", {}, Exception("database is locked"))
        await seen(session, event)

    await bus.subscribe("starter", {START: handle})
    await bus.emit(start_run(1))
    await until(lambda: seen.count == 1)
    assert await letters.letters(READER) == []
    assert await count(database, InboxRow) == 1


async def test_what_is_too_large_is_refused_before_it_is_committed(bus: BusService, database: SqlDatabase) -> None:
    """BUS-5: it could never be relayed."""
    data = StartRun(agent="a", input="x" * 1_000_000)
    large = Event(type=START, tenant=TENANT, key="k", source="/test", data=data)
    with pytest.raises(TooLarge):
        await publish(bus, database, large)


async def test_a_consumer_subscribes_once_a_process(bus: BusService) -> None:
    await bus.subscribe("starter", {START: Seen()})
    with pytest.raises(Conflict):
        await bus.subscribe("starter", {START: Seen()})


async def test_a_watcher_sees_the_events_of_the_types_topics(bus: BusService) -> None:
    """BUS-1."""
    async with bus.watch(START) as deliveries:
        await bus.emit(start_run(7))
        delivery = await anext(deliveries)
    message = delivery.message
    assert codec.decode(message.headers, message.value, message.key).data == StartRun(agent="a", input="7")


async def test_the_bus_says_how_it_is(bus: BusService) -> None:
    """BUS-1."""
    assert (await bus.health()).ok
    assert {topic.name: topic.partitions for topic in await bus.topics()}["aw.agents"] == 8


@pytest.mark.usefixtures("relay")
async def test_rows_past_their_window_are_deleted_and_others_kept(
    bus: BusService, database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-5: bounded tables, in small steps."""
    monkeypatch.setattr(cleaning, "_ROWS", 200)
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    await publish(bus, database, *[start_run(number) for number in range(700)])
    await until(lambda: seen.count == 700, 15)
    await until(lambda: _all_sent(bus))
    assert await cleaning.clean(database, sent_ms=60_000, seen_ms=60_000) == (0, 0)
    assert await cleaning.clean(database, sent_ms=60_000, seen_ms=60_000, sent_rows=600) == (100, 0)
    assert await cleaning.clean(database, sent_ms=-1, seen_ms=60_000) == (600, 0)
    assert await cleaning.clean(database, sent_ms=-1, seen_ms=-1) == (0, 700)
    assert await count(database, OutboxRow) == await count(database, InboxRow) == 0


async def _all_sent(bus: BusService) -> bool:
    return (await bus.outbox()).waiting == 0

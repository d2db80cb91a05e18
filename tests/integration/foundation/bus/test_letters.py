"""BUS-4: what was given up is mended, sent again or discarded by a person, on real databases and a real Valkey."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from backend.adapters.database.database import SqlDatabase
from backend.foundation.audit.service import Audit
from backend.foundation.bus import rules
from backend.foundation.bus.ports import Message
from backend.foundation.bus.service import BusService, DeadLetters
from backend.foundation.bus.views import DeadLetterView
from backend.foundation.events import codec
from backend.foundation.events.codec import BadPayload, Undecodable
from backend.foundation.events.types import EventGivenUp
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from backend.foundation.kernel.ids import TenantId
from tests.fixtures.waiting import until
from tests.integration.foundation.bus.events import START, TENANT, Seen, no_lag, start_run

pytestmark = pytest.mark.integration

REPAIRER = Caller(tenant=TENANT, subject="usr_1", permissions=frozenset({Permission.BUS_REPAIR, Permission.AUDIT_READ}))
STRANGER = replace(REPAIRER, tenant=TenantId("ten_2"), subject="usr_2")


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RETRIES", rules.Retries(first_s=0.01, longest_s=0.01))


class Flawed(Seen):
    """A handler that fails on what it is told to, until it is mended."""

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.failures = dict.fromkeys(numbers, 10_000)

    def mend(self) -> None:
        self.failures.clear()


async def given_up(letters: DeadLetters, count: int = 1) -> list[DeadLetterView]:
    """Return the letters once so many wait, the oldest first."""
    await until(lambda: _wait(letters, count), 30)
    found = await letters.letters(REPAIRER, status="WAITING", limit=200)
    return [await letters.one(REPAIRER, letter.id) for letter in found[::-1]]


async def _wait(letters: DeadLetters, count: int) -> bool:
    return len(await letters.letters(REPAIRER, status="WAITING", limit=200)) == count


@pytest.mark.usefixtures("relay")
async def test_a_replayed_event_reaches_the_consumer_that_gave_it_up_and_no_other(
    bus: BusService, letters: DeadLetters
) -> None:
    flawed, other = Flawed(1), Seen()
    await bus.subscribe("flawed", {START: flawed})
    await bus.subscribe("other", {START: other})
    await bus.emit(start_run(1))
    [letter] = await given_up(letters)
    flawed.mend()
    await letters.replay(REPAIRER, letter.id)
    await until(lambda: flawed.inputs == {"k": [1]})
    await bus.emit(start_run(2))
    await until(lambda: other.count == 2)
    assert other.inputs == {"k": [1, 2]}
    after = await letters.one(REPAIRER, letter.id)
    assert (after.status, after.replays, after.decided_by) == ("REPLAYED", 1, "usr_1")
    assert after.decided_ms > 0


@pytest.mark.usefixtures("relay")
async def test_an_event_that_fails_again_after_a_replay_waits_again_in_the_same_letter(
    bus: BusService, letters: DeadLetters
) -> None:
    flawed = Flawed(1)
    await bus.subscribe("flawed", {START: flawed})
    await bus.emit(start_run(1))
    [letter] = await given_up(letters)
    await letters.replay(REPAIRER, letter.id)
    [again] = await given_up(letters)
    assert (again.id, again.status, again.replays, again.event) == (letter.id, "WAITING", 1, letter.event)
    flawed.mend()
    await letters.replay(REPAIRER, letter.id)
    await until(lambda: flawed.count == 1)
    assert (await letters.one(REPAIRER, letter.id)).replays == 2


@pytest.mark.usefixtures("relay")
async def test_a_slow_consumer_does_a_replayed_event_too(bus: BusService, letters: DeadLetters) -> None:
    flawed = Flawed(1)
    await bus.subscribe_slow("thinker", {START: flawed.slowly})
    await bus.emit(start_run(1))
    [letter] = await given_up(letters)
    flawed.mend()
    await letters.replay(REPAIRER, letter.id)
    await until(lambda: flawed.count == 1)


@pytest.mark.usefixtures("relay")
async def test_an_event_whose_data_was_mended_is_handled_with_the_new_data(
    bus: BusService, letters: DeadLetters
) -> None:
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    await bus.emit(start_run(7))
    await until(lambda: seen.count == 1)
    wire = codec.encode(start_run(1))
    await send(bus, Message(wire.topic, "k", wire.headers, b'{"agent": 5}'))
    [letter] = await given_up(letters)
    plan = await letters.plan(REPAIRER, letter.id)
    assert "agent" in plan.problem
    assert plan.hint
    mended = '{"agent": "a", "input": "42"}'
    plan = await letters.plan(REPAIRER, letter.id, payload=mended)
    assert (plan.problem, plan.type, plan.topic, plan.consumers) == ("", START, "aw.agents", ("starter",))
    assert seen.count == 1
    with pytest.raises(BadPayload):
        await letters.replay(REPAIRER, letter.id, payload='{"agent": []}')
    assert (await letters.one(REPAIRER, letter.id)).status == "WAITING"
    await letters.replay(REPAIRER, letter.id, payload=mended)
    await until(lambda: seen.inputs == {"k": [7, 42]})


@pytest.mark.usefixtures("relay")
async def test_the_data_of_a_structured_event_is_mended_alone(bus: BusService, letters: DeadLetters) -> None:
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    value = (
        b'{"specversion": "1.0", "id": "e1", "source": "/test", "type": "agents.start_run.v1",'
        b' "tenantid": "ten_1", "data": {"agent": "a", "input": 5}}'
    )
    await send(bus, Message("aw.agents", "k", {"content-type": codec.STRUCTURED, "ce_tenantid": "ten_1"}, value))
    [letter] = await given_up(letters)
    assert letter.payload == '{\n  "agent": "a",\n  "input": 5\n}'
    await letters.replay(REPAIRER, letter.id, payload='{"agent": "a", "input": "5"}')
    await until(lambda: seen.inputs == {"k": [5]})


async def test_data_cannot_carry_an_event_into_another_tenant(bus: BusService, letters: DeadLetters) -> None:
    """IDN-2: a structured message that says one tenant in its headers and another inside."""
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    value = (
        b'{"specversion": "1.0", "id": "e1", "source": "/test", "type": "agents.start_run.v1",'
        b' "tenantid": "ten_2", "data": {"agent": 1}}'
    )
    await send(bus, Message("aw.agents", "k", {"content-type": codec.STRUCTURED, "ce_tenantid": "ten_1"}, value))
    [letter] = await given_up(letters)
    with pytest.raises(Undecodable, match="another workspace"):
        await letters.replay(REPAIRER, letter.id, payload='{"agent": "a", "input": "5"}')
    assert (await letters.one(REPAIRER, letter.id)).status == "WAITING"


@pytest.mark.usefixtures("relay")
async def test_what_a_room_gave_up_goes_to_everybody_who_listens(
    bus: BusService, letters: DeadLetters, database: SqlDatabase
) -> None:
    seen = Seen()
    await bus.subscribe("starter", {START: seen})
    async with database.system_write() as session:
        await bus.give_up(session, "flows", start_run(3), RuntimeError("a crash loop"), 5)
    [letter] = await given_up(letters)
    assert (await letters.plan(REPAIRER, letter.id)).consumers == ("agents",)
    await letters.replay(REPAIRER, letter.id)
    await until(lambda: seen.inputs == {"k": [3]})


@pytest.mark.usefixtures("relay")
async def test_all_that_wait_are_replayed_the_oldest_first_and_what_cannot_be_sent_goes_on_waiting(
    bus: BusService, letters: DeadLetters
) -> None:
    flawed = Flawed(*range(45))
    await bus.subscribe("flawed", {START: flawed}, retries=rules.Retries(attempts=2, first_s=0, longest_s=0))
    await bus.emit(*[start_run(number) for number in range(45)])
    wire = codec.encode(start_run(99))
    await send(bus, Message(wire.topic, "k", wire.headers, b"{"))
    await given_up(letters, 46)
    flawed.mend()
    progress = [each async for each in letters.replay_all(REPAIRER, consumer="flawed", type=START, per_s=1_000)]
    assert (progress[-1].total, progress[-1].done, progress[-1].failed) == (46, 45, 1)
    assert [each.done for each in progress] == sorted(each.done for each in progress)
    await until(lambda: flawed.count == 45)
    assert flawed.inputs == {"k": list(range(45))}
    [left] = await given_up(letters)
    assert left.cause.startswith("BadPayload")
    counted = {(row.consumer, row.status): row.count for row in await letters.counts(REPAIRER)}
    assert counted == {("flawed", "REPLAYED"): 45, ("flawed", "WAITING"): 1}


@pytest.mark.usefixtures("relay")
async def test_a_replay_of_all_ends_though_everything_fails_again(bus: BusService, letters: DeadLetters) -> None:
    """What comes back meanwhile is older than the newest that waited at the start: it is not sent for ever."""
    flawed = Flawed(*range(5))
    await bus.subscribe("flawed", {START: flawed})
    await bus.emit(*[start_run(number) for number in range(5)])
    await given_up(letters, 5)
    progress = [each async for each in letters.replay_all(REPAIRER, per_s=1_000)]
    assert progress[-1].done == 5
    assert all(letter.replays == 1 for letter in await given_up(letters, 5))


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize("value", [b"no json", b"\xff\xfe", b"[" + b"x" * 600_000])
async def test_what_is_given_up_is_told_on_the_dead_letter_topic_of_its_consumer(
    bus: BusService, letters: DeadLetters, value: bytes
) -> None:
    await bus.subscribe("agents", {START: Seen()})
    wire = codec.encode(start_run(1))
    await send(bus, Message(wire.topic, "k", wire.headers | {"own": "x" * 100_000}, value))
    [letter] = await given_up(letters)

    async def told() -> list[EventGivenUp]:
        stored = [each async for each in bus.replay("aw.dead.agents", since_ms=0, limit=10)]
        return [codec.decode(each.message.headers, each.message.value).data for each in stored]  # pyright: ignore[reportReturnType]

    await until(lambda: _is_there(told))
    [event] = await told()
    assert (event.event, event.type, event.topic, event.key) == (letter.event, START, "aw.agents", "k")
    assert f"{event.topic}[{event.partition}]@{event.offset}" == letter.position
    assert (event.cause, event.attempts) == (letter.cause, 1)
    assert "Traceback" in event.stack
    assert event.payload.encode() + base64.b64decode(event.payload_base64) == (value if len(value) < 100_000 else b"")


async def _is_there(told: Callable[[], Awaitable[list[EventGivenUp]]]) -> bool:
    return bool(await told())


async def test_two_who_replay_the_same_letter_send_it_once(bus: BusService, letters: DeadLetters) -> None:
    flawed = Flawed(1)
    await bus.subscribe("flawed", {START: flawed})
    await bus.emit(start_run(1))
    [letter] = await given_up(letters)
    results = await asyncio.gather(*(letters.replay(REPAIRER, letter.id) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results if result] == [Conflict] * 3
    assert (await bus.outbox()).waiting == 1


async def test_a_discarded_letter_stays_with_its_reason_and_is_not_replayed(
    bus: BusService, letters: DeadLetters, database: SqlDatabase
) -> None:
    flawed = Flawed(1, 2)
    await bus.subscribe("flawed", {START: flawed})
    await bus.emit(start_run(1), start_run(2))
    first, second = await given_up(letters, 2)
    for reason in ("", "   ", "x" * 501):
        with pytest.raises(Invalid):
            await letters.discard(REPAIRER, [first.id], reason=reason)
    with pytest.raises(NotFound):
        await letters.discard(REPAIRER, [first.id, 999], reason="A test order")
    assert len(await given_up(letters, 2)) == 2
    await letters.discard(REPAIRER, [first.id, second.id], reason=" A test order ")
    after = await letters.one(REPAIRER, first.id)
    assert (after.status, after.reason, after.decided_by) == ("DISCARDED", "A test order", "usr_1")
    with pytest.raises(Conflict, match="discarded"):
        await letters.replay(REPAIRER, first.id)
    entries = await Audit(database).entries(REPAIRER, action="bus.")
    discarded = {("bus.dead_letter_discarded", str(letter.id)) for letter in (first, second)}
    assert {(entry.action, entry.target) for entry in entries} == discarded
    assert entries[0].detail["reason"] == "A test order"


async def test_another_tenant_finds_nothing_and_changes_nothing(bus: BusService, letters: DeadLetters) -> None:
    """IDN-2 IDN-3."""
    flawed = Flawed(1)
    await bus.subscribe("flawed", {START: flawed})
    await bus.emit(start_run(1))
    [letter] = await given_up(letters)
    for verb in verbs(letters, STRANGER, letter.id):
        with pytest.raises(NotFound):
            await verb
    assert await letters.letters(STRANGER) == []
    assert await letters.counts(STRANGER) == []
    assert [each async for each in letters.replay_all(STRANGER)] == []
    nobody = replace(REPAIRER, permissions=frozenset(Permission) - {Permission.BUS_REPAIR})
    for verb in (*verbs(letters, nobody, letter.id), letters.letters(nobody), letters.counts(nobody)):
        with pytest.raises(Forbidden):
            await verb
    with pytest.raises(Forbidden):
        await anext(letters.replay_all(nobody))
    assert (await letters.one(REPAIRER, letter.id)).status == "WAITING"


async def test_a_forged_replay_header_changes_no_letter_of_others(bus: BusService, letters: DeadLetters) -> None:
    """IDN-2: a foreign program on the broker names a letter that is none of its own."""
    flawed = Flawed(1, 2)
    await bus.subscribe("flawed", {START: flawed})
    await bus.emit(start_run(1))
    [letter] = await given_up(letters)
    wire = codec.encode(start_run(2, tenant=STRANGER.tenant))
    forged = wire.headers | {rules.REPLAY_OF: str(letter.id), rules.ONLY_FOR: "flawed"}
    await send(bus, Message(wire.topic, "k", forged, wire.value))
    await until(lambda: _of_the_stranger(letters))
    assert await letters.one(REPAIRER, letter.id) == letter


async def _of_the_stranger(letters: DeadLetters) -> bool:
    return bool(await letters.letters(STRANGER))


def verbs(letters: DeadLetters, caller: Caller, letter: int) -> list[Any]:
    return [
        letters.one(caller, letter),
        letters.plan(caller, letter),
        letters.replay(caller, letter),
        letters.discard(caller, [letter], reason="because"),
    ]


async def send(bus: BusService, message: Message) -> None:
    """Write as a foreign program would."""
    await bus._bus.publish([message])  # pyright: ignore[reportPrivateUsage]


@pytest.mark.usefixtures("relay")
async def test_chosen_letters_are_replayed_and_those_of_others_are_not(bus: BusService, letters: DeadLetters) -> None:
    """BUS-4 IDN-2."""
    flawed = Flawed(1, 2, 3)
    await bus.subscribe("flawed", {START: flawed}, retries=rules.Retries(attempts=1))
    await bus.emit(*[start_run(number) for number in (1, 2, 3)])
    first, second, third = await given_up(letters, 3)
    flawed.mend()
    stolen = await letters.replay_these(STRANGER, [first.id, second.id])
    assert (stolen.done, stolen.failed) == (0, 2)
    told = await letters.replay_these(REPAIRER, [third.id, first.id, first.id, 10**9])
    assert (told.total, told.done, told.failed) == (3, 2, 1)
    await until(lambda: flawed.inputs == {"k": [1, 3]})
    assert [letter.id for letter in await given_up(letters)] == [second.id]
    with pytest.raises(Invalid):
        await letters.replay_these(REPAIRER, range(201))


_HOSTILE = {
    "a number that no database holds": ({rules.REPLAY_OF: "9" * 30}, "k", b"{"),
    "a number of another script": ({rules.REPLAY_OF: "٣"}, "k", b"{"),
    "a key that text cannot hold": ({}, "k\x00", b"{"),
    "an id that text cannot hold": ({"ce_id": "evt\x00"}, "k", b"{"),
    "a whole event whose id text cannot hold": ({"ce_id": "evt\x00"}, "k", None),
    "a whole event whose source text cannot hold": ({"ce_source": "/\x00"}, "k", None),
    "a cause that text cannot hold": ({"content-type": "x\x00"}, "k", None),
    "names of endless length": ({"ce_id": "x" * 5_000, "ce_type": "y" * 5_000}, "k", b"{"),
    "a whole event whose id no index holds": ({"ce_id": "".join(map(chr, range(0x4E00, 0x5E00)))}, "k", None),
    "a trace that no column holds": ({"ce_traceparent": "\x00" * 99}, "k", None),
    "data without a bottom": ({}, "k", b'{"x": ' + b"[" * 100_000),
    "a newer version": ({"ce_type": "agents.start_run.v2"}, "k", None),
    "a tenant of endless length": ({"ce_tenantid": "t" * 5_000}, "k", None),
    "a tenant that text cannot hold": ({"ce_tenantid": "t\x00"}, "k", None),
}


@pytest.mark.parametrize("hostile", _HOSTILE)
async def test_no_message_stops_those_behind_it(bus: BusService, hostile: str) -> None:
    """BUS-4: whatever a foreign program writes, the consumer goes on."""
    seen = Seen()
    await bus.subscribe("agents", {START: seen})
    headers, key, value = _HOSTILE[hostile]
    wire = codec.encode(start_run(1))
    await send(bus, Message(wire.topic, key, wire.headers | headers, wire.value if value is None else value))
    await bus.emit(start_run(2))
    await until(lambda: 2 in seen.inputs.get("k", []))
    await until(lambda: no_lag(bus))


async def test_a_newer_version_of_an_event_waits_for_the_update(bus: BusService, letters: DeadLetters) -> None:
    """BUS-2 BUS-4: passed over it would be lost; a type that the consumer never knew is passed over."""
    await bus.subscribe("agents", {START: Seen()})
    wire = codec.encode(start_run(1))
    for name in ("agents.start_run.v2", "agents.other.v1", "agents.run_refused.v1"):
        await send(bus, Message(wire.topic, "k", wire.headers | {"ce_type": name}, wire.value))
    [letter] = await given_up(letters)
    await until(lambda: no_lag(bus))
    assert (letter.type, letter.cause.partition(":")[0]) == ("agents.start_run.v2", "UnknownEventType")
    assert len(await letters.letters(REPAIRER)) == 1


async def test_the_list_of_letters_stays_small_whatever_they_hold(bus: BusService, letters: DeadLetters) -> None:
    """BUS-4: pages ask for it every few seconds."""
    headers = codec.encode(start_run(1)).headers | {"ce_subject": "s" * 100_000}
    await bus.subscribe("agents", {START: Seen()})
    await send(bus, Message("aw.agents", "k", headers, b'"' + b"x" * 500_000 + b'"'))
    await until(lambda: _wait(letters, 1))
    [listed] = await letters.letters(REPAIRER)
    assert len(repr(listed)) < 1_000
    assert len((await letters.one(REPAIRER, listed.id)).payload) > 500_000

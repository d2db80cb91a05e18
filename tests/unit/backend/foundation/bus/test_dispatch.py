"""What a consumer promises, whatever the broker: order, concurrency, commits, retries, dead letters, back-pressure."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.foundation.bus import rules
from backend.foundation.bus.errors import Hopeless
from backend.foundation.kernel.errors import Unavailable
from tests.fixtures.waiting import until
from tests.unit.backend.foundation.bus.consumer import ONE, ZERO, Consumer, nothing, turns


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry comes after at most 2 ms."""
    monkeypatch.setattr(rules, "RETRIES", rules.Retries(first_s=0.002, longest_s=0.002))


class Gates:
    """Handlers that end when the test says."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}

    def open(self, *names: str) -> None:
        for name in names:
            self._gates.setdefault(name, asyncio.Event()).set()

    async def __call__(self, name: str) -> None:
        self.started.append(name)
        await self._gates.setdefault(name, asyncio.Event()).wait()


async def test_a_key_is_handled_in_order_while_other_keys_go_on() -> None:
    """BUS-3."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO)
    consumer.deliver("a1", "a2", "b1", "c1")
    await turns()
    assert gates.started == ["a1", "b1", "c1"]
    gates.open("b1", "c1")
    await turns()
    assert consumer.work.done == ["b1", "c1"]
    gates.open("a1")
    await turns()
    assert gates.started[-1] == "a2"


async def test_only_the_contiguous_done_prefix_is_committed() -> None:
    """BUS-3."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO)
    consumer.deliver("a1", "b1", "c1", "d1")
    gates.open("b1", "c1")
    await until(lambda: consumer.work.done == ["b1", "c1"])
    with pytest.raises(TimeoutError):
        await until(lambda: bool(consumer.reader.committed), 0.2)
    gates.open("a1")
    await until(lambda: consumer.reader.committed == {ZERO: "3"})
    gates.open("d1")
    await until(lambda: consumer.reader.committed == {ZERO: "4"})


async def test_no_more_than_the_allowed_number_is_at_work() -> None:
    """BUS-3."""
    gates = Gates()
    consumer = Consumer(gates, workers=2)
    await consumer.own(ZERO)
    consumer.deliver("a1", "b1", "c1")
    await turns()
    assert gates.started == ["a1", "b1"]
    gates.open("a1", "b1", "c1")
    await until(lambda: sorted(consumer.work.done) == ["a1", "b1", "c1"])


async def test_what_comes_together_is_handled_in_one_batch() -> None:
    """BUS-3: events of different keys, and of one key in order."""
    consumer = Consumer(nothing, batch=10, workers=1)
    await consumer.own(ZERO, ONE)
    consumer.deliver("a1", "b1", "a2")
    consumer.deliver("c1", at=ONE)
    await until(lambda: consumer.reader.committed == {ZERO: "3", ONE: "1"})
    assert consumer.work.batches == [["a1", "a2", "b1", "c1"]]


async def test_a_failed_batch_is_tried_again_one_by_one() -> None:
    """BUS-3 BUS-4: the good are done, only the bad is retried."""

    async def handle(name: str) -> None:
        if name == "b1" and consumer.work.tries["b1"] < 3:
            raise ValueError(name)

    consumer = Consumer(handle, batch=10, workers=1)
    await consumer.own(ZERO)
    consumer.deliver("a1", "a2", "b1", "b2", "c1")
    await until(lambda: consumer.reader.committed == {ZERO: "5"})
    assert sorted(consumer.work.done) == ["a1", "a2", "b1", "b2", "c1"]
    assert consumer.work.done.index("b1") < consumer.work.done.index("b2")
    assert consumer.work.tries["b1"] == 3


async def test_an_event_that_always_fails_becomes_a_dead_letter_and_its_key_goes_on() -> None:
    """BUS-4: attempts and cause are kept."""

    async def handle(name: str) -> None:
        if name == "a1":
            raise ValueError("never")

    consumer = Consumer(handle)
    await consumer.own(ZERO)
    consumer.deliver("a1", "a2", "b1")
    await until(lambda: consumer.reader.committed == {ZERO: "3"})
    error, attempts = consumer.work.buried["a1"]
    assert isinstance(error, ValueError)
    assert attempts == rules.RETRIES.attempts == consumer.work.tries["a1"]
    assert sorted(consumer.work.done) == ["a2", "b1"]


@pytest.mark.parametrize("batch", [1, 10])
async def test_what_a_handler_calls_hopeless_is_a_dead_letter_without_more_tries(batch: int) -> None:
    """BUS-4."""

    async def handle(name: str) -> None:
        if name == "a1":
            try:
                raise ValueError("no such agent")
            except ValueError as error:
                raise Hopeless("no use") from error

    consumer = Consumer(handle, batch=batch, workers=1)
    await consumer.own(ZERO)
    consumer.deliver("a1", "a2", "b1")
    await until(lambda: consumer.reader.committed == {ZERO: "3"})
    error, attempts = consumer.work.buried["a1"]
    assert (repr(error), attempts) == ("ValueError('no such agent')", 1 if batch == 1 else 2)
    assert sorted(consumer.work.done) == ["a2", "b1"]


async def test_a_retry_holds_up_its_key_only() -> None:
    """BUS-4."""
    order: list[str] = []

    async def handle(name: str) -> None:
        order.append(name)
        if order == ["a1"]:
            raise ValueError(name)

    consumer = Consumer(handle, workers=1)
    await consumer.own(ZERO)
    consumer.deliver("a1", "a2", "b1", "b2")
    await until(lambda: consumer.reader.committed == {ZERO: "4"})
    assert order[:3] == ["a1", "b1", "b2"]
    assert order[3:] == ["a1", "a2"]


async def test_an_event_that_cannot_be_decoded_becomes_a_dead_letter_at_once() -> None:
    """BUS-4: never a crash loop; its neighbours are handled."""
    consumer = Consumer(nothing, batch=10, workers=1)
    await consumer.own(ZERO)
    consumer.deliver("a1")
    consumer.deliver("a2", broken="yes")
    consumer.deliver("a3", "b1")
    await until(lambda: consumer.reader.committed == {ZERO: "4"})
    assert consumer.work.buried["a2"][1] == 1
    assert sorted(consumer.work.done) == ["a1", "a3", "b1"]


async def test_what_cannot_be_decoded_is_buried_too_when_other_keys_come_with_it() -> None:
    """BUS-3."""
    consumer = Consumer(nothing, batch=10, workers=1)
    await consumer.own(ZERO)
    consumer.deliver("a1")
    consumer.deliver("b1", broken="yes")
    consumer.deliver("b2", "c1")
    await until(lambda: consumer.reader.committed == {ZERO: "4"})
    assert list(consumer.work.buried) == ["b1"]
    assert sorted(consumer.work.done) == ["a1", "b2", "c1"]


async def test_events_of_other_types_are_passed_over() -> None:
    """BUS-3."""
    consumer = Consumer(nothing)
    await consumer.own(ZERO)
    consumer.deliver("a1", "b1", unwanted="yes")
    consumer.deliver("a2")
    await until(lambda: consumer.reader.committed == {ZERO: "3"})
    assert consumer.work.done == ["a2"]


async def test_while_a_part_is_down_events_wait_and_none_is_given_up() -> None:
    """BUS-4: an outage is nobody's fault, however long."""
    down = True

    async def handle(_name: str) -> None:
        if down:
            raise Unavailable("The database does not answer.")

    consumer = Consumer(handle, batch=10, workers=1)
    await consumer.own(ZERO)
    consumer.deliver("a1", "a2", "b1")
    await until(lambda: consumer.work.tries["a1"] > 3 * rules.RETRIES.attempts)
    down = False
    await until(lambda: consumer.reader.committed == {ZERO: "3"})
    assert consumer.work.done == ["a1", "a2", "b1"]
    assert not consumer.work.buried


async def test_a_commit_that_fails_is_tried_again_alone() -> None:
    """BUS-4: what only the transaction's end shows blames nobody in a batch."""
    consumer = Consumer(nothing, batch=10, workers=1)
    consumer.work.commit_fails = [ValueError("constraint")]
    await consumer.own(ZERO)
    consumer.deliver("a1", "b1")
    await until(lambda: consumer.reader.committed == {ZERO: "2"})
    assert consumer.work.batches == [["a1", "b1"], ["a1"], ["b1"]]


async def test_a_dead_letter_that_cannot_be_stored_waits() -> None:
    """BUS-4: nothing is lost while the database is down."""
    consumer = Consumer(nothing)
    consumer.work.bury_fails = [Unavailable("down"), ValueError("odd")]
    await consumer.own(ZERO)
    consumer.deliver("a1", broken="yes")
    await until(lambda: consumer.reader.committed == {ZERO: "1"})
    assert "a1" in consumer.work.buried


async def test_a_full_partition_is_paused_and_resumed_when_it_is_low() -> None:
    """BUS-3."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO, ONE)
    names = [f"a{number}" for number in range(1000)]
    consumer.deliver(*names)
    consumer.deliver("b1", at=ONE)
    assert consumer.reader.paused == {ZERO}
    gates.open(*names[:599])
    await until(lambda: len(consumer.work.done) == 599)
    assert consumer.reader.paused == {ZERO}
    gates.open(*names)
    await until(lambda: not consumer.reader.paused)
    await until(lambda: consumer.reader.committed == {ZERO: "1000"})


async def test_what_waits_holds_up_no_other_key_however_many_events_come() -> None:
    """BUS-4 BUS-3: nothing is paused, nothing behind it is committed, and the memory of what is done is given back."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO)
    consumer.deliver("a1", size=1024 * 1024)
    names = [f"b{number}" for number in range(15_000)]
    gates.open(*names)
    for start in range(0, len(names), 500):
        consumer.deliver(*names[start : start + 500], size=10 * 1024)
        await until(lambda done=start + 500: len(consumer.work.done) == done)
        assert not consumer.reader.paused
    assert consumer.reader.committed == {}
    gates.open("a1")
    await until(lambda: consumer.reader.committed == {ZERO: "15001"})


async def test_a_partition_is_paused_when_too_much_is_done_behind_one_that_waits() -> None:
    """BUS-3: what must be handed on again after a crash is bounded."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO)
    names = [f"b{number}" for number in range(20_000)]
    gates.open(*names)
    consumer.deliver("a1")
    for start in range(0, len(names), 500):
        consumer.deliver(*names[start : start + 500])
        await until(lambda done=start + 500: len(consumer.work.done) == done)
    assert consumer.reader.paused == {ZERO}
    gates.open("a1")
    await until(lambda: not consumer.reader.paused)


async def test_a_consumer_retries_as_its_own_policy_says() -> None:
    """BUS-4."""

    async def fails(name: str) -> None:
        raise ValueError(name)

    consumer = Consumer(fails, retries=rules.Retries(attempts=2, first_s=0.0, longest_s=0.0))
    await consumer.own(ZERO)
    consumer.deliver("a1")
    await until(lambda: "a1" in consumer.work.buried)
    assert consumer.work.tries["a1"] == 2


@pytest.mark.parametrize(
    "bounds", [{"attempts": 0}, {"attempts": 21}, {"first_s": -1.0}, {"first_s": 31.0}, {"longest_s": 601.0}]
)
def test_retries_without_bounds_are_refused(bounds: dict[str, Any]) -> None:
    """BUS-4."""
    with pytest.raises(ValueError, match="out of bounds"):
        rules.Retries(**bounds)


@given(st.integers(1, 1_000), st.floats(0, 10), st.floats(10, 600))
def test_waits_grow_and_never_exceed_their_bound(attempts: int, first_s: float, longest_s: float) -> None:
    """BUS-4."""
    retries = rules.Retries(first_s=first_s, longest_s=longest_s)
    assert 0 <= retries.wait_s(attempts) <= min(longest_s, first_s * 2 ** min(attempts - 1, 20))


async def test_large_messages_pause_a_partition_earlier() -> None:
    """BUS-3: what waits is bounded in bytes too."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO)
    consumer.deliver(*(f"a{number}" for number in range(9)), size=1024 * 1024)
    assert consumer.reader.paused == {ZERO}


async def test_a_pause_that_was_needed_before_the_reader_is_known_comes_later() -> None:
    """BUS-3: an adapter may deliver before `read` has returned."""
    consumer = Consumer(Gates())
    await consumer.dispatcher.assigned([ZERO])
    consumer.deliver(*(f"a{number}" for number in range(1000)))
    consumer.dispatcher.bind(consumer.reader)
    assert consumer.reader.paused == {ZERO}


async def test_when_a_partition_is_revoked_what_is_at_work_ends_and_is_committed() -> None:
    """BUS-3: what waits is left to the next owner."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO, ONE)
    consumer.deliver("a1", "a2", "b1")
    consumer.deliver("c1", at=ONE)
    await turns()
    revoking = asyncio.create_task(consumer.dispatcher.revoked([ZERO]))
    await turns()
    assert not revoking.done()
    gates.open("a1", "a2", "b1")
    await revoking
    assert consumer.reader.committed == {ZERO: "1"}
    assert gates.started == ["a1", "b1", "c1"]
    gates.open("c1")
    await until(lambda: consumer.reader.committed.get(ONE) == "1")


async def test_nothing_of_a_lost_partition_is_committed() -> None:
    """BUS-3."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO)
    consumer.deliver("a1", "a2")
    await turns()
    await consumer.dispatcher.lost([ZERO])
    gates.open("a1", "a2")
    await until(lambda: consumer.work.done == ["a1"])
    with pytest.raises(TimeoutError):
        await until(lambda: bool(consumer.reader.committed), 0.2)
    assert gates.started == ["a1"]


async def test_a_partition_that_comes_back_does_not_overtake_what_is_still_at_work() -> None:
    """BUS-3: the same key is never at work twice."""
    gates = Gates()
    consumer = Consumer(gates)
    await consumer.own(ZERO)
    consumer.deliver("a1")
    await turns()
    await consumer.dispatcher.lost([ZERO])
    await consumer.dispatcher.assigned([ZERO])
    consumer.deliver("a1", "a2")
    await turns()
    assert gates.started == ["a1"]
    gates.open("a1", "a2")
    await until(lambda: consumer.work.done == ["a1", "a1", "a2"])


async def test_one_refused_position_does_not_keep_the_others_from_being_committed() -> None:
    """BUS-3."""
    consumer = Consumer(nothing)
    consumer.reader.foreign = {ONE}
    await consumer.own(ZERO, ONE)
    consumer.deliver("a1")
    consumer.deliver("b1", at=ONE)
    await until(lambda: consumer.reader.committed == {ZERO: "1"})


async def test_closing_ends_what_is_at_work() -> None:
    consumer = Consumer(Gates())
    await consumer.own(ZERO)
    consumer.deliver("a1", "b1")
    await turns()
    async with asyncio.timeout(2):
        await consumer.dispatcher.close()
    assert not consumer.work.done


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=30),
    st.sets(st.integers(0, 29), max_size=6),
    st.integers(1, 12),
    st.integers(1, 3),
)
def test_whatever_fails_each_event_ends_once_in_order_by_key_and_all_is_committed(
    keys: list[str], failing: set[int], batch: int, workers: int
) -> None:
    """BUS-3 BUS-4."""
    names = [f"{key}{number}" for number, key in enumerate(keys)]
    bad = {names[number] for number in failing if number < len(names)}

    async def handle(name: str) -> None:
        await asyncio.sleep(0)
        if name in bad and consumer.work.tries[name] < 3:
            raise ValueError(name)

    async def run() -> None:
        await consumer.own(ZERO)
        consumer.deliver(*names)
        await until(lambda: consumer.reader.committed == {ZERO: str(len(names))})
        await consumer.dispatcher.close()

    consumer = Consumer(handle, batch=batch, workers=workers)
    asyncio.run(run())
    assert sorted(consumer.work.done) == sorted(names)
    for key in "abc":
        assert [n for n in consumer.work.done if n[0] == key] == [n for n in names if n[0] == key]

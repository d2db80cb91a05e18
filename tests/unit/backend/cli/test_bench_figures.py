"""BUS-10: the arithmetic of the load driver, on events whose fate is known."""

import json
from array import array
from dataclasses import replace
from typing import Any

import pytest

from backend.cli.bench.figures import Hop, Outcome, Rows, Spread, judge, outcome, percentile, spread, words
from backend.cli.bench.load import ASKER, HANDLER, Load, Mode, Sent, Taken, reply_to
from backend.foundation.events.codec import encode
from backend.foundation.kernel.errors import Invalid

MS = 1_000_000
START = 5_000 * MS
_SOME: dict[str, Any] = {"rate": 100, "seconds": 1.0}
LOAD = Load(rate=100, seconds=0.1, keys=2)


def taken(*numbers: int, late_ms: int = 3, load: Load = LOAD) -> Taken:
    """These events, in this order, begun 1 ms after they were due and committed so late."""
    due = [START + load.due_ns(number) for number in numbers]
    return Taken(
        array("q", numbers), array("q", [each + MS for each in due]), array("q", [each + late_ms * MS for each in due])
    )


def sent(load: Load = LOAD, *, tried: int | None = None, failed: tuple[int, ...] = ()) -> Sent:
    return Sent(START, load.total if tried is None else tried, array("q", failed))


def rows(**changes: Any) -> Rows:
    return replace(Rows(inbox={HANDLER: 10}, outbox_waiting=0, dead_letters=0, lag=0), **changes)


def figures(load: Load, driver: Sent, handled: Taken, replied: Taken, found: Rows) -> Outcome:
    cpu_s = {"driver": 0.001, "worker": 0.002}
    return outcome(load, driver, handled, replied, bus="Kafka", cpu_s=cpu_s, rows=found, interrupted=False)


def test_each_event_has_a_due_time_that_does_not_depend_on_the_others() -> None:
    load = Load(rate=4, seconds=2, warm_up_s=1)
    assert (load.warm, load.total) == (4, 12)
    assert [load.due_ns(number) for number in (0, 1, 4)] == [0, 250 * MS, 1_000 * MS]
    assert [load.due(after * MS) for after in (0, 249, 250, 1_000, 99_000)] == [1, 1, 2, 5, 12]


@pytest.mark.parametrize("size", [54, 55, 1024, 100_000])
def test_the_data_of_an_event_has_exactly_the_size_asked_for(size: int) -> None:
    load = Load(rate=1, seconds=1, size=size, keys=1_000_000)
    for number in (0, 999_999):
        assert len(encode(load.event(number)).value) == size


def test_a_reply_has_the_key_and_number_of_what_it_answers() -> None:
    asked = LOAD.event(7)
    answer = reply_to(asked)
    assert (answer.key, answer.subject, answer.tenant) == (asked.key, "7", asked.tenant)
    assert len(encode(answer).value) > 1024


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"rate": 10**7},
        {"seconds": 0.0},
        {"warm_up_s": -1.0},
        {"size": 10},
        {"size": 2**20},
        {"keys": 0},
        {"rate": 1, "seconds": 0.1},
        {"rate": 100_000, "seconds": 80_000.0},
    ],
)
def test_a_load_that_makes_no_sense_is_refused_with_its_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        Load(**_SOME | wrong)
    assert refused.value.hint


def test_percentiles_are_values_that_were_measured() -> None:
    ordered = list(range(1, 101))
    assert [percentile(ordered, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert [percentile([7], share) for share in (0.5, 0.99)] == [7, 7]
    assert spread([]) == Spread(p50=0, p95=0, p99=0, max=0)
    assert spread([4 * MS, 2 * MS]) == Spread(p50=2, p95=4, p99=4, max=4)


def test_latency_counts_from_when_an_event_was_due() -> None:
    hop = judge(LOAD, sent(), taken(*range(10)))
    assert hop == Hop(
        handled=10,
        lost=0,
        duplicates=0,
        disordered=0,
        rate=round(10 / 0.093, 1),
        latency_ms=Spread(p50=3, p95=3, p99=3, max=3),
        to_handler_ms=Spread(p50=1, p95=1, p99=1, max=1),
    )
    assert hop.right


def test_the_warm_up_is_judged_but_not_timed() -> None:
    load = Load(rate=100, seconds=0.1, warm_up_s=0.1, keys=2)
    slow, quick = taken(*range(9), late_ms=900, load=load), taken(*range(10, 20), load=load)
    both = Taken(
        slow.numbers + quick.numbers, slow.begun_ns + quick.begun_ns, slow.done_ns + quick.done_ns
    )  # the ninth is lost
    hop = judge(load, sent(load), both)
    assert (hop.handled, hop.lost, hop.latency_ms.max) == (19, 1, 3)


@pytest.mark.parametrize(
    ("numbers", "faults"),
    [
        ((0, 1, 2, 3, 4, 5, 6, 7, 8), (1, 0, 0)),
        ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4), (0, 1, 0)),
        ((0, 1, 4, 2, 3, 5, 6, 7, 8, 9), (0, 0, 1)),
        ((1, 0, 3, 2, 5, 4, 7, 6, 9, 8), (0, 0, 0)),
    ],
    ids=["lost", "handled twice", "overtaken by its key", "other keys may overtake"],
)
def test_what_is_lost_doubled_or_out_of_order_is_counted(
    numbers: tuple[int, ...], faults: tuple[int, int, int]
) -> None:
    hop = judge(LOAD, sent(), taken(*numbers))
    assert (hop.lost, hop.duplicates, hop.disordered) == faults
    assert hop.right == (faults == (0, 0, 0))


def test_an_event_that_was_never_confirmed_is_not_lost_but_no_success_either() -> None:
    found = figures(LOAD, sent(failed=(8, 9)), taken(*range(8)), Taken(), rows(inbox={HANDLER: 8}))
    assert (found.ask.lost, found.failed, found.success, found.ok) == (0, 2, 80.0, True)


def test_a_load_that_was_ended_early_is_judged_by_what_was_tried() -> None:
    found = figures(LOAD, sent(tried=4), taken(*range(4)), Taken(), rows(inbox={HANDLER: 4}))
    assert (found.sent, found.ask.lost, found.success, found.ok) == (4, 0, 100.0, True)


@pytest.mark.parametrize(
    "found",
    [rows(lag=1), rows(outbox_waiting=1), rows(dead_letters=1), rows(inbox={HANDLER: 9}), rows(inbox={})],
)
def test_all_is_well_only_when_the_rows_and_the_lag_say_so_too(found: Rows) -> None:
    whole = figures(LOAD, sent(), taken(*range(10)), Taken(), rows())
    assert whole.ok
    assert not figures(LOAD, sent(), taken(*range(10)), Taken(), found).ok


def test_only_what_was_handled_must_be_answered() -> None:
    load = replace(LOAD, mode=Mode.REPLY)
    counted = rows(inbox={HANDLER: 9, ASKER: 8})
    found = figures(load, sent(failed=(9,)), taken(*range(9)), taken(*range(8)), counted)
    assert found.reply is not None
    assert (found.ask.lost, found.reply.lost, found.success, found.ok) == (0, 1, 80.0, False)


def test_figures_are_told_to_people_and_to_programs() -> None:
    found = figures(LOAD, sent(), taken(*range(10)), Taken(), rows())
    assert found.cpu_us == {"driver": 100.0, "worker": 200.0}
    told = json.loads(json.dumps(found.as_dict()))
    assert (told["ok"], told["ask"]["handled"], told["load"]["rate"], told["reply"]) == (True, 10, 100, None)
    assert words(found).endswith("all well")
    assert "lost 1" in words(figures(LOAD, sent(), taken(*range(9)), Taken(), rows()))

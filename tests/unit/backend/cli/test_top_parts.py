"""BUS-10: what the dashboard's lists hold, how wide they are, and what is understood as a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.cli.top.lists import EVENT_COLUMNS, LISTINGS, clock, event_row, rate, widths
from backend.cli.top.lookout import trouble_of
from backend.cli.top.since import since_of
from backend.foundation.kernel.errors import Invalid, Unavailable
from backend.reads.views import EventView

HOUR_MS = 3_600_000


@pytest.mark.parametrize("columns", [EVENT_COLUMNS, *(listing.columns for listing in LISTINGS)])
def test_columns_fit_80_cells_and_take_what_there_is(columns: tuple) -> None:
    for width in (80, 100, 120, 200):
        given = widths(columns, width)
        taken = sum(given) + 2 * len(given)
        assert width - len(given) <= taken <= width or not any(column.share for column in columns)
        assert taken <= width
    assert min(widths(columns, 1)) > 0


@pytest.mark.parametrize(
    ("words", "ms"),
    [("1h", 9 * HOUR_MS), (" 90M ", 8.5 * HOUR_MS), ("all", 0), ("9999d", 0), ("1970-01-01T01:00:00+00:00", HOUR_MS)],
)
def test_times_are_understood(words: str, ms: float) -> None:
    assert since_of(words).at_ms(10 * HOUR_MS) == ms


def test_an_offset_of_a_partition_is_understood() -> None:
    assert (since_of("3 @ 17-2").partition, since_of("3@17-2").offset) == (3, "17-2")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "@3",
        "x@3",
        "3@",
        "999999@1",
        "soon",
        "1w",
        "-1h",
        "١h",
        "9" * 400 + "h",
        "2026-13-01",
        "\x1b[2J",
        "9999-12-31x",
    ],
)
def test_what_is_no_time_is_refused_with_what_is_one(words: str) -> None:
    with pytest.raises(Invalid) as refused:
        since_of(words)
    assert "15m" in refused.value.hint


@given(st.text(max_size=300), st.integers(-(2**70), 2**70))
def test_any_message_is_a_line_that_acts_on_nothing(text: str, time_ms: int) -> None:
    view = EventView(place="0 @ 1", time_ms=time_ms, type=text, id=text, key=text, subject=text, trace="", payload=text)
    assert all(cell.text.isprintable() for cell in event_row(view).cells)


def test_a_rate_that_is_not_known_is_none() -> None:
    assert [rate(None), rate(0.04), rate(9.96), rate(12_345.6)] == ["–", "0.0/s", "10.0/s", "12,346/s"]


def test_a_time_out_of_reach_is_a_number() -> None:
    assert clock(2**70) == str(2**70)


def test_trouble_says_what_next_and_nothing_of_what_an_unknown_error_holds() -> None:
    assert trouble_of("Topics", Unavailable("Away.", hint="Start it.")).hint == "Start it."
    assert "5 s" in trouble_of("Topics", TimeoutError()).message
    told = trouble_of("Topics", RuntimeError("postgresql://ada:secret@db"))
    assert "RuntimeError" in told.message
    assert "secret" not in told.message + told.hint

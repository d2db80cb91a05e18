"""The W3C trace context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.foundation.telemetry.rules.context import (
    TraceContext,
    new_span_id,
    new_trace_id,
    parse_traceparent,
    trace_id,
)

_hex = st.text(alphabet="0123456789abcdef")
_traces = st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}")
_spans = st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")


@given(_traces, _spans, st.booleans())
def test_what_is_written_is_read_back(trace: str, span: str, sampled: bool) -> None:
    """OBS-1."""
    context = TraceContext(trace, span, sampled)
    assert len(context.traceparent) == 55
    assert parse_traceparent(context.traceparent) == context
    assert trace_id(context.traceparent) == trace


@given(st.text() | st.text(alphabet="0123456789abcdefABCDEF-\n "))
def test_no_text_breaks_the_parser_and_what_it_takes_is_valid(text: str) -> None:
    """OBS-1."""
    found = parse_traceparent(text)
    if found is not None:
        assert len(found.trace_id) == 32
        assert len(found.span_id) == 16
        assert int(found.trace_id, 16)
        assert int(found.span_id, 16)


@given(_traces, _spans, st.integers(0, 255))
def test_only_the_lowest_flag_decides_on_keeping_it(trace: str, span: str, flags: int) -> None:
    """OBS-1."""
    found = parse_traceparent(f"00-{trace}-{span}-{flags:02x}")
    assert found is not None
    assert found.sampled == bool(flags & 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01-extra",
        f"00-{'a' * 32}-{'b' * 16}-01\n",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 31}-{'b' * 16}-01",
        f"01-{'a' * 32}-{'b' * 16}-01x",
        f"01-{'a' * 32}-{'b' * 16}-01-{'x' * 1000}",
    ],
)
def test_what_is_not_a_traceparent_is_none(text: str) -> None:
    """OBS-1."""
    assert parse_traceparent(text) is None
    assert trace_id(text) == ""


def test_a_later_version_may_have_more_parts() -> None:
    """OBS-1."""
    assert parse_traceparent(f"01-{'a' * 32}-{'b' * 16}-01-what-comes") == TraceContext("a" * 32, "b" * 16, True)


def test_new_ids_are_valid_and_differ() -> None:
    """OBS-1."""
    assert len({new_trace_id() for _ in range(1000)}) == 1000
    assert len({new_span_id() for _ in range(1000)}) == 1000
    assert parse_traceparent(TraceContext(new_trace_id(), new_span_id(), True).traceparent)

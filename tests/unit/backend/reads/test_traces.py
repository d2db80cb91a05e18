"""The waterfall of a trace."""

from hypothesis import given
from hypothesis import strategies as st

from backend.foundation.telemetry.ports import SpanRecord
from backend.reads.traces import waterfall


def _span(span_id: str, parent: str = "", *, start: int = 0, duration: int = 1_000, service: str = "web") -> SpanRecord:
    return SpanRecord(
        tenant="ten_1",
        trace_id="a" * 32,
        span_id=span_id,
        parent=parent,
        name=f"work.{span_id}",
        service=service,
        kind="internal",
        start_us=1_000_000 + start,
        duration_us=duration,
        status="ok",
        attributes={"n": 1},
    )


def test_each_span_stands_under_its_parent_and_siblings_by_start() -> None:
    """OBS-1."""
    view = waterfall(
        [
            _span("root", duration=10_000),
            _span("a", "root", start=1_000),
            _span("b", "root", start=1_500),
            _span("a1", "a", start=2_000, duration=500),
        ]
    )
    assert [(span.id, span.depth, span.start_ms) for span in view.spans] == [
        ("root", 0, 0.0),
        ("a", 1, 1.0),
        ("a1", 2, 2.0),
        ("b", 1, 1.5),
    ]
    assert (view.title, view.started_ms, view.duration_ms) == ("work.root", 1_000, 10.0)
    assert view.spans[0].attributes == (("n", "1"), ("autoweave.tenant.id", "ten_1"))


def test_work_that_goes_on_after_its_parent_ended_makes_the_trace_longer() -> None:
    """OBS-1."""
    view = waterfall([_span("send", duration=1_000), _span("run", "send", start=5_000, duration=20_000)])
    assert view.duration_ms == 25.0


def test_a_clock_that_is_behind_is_moved_with_all_that_its_process_did_below() -> None:
    """OBS-1."""
    view = waterfall(
        [
            _span("run", "send", start=-3_000, service="worker"),
            _span("step", "run", start=-2_000, service="worker"),
            _span("send", start=0),
            _span("back", "step", start=2_000),
        ]
    )
    assert [(span.id, span.start_ms) for span in view.spans] == [
        ("send", 0.0),
        ("run", 0.0),
        ("step", 1.0),
        ("back", 2.0),
    ]


def test_a_span_whose_parent_is_missing_stands_at_the_top() -> None:
    """OBS-1."""
    view = waterfall([_span("a", "gone"), _span("b", "a", start=10)])
    assert [(span.id, span.depth) for span in view.spans] == [("a", 0), ("b", 1)]


def test_parents_that_form_a_ring_are_shown_once() -> None:
    """OBS-1."""
    view = waterfall(
        [_span("a", "c"), _span("b", "a", start=1), _span("c", "b", start=2), _span("self", "self", start=3)]
    )
    assert [(span.id, span.depth) for span in view.spans] == [("a", 0), ("b", 1), ("c", 2), ("self", 0)]


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(-100_000, 100_000), st.sampled_from(["web", "w"])),
        min_size=1,
        max_size=30,
        unique_by=lambda row: row[0],
    )
)
def test_any_spans_are_shown_once_and_never_before_their_parent(rows: list[tuple[int, int, int, str]]) -> None:
    """OBS-1."""
    spans = [_span(str(own), str(parent), start=start, service=service) for own, parent, start, service in rows]
    view = waterfall(sorted(spans, key=lambda span: span.start_us))
    assert sorted(span.id for span in view.spans) == sorted(span.span_id for span in spans)
    assert min(span.start_ms for span in view.spans) == 0.0
    started: dict[str, float] = {}
    for span in view.spans:
        if span.depth:
            assert span.start_ms >= started[span.parent]
        started[span.id] = span.start_ms


def test_a_very_deep_trace_is_no_recursion() -> None:
    """OBS-1."""
    view = waterfall([_span(str(n), str(n - 1) if n else "", start=n) for n in range(2_000)])
    assert view.spans[-1].depth == 1_999

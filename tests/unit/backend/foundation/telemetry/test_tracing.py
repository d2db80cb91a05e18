"""Spans: what is inside what, what is kept, and what is sent on."""

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider

from backend.foundation.kernel.errors import NotFound
from backend.foundation.telemetry import (
    current_tenant,
    current_trace_id,
    current_traceparent,
    record_error,
    set_attribute,
    set_tenant,
    span,
    span_inside,
    trace_id,
)
from backend.foundation.telemetry.tracing import RecordedSpan, current_span
from backend.foundation.telemetry.tracing.current import record_nowhere, record_to

KEPT = f"00-{'a' * 32}-{'b' * 16}-01"
NOT_KEPT = f"00-{'a' * 32}-{'b' * 16}-00"


@pytest.fixture
def finished() -> Iterator[list[RecordedSpan]]:
    """What was recorded, in the order of ending; no bulk event is kept by chance."""
    spans: list[RecordedSpan] = []
    record_to(spans.append, event_ratio=0.0)
    yield spans
    record_nowhere()


def test_work_inside_work_is_its_child_of_the_same_trace_and_tenant(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span("chat.send", tenant="ten_1") as outer, span("bus.publish", kind="producer") as inner:
        assert current_span() is inner
        assert current_tenant() == "ten_1"
    child, root = finished
    assert (child.name, child.kind, child.parent, child.tenant) == (
        "bus.publish",
        "producer",
        outer.context.span_id,
        "ten_1",
    )
    assert child.context.trace_id == root.context.trace_id
    assert root.parent == ""
    assert current_span() is None
    assert current_traceparent() == ""


def test_a_traceparent_carries_the_trace_on_to_another_process(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span("chat.send", tenant="ten_1"):
        sent = current_traceparent()
        assert trace_id(sent) == current_trace_id()
    with span("flows.run", tenant="ten_1", parent=sent):
        pass
    first, second = finished
    assert second.context.trace_id == first.context.trace_id
    assert second.parent == first.context.span_id


def test_the_parent_that_came_with_the_work_wins_over_the_span_around_it(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span("bus.poll", tenant="ten_1"), span("bus.handle", parent=KEPT, tenant="ten_2"):
        assert current_trace_id() == "a" * 32
    assert finished[0].parent == "b" * 16
    assert finished[0].tenant == "ten_2"


@pytest.mark.parametrize("parent", [None, "", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01"])
def test_without_a_valid_parent_a_new_trace_starts(finished: list[RecordedSpan], parent: str | None) -> None:
    """OBS-1."""
    with span("work", parent=parent):
        pass
    assert finished[0].parent == ""


def test_a_trace_that_is_not_kept_stays_so_all_the_way_down(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span("bus.handle", tenant="ten_1", parent=NOT_KEPT):
        assert current_traceparent() == NOT_KEPT
        with span("flows.step") as step:
            set_attribute("n", 1)
            record_error("unseen")
            assert current_traceparent() == NOT_KEPT
            assert step.traceparent == NOT_KEPT
            assert current_tenant() == "ten_1"
            with span("tool.call", tenant="ten_2"):
                assert current_tenant() == "ten_2"
                assert current_trace_id() == "a" * 32
            assert current_tenant() == "ten_1"
    assert current_span() is None
    assert finished == []


def test_of_bulk_events_the_given_ratio_is_kept_and_the_decision_travels(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    record_to(finished.append, event_ratio=0.25)
    flags = []
    for _ in range(2_000):
        with span("events.publish", tenant="ten_1", bulk=True):
            flags.append(current_traceparent()[-2:])
    assert 350 < flags.count("01") < 650
    assert len(finished) == flags.count("01")


def test_a_bulk_event_inside_a_kept_trace_is_kept(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span("chat.send", tenant="ten_1"), span("bus.publish", bulk=True):
        pass
    assert [one.name for one in finished] == ["bus.publish", "chat.send"]


def test_the_lower_parts_never_start_a_trace(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span_inside("db.write") as nowhere:
        nowhere.set_attribute("n", 1)
        assert current_span() is None
        assert current_traceparent() == ""
    with span("bulk", tenant="ten_1", bulk=True), span_inside("db.write"):
        assert current_tenant() == "ten_1"
    assert finished == []
    with span("chat.send", tenant="ten_1"), span_inside("db.write", attributes={"n": 1}):
        pass
    assert (finished[0].name, finished[0].kind, finished[0].tenant) == ("db.write", "client", "ten_1")
    assert finished[0].parent == finished[1].context.span_id


def test_an_error_marks_the_span_with_its_code_and_passes(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with pytest.raises(NotFound), span("chat.thread", tenant="ten_1"):
        raise NotFound("There is no thread 'thr_1'.")
    with pytest.raises(ZeroDivisionError), span("work"):
        _ = 1 / 0
    first, second = finished
    assert (first.status, first.attributes["error.type"]) == ("error", "not_found")
    assert first.attributes["error.message"] == "There is no thread 'thr_1'."
    assert second.attributes["error.type"] == "ZeroDivisionError"


async def test_cancelled_work_is_cancelled_not_failed(finished: list[RecordedSpan]) -> None:
    """OBS-1."""

    async def work() -> None:
        with span("model.turn", tenant="ten_1"):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished[0].status == "cancelled"


async def test_tasks_that_start_inside_a_span_belong_to_it_and_do_not_mix(finished: list[RecordedSpan]) -> None:
    """OBS-1."""

    async def branch(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)
            with span(f"{name}.inner"):
                await asyncio.sleep(0)

    with span("run", tenant="ten_1") as run:
        await asyncio.gather(branch("a"), branch("b"))
    by_name = {one.name: one for one in finished}
    assert by_name["a"].parent == by_name["b"].parent == run.context.span_id
    assert by_name["a.inner"].parent == by_name["a"].context.span_id
    assert by_name["b.inner"].parent == by_name["b"].context.span_id


def test_the_tenant_of_a_request_may_be_known_only_later(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span("GET /v1/threads", kind="server") as request:
        set_tenant("ten_1")
        request.update_name("GET /v1/agents")
        with span("chat.threads"):
            pass
    assert [one.tenant for one in finished] == ["ten_1", "ten_1"]
    assert finished[1].name == "GET /v1/agents"


def test_attributes_are_bounded(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    with span("work", attributes={"first": 1}) as work:
        for number in range(100):
            work.set_attribute(f"a{number}", number)
        work.set_attribute("first", 2)
    assert len(finished[0].attributes) == 32
    assert finished[0].attributes["first"] == 2


def test_a_span_may_end_without_being_a_context_and_ends_once(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    work = span("stream", tenant="ten_1")
    assert current_span() is None
    work.end()
    work.end()
    assert len(finished) == 1
    assert finished[0].duration_ns >= 0


def test_outside_any_span_nothing_fails(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    set_attribute("n", 1)
    set_tenant("ten_1")
    record_error("nobody hears it")
    assert (current_tenant(), current_trace_id(), current_traceparent()) == ("", "", "")


def test_a_library_that_uses_opentelemetry_joins_the_same_trace(finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a library")
    with span("model.turn", tenant="ten_1") as turn:
        with tracer.start_as_current_span("library.request") as theirs:
            context = theirs.get_span_context()
            assert f"{context.trace_id:032x}" == turn.context.trace_id
            with span("model.chunk"):
                pass
        otel.get_current_span().record_exception(ValueError("told by a library"))
    child, root = finished
    assert child.parent == f"{context.span_id:016x}"
    assert root.status == "error"

"""Libraries with OpenTelemetry's own instrumentation inside the product's traces."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, Status, StatusCode

from backend.adapters.otel.libraries import LibrarySpans
from backend.foundation.telemetry import current_tenant, span, span_inside
from backend.foundation.telemetry.tracing import RecordedSpan
from backend.foundation.telemetry.tracing.current import record_nowhere, record_to


@pytest.fixture
def finished() -> Iterator[list[RecordedSpan]]:
    """What was recorded."""
    spans: list[RecordedSpan] = []
    record_to(spans.append, event_ratio=0.0)
    yield spans
    record_nowhere()


@pytest.fixture
def provider() -> TracerProvider:
    """As `join_libraries` makes it, without being the process's."""
    made = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    made.add_span_processor(LibrarySpans())
    return made


def test_a_librarys_span_stands_between_ours_with_the_same_tenant(
    finished: list[RecordedSpan], provider: TracerProvider
) -> None:
    """OBS-1."""
    tracer = provider.get_tracer("a library")
    with (
        span("model.turn", tenant="ten_1") as turn,
        tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes={"n": 1}) as theirs,
    ):
        theirs.set_status(Status(StatusCode.ERROR, "refused"))
        assert current_tenant() == "ten_1"
        with span("inside"), span_inside("db.write"):
            pass
        with span_inside("db.read"):
            pass
    _, inside, read, library, outer = finished
    assert (read.parent, read.tenant) == (library.context.span_id, "ten_1")
    assert (library.name, library.kind, library.tenant, library.status) == ("POST", "client", "ten_1", "error")
    assert library.attributes == {"n": 1, "error.type": "error", "error.message": "refused"}
    assert library.parent == turn.context.span_id
    assert inside.parent == library.context.span_id
    assert inside.tenant == "ten_1"
    assert outer.context.trace_id == library.context.trace_id == inside.context.trace_id
    assert outer.start_ns <= library.start_ns
    assert 0 <= library.duration_ns <= outer.duration_ns


def test_a_library_starts_no_trace_and_keeps_none_that_is_not_kept(
    finished: list[RecordedSpan], provider: TracerProvider
) -> None:
    """OBS-1."""
    tracer = provider.get_tracer("a library")
    with tracer.start_as_current_span("alone"):
        pass
    with span("bulk", tenant="ten_1", bulk=True), tracer.start_as_current_span("POST"), span_inside("db.read"):
        pass
    assert finished == []

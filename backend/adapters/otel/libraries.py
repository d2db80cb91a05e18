"""Spans of libraries that speak OpenTelemetry, recorded with the product's own."""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import StatusCode

from backend.foundation.telemetry.attributes import TENANT
from backend.foundation.telemetry.rules.context import TraceContext
from backend.foundation.telemetry.tracing import current_tenant
from backend.foundation.telemetry.tracing.current import adopt


def join_libraries(service: str) -> TracerProvider:
    """Make libraries' spans part of the traces that they are called in; they start none. Once a process."""
    provider = TracerProvider(
        resource=Resource({"service.name": service}), sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False
    )
    provider.add_span_processor(LibrarySpans())
    trace.set_tracer_provider(provider)
    return provider


class LibrarySpans(SpanProcessor):
    """Takes what the SDK finished."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        # What is inside a library's span asks OpenTelemetry for the tenant and finds none: it is known here only.
        span.set_attribute(TENANT, current_tenant(parent_context))

    def on_end(self, span: ReadableSpan) -> None:
        context, start, end = span.get_span_context(), span.start_time, span.end_time
        if context is None or start is None or end is None:
            return
        attributes = dict(span.attributes or {})
        failed = span.status.status_code is StatusCode.ERROR
        adopt(
            TraceContext(f"{context.trace_id:032x}", f"{context.span_id:016x}", True),
            parent=f"{span.parent.span_id:016x}" if span.parent else "",
            name=span.name,
            kind=span.kind.name.lower(),
            tenant=str(attributes.pop(TENANT, "")),
            attributes=attributes,
            start_ns=start,
            end_ns=end,
            failure=span.status.description or "error" if failed else None,
        )

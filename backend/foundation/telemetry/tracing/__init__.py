"""One trace over processes: `span` around a piece of work, `current_traceparent` for what is sent on.

A span lives in OpenTelemetry's own context, so that libraries with its instrumentation join the same trace, but is
recorded by this package: the SDK's span costs about 50 µs, this one 10, work inside a trace that is not kept 2.
Whether a trace is kept is decided once, at its root, and travels in the traceparent's flags.
"""

from backend.foundation.telemetry.rules.context import trace_id
from backend.foundation.telemetry.tracing.current import (
    current_span,
    current_tenant,
    current_trace_id,
    current_traceparent,
    record_error,
    set_attribute,
    set_tenant,
    span,
    span_inside,
)
from backend.foundation.telemetry.tracing.spans import RecordedSpan, Span

__all__ = [
    "RecordedSpan",
    "Span",
    "current_span",
    "current_tenant",
    "current_trace_id",
    "current_traceparent",
    "record_error",
    "set_attribute",
    "set_tenant",
    "span",
    "span_inside",
    "trace_id",
]

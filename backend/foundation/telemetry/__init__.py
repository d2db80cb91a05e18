"""Spans, logs and metrics in the product's own store.

Rooms need three things of it: `span` and `current_traceparent` from here, `metrics`, and `logs.get_logger`.
"""

from backend.foundation.telemetry.tracing import (
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

__all__ = [
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

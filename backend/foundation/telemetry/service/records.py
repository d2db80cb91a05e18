"""From a span in memory to a record that any database and any wire takes: masked, bounded, plain values."""

import msgspec
from opentelemetry.util.types import AnyValue

from backend.foundation.telemetry.ports import Attribute, SpanRecord
from backend.foundation.telemetry.rules.masking import MASK, is_secret_name, mask_text
from backend.foundation.telemetry.tracing.spans import RecordedSpan

SYSTEM = "system"
"""Whose a span is that belongs to no tenant, such as a request that nobody has signed in for."""

_TEXT_MAX = 1_000
_NAME_MAX = 120
_INT_MAX = 2**63
_encoder = msgspec.json.Encoder(enc_hook=str)


def record_of(span: RecordedSpan, service: str) -> SpanRecord:
    """Return the finished span as it is stored."""
    attributes = {
        clean(name, _NAME_MAX): MASK if value and is_secret_name(name) else _plain(value)
        for name, value in span.attributes.items()
    }
    return SpanRecord(
        tenant=clean(span.tenant, 40) or SYSTEM,
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent=span.parent,
        name=clean(span.name, _NAME_MAX),
        service=service,
        kind=span.kind,
        start_us=span.start_ns // 1_000,
        duration_us=span.duration_ns // 1_000,
        status=span.status,
        attributes=attributes,
    )


def clean(text: str, longest: int) -> str:
    """Return text that PostgreSQL takes: no zero character, no lone surrogate, at most so many characters."""
    if len(text) <= longest and text.isascii() and "\0" not in text:
        return text
    return text[:longest].replace("\0", "").encode("utf-8", "replace").decode()


def _plain(value: AnyValue) -> Attribute:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -_INT_MAX <= value < _INT_MAX else str(value)
    text = value if isinstance(value, str) else _encoder.encode(value).decode()
    # Masked before it is cut: half a credential would not be recognised.
    return clean(mask_text(text[: 8 * _TEXT_MAX]), _TEXT_MAX)

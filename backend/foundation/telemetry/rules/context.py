"""The W3C trace context (``traceparent``) as text; https://www.w3.org/TR/trace-context/."""

import re
from random import getrandbits
from typing import NamedTuple

# Version ff is forbidden; 00 has exactly four parts, a later version may have more.
_FORM = re.compile(
    r"(?:00|(?!ff)[0-9a-f]{2}(?=-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)))"
    r"-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})"
)
_LONGEST = 512
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class TraceContext(NamedTuple):
    """Where a piece of work belongs: ``trace_id`` has 32 hex digits, ``span_id`` 16; ``sampled`` spans are kept."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """The header's text, 55 characters."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: str) -> TraceContext | None:
    """Return the context that a ``traceparent`` holds, or ``None`` where it is not a valid one."""
    if len(text) > _LONGEST:
        return None
    found = _FORM.match(text)
    if found is None or not _ends(text, found.end()):
        return None
    trace, span, flags = found.groups()
    if trace == _NO_TRACE or span == _NO_SPAN:
        return None
    return TraceContext(trace, span, bool(int(flags, 16) & 1))


def _ends(text: str, end: int) -> bool:
    return end == len(text) or (not text.startswith("00") and text[end] == "-")


def new_trace_id() -> str:
    """Return 32 random hex digits, not all zero; not a secret."""
    return f"{getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """Return 16 random hex digits, not all zero; not a secret."""
    return f"{getrandbits(64) or 1:016x}"


def trace_id(traceparent: str) -> str:
    """Return the trace id of a ``traceparent``, empty where there is none."""
    context = parse_traceparent(traceparent)
    return context.trace_id if context else ""

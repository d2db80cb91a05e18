"""A trace as a waterfall: each span under its parent, on one clock."""

import string
from collections.abc import Iterator, Sequence

from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import NotFound
from backend.foundation.telemetry.attributes import TENANT
from backend.foundation.telemetry.ports import SpanRecord
from backend.foundation.telemetry.service import Telemetry
from backend.foundation.telemetry.views import TraceSummary
from backend.reads.views import SpanView, TraceView

_HINT = "Traces are kept for some days, and of bulk events only a sample; check the id."
_TRACE_DIGITS = 32
_LONGEST_TEXT = 120


class Traces:
    """Reads traces out of telemetry."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def trace(self, caller: Caller, trace_id: str) -> TraceView:
        """Return the trace with at most 2,000 spans; needs ``traces:read``.

        Raises:
            NotFound: there is none of that id for the caller's tenant.
        """
        known = len(trace_id) == _TRACE_DIGITS and set(trace_id) <= set(string.hexdigits)
        spans = await self._telemetry.spans_of(caller, trace_id.lower() if known else "")
        if not spans:
            raise NotFound("There is no such trace.", hint=_HINT)
        return waterfall(spans)

    async def recent(
        self, caller: Caller, *, text: str = "", status: str = "", at_least_ms: int = 0, limit: int = 100
    ) -> list[TraceSummary]:
        """Return the newest traces that fit, newest first, each once; needs ``traces:read``.

        Args:
            text: what the title must contain, in any case.
            status: ``ok``, ``error`` or ``cancelled``; empty for any.
            at_least_ms: how long it must have taken.
            limit: 200 at most.
        """
        found = await self._telemetry.recent(
            caller, limit=limit, text=text[:_LONGEST_TEXT].strip(), status=status, at_least_ms=at_least_ms
        )
        # A trace that came in by a door and went out to another of ours has been entered twice.
        return list({one.id: one for one in found}.values())


def waterfall(spans: Sequence[SpanRecord]) -> TraceView:
    """Return the spans of one trace (at least one, in order of start) as a tree in reading order.

    A span whose parent is not there stands at the top. Clocks of processes differ: a span that seems to start before
    its parent is moved to the parent's start, and what its process did below moves with it.
    """
    placed = list(_walk(spans))
    first = min(start for _, _, start in placed)
    last = max(start + span.duration_us for span, _, start in placed)
    return TraceView(
        id=placed[0][0].trace_id,
        title=placed[0][0].name,
        started_ms=first // 1_000,
        duration_ms=(last - first) / 1_000,
        spans=tuple(_view(span, depth, (start - first) / 1_000) for span, depth, start in placed),
    )


_Placed = tuple[SpanRecord, int, int]
"""A span, its depth, and its start in microseconds on the trace's clock."""


def _walk(spans: Sequence[SpanRecord]) -> Iterator[_Placed]:
    """Yield parents before children, siblings by start, each span once whatever its parents say."""
    ids = {span.span_id for span in spans}
    children: dict[str, list[SpanRecord]] = {}
    for span in spans:
        children.setdefault(span.parent if span.parent in ids else "", []).append(span)
    seen: set[str] = set()
    # Parents that form a ring have no top: the earliest span of the ring is taken for it.
    for top in (*children.get("", ()), *spans):
        waiting: list[tuple[SpanRecord, _Placed | None, int]] = [(top, None, 0)]
        while waiting:
            span, above, ahead = waiting.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            placed, ahead = _place(span, above, ahead)
            yield placed
            waiting += [(child, placed, ahead) for child in reversed(children.get(span.span_id, ()))]


def _place(span: SpanRecord, above: _Placed | None, ahead: int) -> tuple[_Placed, int]:
    """Return the span on the trace's clock, and by how much its process's clock was moved."""
    if above is None:
        return (span, 0, span.start_us), 0
    parent, depth, parent_start = above
    moved = ahead if span.service == parent.service else 0
    moved = max(moved, parent_start - span.start_us)
    return (span, depth + 1, span.start_us + moved), moved


def _view(span: SpanRecord, depth: int, start_ms: float) -> SpanView:
    shown = [(name, str(value)) for name, value in span.attributes.items()]
    return SpanView(
        id=span.span_id,
        parent=span.parent,
        depth=depth,
        name=span.name,
        service=span.service,
        start_ms=start_ms,
        duration_ms=span.duration_us / 1_000,
        status=span.status,
        attributes=(*shown, (TENANT, span.tenant)),
    )

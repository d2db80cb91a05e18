"""A trace as a waterfall."""

import asyncio
from dataclasses import dataclass

import reflex as rx

from backend.app import current
from backend.foundation.kernel.errors import NotFound
from backend.reads.views import SpanView, TraceView
from state.session import caller_of, part_of_path

PATIENCE_S = 8
NARROWEST = 0.4
"""The share of the width, in percent, below which a bar could not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A span as it is drawn: ``indent`` counts levels, ``left`` and ``width`` are shares of the whole in CSS."""

    key: str
    name: str
    service: str
    indent: int
    left: str
    width: str
    duration: str
    status: str
    attributes: tuple[tuple[str, str], ...]


def bar_of(span: SpanView, whole_ms: float) -> Bar:
    """Return the bar of a span in a trace that took ``whole_ms``."""
    whole = max(whole_ms, 0.001)
    left = min(max(span.start_ms / whole * 100, 0.0), 100.0 - NARROWEST)
    width = min(max(span.duration_ms / whole * 100, NARROWEST), 100.0 - left)
    return Bar(
        key=span.id,
        name=span.name,
        service=span.service,
        indent=min(span.depth, 12),
        left=f"{left:.2f}%",
        width=f"{width:.2f}%",
        duration=milliseconds(span.duration_ms),
        status="failed" if span.status == "error" else "ok",
        attributes=span.attributes,
    )


def milliseconds(value: float) -> str:
    """Return a duration with its unit, with as many digits as say something."""
    if value < 1:
        return f"{value:.2f} ms"
    if value < 1000:
        return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
    return f"{value / 1000:.2f} s" if value < 60_000 else f"{value / 60_000:.1f} min"


class TraceState(rx.State):
    """The trace of the address; ``phase`` is ``loading``, ``ready`` or ``missing``."""

    phase: str = "loading"
    trace: str = ""
    title: str = ""
    started_ms: int = 0
    duration: str = ""
    bars: rx.Field[list[Bar]] = rx.field(default_factory=list)

    @rx.event
    async def load(self):
        """Load the trace that the address names."""
        caller = await caller_of(self)
        trace = part_of_path(self, 2)
        if trace != self.trace:
            self.reset()
            self.trace = trace
        try:
            self._show(await current().traces.trace(caller, trace))
        except NotFound:
            return TraceState.wait
        return None

    @rx.event(background=True)
    async def wait(self):
        """Look for a trace that may still be on its way: spans are stored some seconds after they end."""
        for _ in range(PATIENCE_S):
            async with self:
                caller, trace = await caller_of(self), self.trace
            try:
                view = await current().traces.trace(caller, trace)
            except NotFound:
                await asyncio.sleep(1)
                continue
            async with self:
                self._show(view)
            return
        async with self:
            self.phase = "missing"

    def _show(self, view: TraceView) -> None:
        self.title, self.started_ms = view.title, view.started_ms
        self.duration = milliseconds(view.duration_ms)
        self.bars = [bar_of(span, view.duration_ms) for span in view.spans]
        self.phase = "ready"

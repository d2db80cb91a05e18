"""What telemetry offers to exporters: finished spans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Attribute = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """A finished span, masked and bounded.

    Attributes:
        parent: the parent's span id, empty for the root.
        kind: ``internal``, ``server``, ``client``, ``producer`` or ``consumer``.
        start_us: microseconds since 1970 by the clock of the process that recorded it.
        status: ``ok``, ``error`` or ``cancelled``.
    """

    tenant: str
    trace_id: str
    span_id: str
    parent: str
    name: str
    service: str
    kind: str
    start_us: int
    duration_us: int
    status: str
    attributes: Mapping[str, Attribute]


class SpanExporter(Protocol):
    """A second place that spans go to, besides the own table."""

    async def export(self, spans: Sequence[SpanRecord]) -> None:
        """Send a batch; raise `Unavailable` when it cannot be: the batch is counted as dropped there."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...

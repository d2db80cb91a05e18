"""What pages and doors read of telemetry."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """A trace as a list shows it, by the span that it entered with. Times are milliseconds; ``status`` is ``ok``,
    ``error`` or ``cancelled``."""

    id: str
    title: str
    service: str
    started_ms: int
    duration_ms: float
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """A process of this installation.

    Attributes:
        roles: what it does, such as ``web`` or ``agents``.
        started_ms: milliseconds since 1970, as is ``seen_ms``, its last heartbeat.
        alive: whether it was seen within the last 15 seconds.
        figures: what it says of itself: ``rss_mb``, ``loop_lag_ms``, ``spans_waiting`` and what its rooms add.
    """

    id: str
    service: str
    roles: tuple[str, ...]
    host: str
    pid: int
    started_ms: int
    seen_ms: int
    alive: bool
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView:
    """Whether a process with a role lives: seen within the last 15 seconds.

    ``started_ms`` is when the eldest of those that live started, ``seen_ms`` when any was last seen; 0 for never.
    """

    alive: bool
    started_ms: int
    seen_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryHealth:
    """Whether this process's spans are stored. Counts are since its start; ``waiting`` of ``limit`` are in memory."""

    ok: bool
    detail: str
    stored: int
    dropped: int
    waiting: int
    limit: int
    cause: str = ""
    fix: str = ""

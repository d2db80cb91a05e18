"""Every bound of telemetry in one place."""

from dataclasses import dataclass

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds, and what happens at them.

    Attributes:
        waiting: finished spans in memory; the newest is dropped and counted beyond it.
        batch: spans of one transaction: a writer of SQLite waits some 5 ms for it.
        every_s: how long a finished span waits for its batch.
        give_up_s: how long one attempt to store may take.
        attempts: how often a batch is tried before it is dropped and counted.
        drain_s: how long `close` tries to store what waits.
        keep: spans in the table, over all tenants; the oldest go.
        keep_ms: how long a span stays in the table.
        sweep_s: how often the oldest are looked for.
        sweep_batch: rows of one delete.
        event_ratio: how many of the traces that start with a bulk event are kept (``AUTOWEAVE_TRACE_EVENTS``).
        beat_s: time between heartbeats.
        dead_ms: a process that was not seen for so long is shown as not alive.
        forget_ms: and after so long not at all.
    """

    waiting: int = 8_192
    batch: int = 256
    every_s: float = 0.5
    give_up_s: float = 10.0
    attempts: int = 6
    drain_s: float = 3.0
    keep: int = 500_000
    keep_ms: int = 7 * DAY_MS
    sweep_s: float = 60.0
    sweep_batch: int = 500
    event_ratio: float = 0.01
    beat_s: float = 5.0
    dead_ms: int = 15_000
    forget_ms: int = 3_600_000

"""What is read of the bus."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterView:
    """An event that a consumer gave up; ``position`` is topic, partition and offset of its message."""

    id: int
    consumer: str
    event: str
    type: str
    position: str
    key: str
    payload: str
    cause: str
    stack: str
    attempts: int
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxView:
    """Events that wait for the relay: how many, and for how long the oldest has waited (milliseconds, 0 if none)."""

    waiting: int
    oldest_ms: int

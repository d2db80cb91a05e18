"""What budgets need from the outside: buckets that all processes share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A token bucket: it holds ``burst`` tokens at the most, and ``per_second`` flow in; an unknown one is full."""

    key: str
    per_second: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a bucket holds after it was asked.

    Attributes:
        left: whole tokens.
        full_s: seconds until it is full again.
        wait_s: seconds until it holds what was wanted; 0 where it did.
    """

    left: int
    full_s: float
    wait_s: float


class Buckets(Protocol):
    """The port of the token buckets. `Unavailable` is raised when they cannot be reached, and only then."""

    async def take(self, count: int, buckets: Sequence[Bucket]) -> list[Level]:
        """Take ``count`` tokens from each bucket, or none from any of them; return the level of each."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...

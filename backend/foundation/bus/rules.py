"""Pure decisions of the bus: names, waits and limits."""

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from backend.foundation.kernel.errors import Unavailable

SLOTS = 64
"""Keys are spread over so many slots; a relay shard serves those whose number modulo the shards is its own."""

PARTITIONS = 8
"""Of each topic that the product makes."""

KEEP_MS = 7 * 24 * 3_600_000
"""The embedded bus keeps what every group has done for so long."""

KEEP_MESSAGES = 20_000
"""At most so many of what every group has done are kept by the embedded bus, for each partition."""

ONLY_FOR, REPLAY_OF = "ce_onlyfor", "ce_replayof"
"""Headers of an event that is sent again to the one consumer that gave it up, and the number of its dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """What a consumer does about a handler that fails: how often it is tried before its event becomes a dead letter.

    Attributes:
        attempts: from 1 to 20.
        first_s, longest_s: the longest wait after the first failure, which doubles each time, and its bound; the wait
            is chosen at random below it (full jitter).
    """

    attempts: int = 5
    first_s: float = 0.2
    longest_s: float = 30.0

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= 20 or not 0 <= self.first_s <= self.longest_s <= 600:
            raise ValueError(f"These retries are out of bounds: {self}.")

    def wait_s(self, attempts: int) -> float:
        """Return how many seconds to wait after so many failed attempts."""
        longest = min(self.first_s * 2 ** min(attempts - 1, 20), self.longest_s)
        return random.uniform(0, longest)  # noqa: S311 - jitter


RETRIES = Retries()
"""Of a consumer that says nothing else."""


def group_of(consumer: str) -> str:
    """Return the consumer group of a consumer."""
    return f"aw.{consumer}"


def slot_of(key: str) -> int:
    """Return the slot of a key; the same key is always in the same one."""
    return zlib.crc32(key.encode()) % SLOTS


def wait_s(attempts: int) -> float:
    """Return how many seconds to wait after so many failed attempts of the bus itself."""
    return RETRIES.wait_s(attempts)


def is_outage(error: BaseException) -> bool:
    """Return whether a part is down, which is not the fault of the event that met it: it waits, however long."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))
    return isinstance(error, Unavailable)


def parts(large: Sequence[bool], *, most: int, most_large: int) -> Iterator[slice]:
    """Divide a sequence, keeping its order: each part has at most so many, and at most so many large ones of them."""
    first = heavy = 0
    for at, is_large in enumerate(large):
        if at - first == most or (is_large and heavy == most_large):
            yield slice(first, at)
            first, heavy = at, 0
        heavy += is_large
    if first < len(large):
        yield slice(first, len(large))

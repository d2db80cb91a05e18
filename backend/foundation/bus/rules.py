"""Pure decisions of the bus: names, waits and limits."""

import random
import zlib

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

MOST_ATTEMPTS = 5
"""So often a handler is tried before its event becomes a dead letter."""

ONLY_FOR, REPLAY_OF = "ce_onlyfor", "ce_replayof"
"""Headers of an event that is sent again to the one consumer that gave it up, and the number of its dead letter."""

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 30.0


def group_of(consumer: str) -> str:
    """Return the consumer group of a consumer."""
    return f"aw.{consumer}"


def slot_of(key: str) -> int:
    """Return the slot of a key; the same key is always in the same one."""
    return zlib.crc32(key.encode()) % SLOTS


def wait_s(attempts: int) -> float:
    """Return how many seconds to wait after so many failed attempts: exponential with full jitter, at most 30 s."""
    longest = min(_FIRST_WAIT_S * 2 ** min(attempts - 1, 20), _LONGEST_WAIT_S)
    return random.uniform(0, longest)  # noqa: S311 - jitter


def is_outage(error: BaseException) -> bool:
    """Return whether a part is down, which is not the fault of the event that met it: it waits, however long."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))
    return isinstance(error, Unavailable)

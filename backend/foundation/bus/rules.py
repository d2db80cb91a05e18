"""Pure decisions of the bus: names, waits and limits."""

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from backend.foundation.bus.ports import TopicInfo
from backend.foundation.bus.views import TopicDifference, duration
from backend.foundation.events.types import CATALOGUE, STATE_MS
from backend.foundation.kernel.errors import Unavailable

SLOTS = 64
"""Keys are spread over so many slots; a relay shard serves those whose number modulo the shards is its own."""

PARTITIONS = 8
"""Of each topic that the product makes."""

KEEP_MS = 7 * 24 * 3_600_000
"""The embedded bus keeps what every group has done for so long."""

KEEP_MESSAGES = 20_000
"""At most so many of what every group has done are kept by the embedded bus, for each partition."""

CLEANUP, RETENTION, COMPACTED = "cleanup.policy", "retention.ms", "max.compaction.lag.ms"
_COMPACTED_MS = 24 * 3_600_000
"""After so long at the most Kafka drops what a later event of its key replaces; by itself it waits for seven days."""

OWN_TOPICS = tuple(sorted({entry.topic for entry in CATALOGUE.values()}))
"""The topics of the product."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """How a topic of the product has to be.

    Attributes:
        partitions: at the least.
        settings: by Kafka's names; of others it may have any.
    """

    name: str
    partitions: int
    settings: Mapping[str, str]


def plan_of(topic: str, *, partitions: int = PARTITIONS, retention_ms: int = 0) -> TopicPlan:
    """Return how a topic of the product has to be; ``retention_ms`` is 0 for as long as the broker keeps by itself."""
    settings = {CLEANUP: "delete"}
    if topic in STATE_MS:
        settings = {CLEANUP: "compact,delete", COMPACTED: str(_COMPACTED_MS)}
    if keep_ms := max(retention_ms, STATE_MS.get(topic, 0)):
        settings[RETENTION] = str(keep_ms)
    return TopicPlan(name=topic, partitions=partitions, settings=settings)


def differences(plan: TopicPlan, info: TopicInfo) -> list[TopicDifference]:
    """Return in what a topic is not as it has to be; more partitions than planned are fine, none can be taken away."""
    has = {**info.settings, CLEANUP: info.cleanup, RETENTION: str(info.retention_ms)}
    found = [
        TopicDifference(topic=plan.name, setting=setting, has=has.get(setting, ""), wanted=wanted)
        for setting, wanted in plan.settings.items()
        if sorted(has.get(setting, "").split(",")) != sorted(wanted.split(","))
    ]
    if info.partitions < plan.partitions:
        found.append(
            TopicDifference(
                topic=plan.name, setting="partitions", has=str(info.partitions), wanted=str(plan.partitions)
            )
        )
    return found


def consumers_of(topic: str) -> list[str]:
    """Return the consumers of a topic of the product, by name."""
    return sorted({name for entry in CATALOGUE.values() if entry.topic == topic for name in entry.handled_by})


def kept(info: TopicInfo) -> str:
    """Return in words for how long a topic keeps its messages."""
    last = "the last of each key" if "compact" in info.cleanup else ""
    if "delete" not in info.cleanup:
        return last
    return ", ".join(filter(None, (duration(info.retention_ms), last)))


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


def fitting(large: Sequence[bool], *, most: int) -> int:
    """Return how many of a sequence, from its beginning, hold at most so many large ones."""
    heavy = 0
    for at, is_large in enumerate(large):
        heavy += is_large
        if heavy > most:
            return at
    return len(large)

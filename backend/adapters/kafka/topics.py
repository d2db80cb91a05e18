"""Topics and groups: make, delete, describe, and how far a group is behind."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.structs import TopicPartition

from backend.adapters.kafka.clients import (
    Admin,
    Clients,
    Consumer,
    Member,
    TopicFacts,
    alter_topic,
    assignment,
    delete_group,
    grow_topic,
    new_topic,
    subscription,
    topic_resource,
)
from backend.adapters.kafka.ending import end_admin, end_consumer
from backend.adapters.kafka.failures import answered, translate
from backend.adapters.kafka.held import Held
from backend.adapters.kafka.options import KafkaOptions
from backend.foundation.kernel.errors import Conflict, NotFound, Unavailable

Answer = TypeVar("Answer")

_LOOK_AGAIN_S = 0.05
_NO_COORDINATOR = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
_HAS_MEMBERS, _NO_SUCH_GROUP = 68, 69
_OWN_SETTING = 1
"""The source of a setting that was given for this topic; everything else is the broker's."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a topic: those it was given itself, and all that apply to it."""

    own: dict[str, str] = field(default_factory=dict[str, str])
    all: dict[str, str] = field(default_factory=dict[str, str])


class Topics:
    """What the broker knows, by the broker's own names.

    Args:
        clients: makes the clients.
        options: times.
    """

    def __init__(self, clients: Clients, options: KafkaOptions) -> None:
        self._options = options
        self._admin = Held(clients.admin, end_admin)
        self._observer = Held(clients.observer, end_consumer)

    async def close(self) -> None:
        """Give the connections back."""
        await self._admin.forget()
        await self._observer.forget()

    async def create(self, name: str, partitions: int, settings: Mapping[str, str]) -> None:
        """Make a topic and wait until it can be written to; raise `Conflict` when it has other partitions."""
        async with self._asking(f"create the topic {name!r}") as admin:
            answer = await admin.create_topics([new_topic(name, partitions, settings)], self._timeout_ms)
            _, code, text = answer.topic_errors[0]
            if code not in (0, TopicAlreadyExistsError.errno):
                raise for_code(code)(text)
            found = await self._wait(admin, name, present=True)
        if found != partitions:
            hint = "Use that number, or delete the topic with all its messages."
            raise Conflict(f"The topic {name!r} exists with {found} partitions, not {partitions}.", hint=hint)

    async def delete(self, name: str) -> None:
        """Delete a topic and wait until it is gone; one that does not exist is fine."""
        async with self._asking(f"delete the topic {name!r}") as admin:
            answer = await admin.delete_topics([name], self._timeout_ms)
            _, code = answer.topic_error_codes[0]
            if code not in (0, UnknownTopicOrPartitionError.errno):
                raise for_code(code)
            await self._wait(admin, name, present=False)

    async def change(self, name: str, settings: Mapping[str, str]) -> None:
        """Change settings of a topic, which others do not lose by it; raise `NotFound`, `Invalid`, `Forbidden`."""
        async with self._asking(f"change the topic {name!r}") as admin:
            code, text = await alter_topic(admin, name, settings)
            if code:
                raise for_code(code)(text)

    async def grow(self, name: str, partitions: int) -> None:
        """Raise the partitions of a topic and wait for their leaders; raise `NotFound`, `Conflict`, `Forbidden`."""
        has = len(await self.partitions(name))
        if partitions < has:
            hint = "Partitions cannot be taken away: use that number."
            raise Conflict(f"The topic {name!r} has {has} partitions, more than {partitions}.", hint=hint)
        if partitions == has:
            return
        async with self._asking(f"raise the partitions of {name!r}") as admin:
            await grow_topic(admin, name, partitions, self._timeout_ms)
            await self._wait(admin, name, present=True, partitions=partitions)

    async def all(self) -> dict[str, int]:
        """Return the number of partitions of every topic."""
        async with self._asking("list the topics") as admin:
            return {facts["topic"]: len(facts["partitions"]) for facts in await admin.describe_topics()}

    async def partitions(self, name: str) -> list[TopicPartition]:
        """Return the partitions of a topic; raise `NotFound`."""
        count = (await self.all()).get(name)
        if count is None:
            raise NotFound(f"There is no topic {name!r}.", hint="Create it first.")
        return [TopicPartition(name, number) for number in range(count)]

    async def settings(self, names: Sequence[str]) -> Mapping[str, Settings]:
        """Return the settings of each topic; of one that is deleted meanwhile, none."""
        found: defaultdict[str, Settings] = defaultdict(Settings)
        if not names:
            return found
        async with self._asking("describe the topics") as admin:
            answers = await admin.describe_configs([topic_resource(name) for name in names])
        for answer in answers:
            for _, _, _, name, entries in answer.resources:
                for key, value, _, source, *_ in entries:
                    found[name].all[key] = value or ""
                    if source == _OWN_SETTING:
                        found[name].own[key] = value or ""
        return found

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next message of each will get: the number ever written."""
        async with self._observing("ask for the ends") as observer:
            return dict(await observer.end_offsets(list(partitions)))

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of the oldest message that is still stored, of each."""
        async with self._observing("ask for the beginnings") as observer:
            return dict(await observer.beginning_offsets(list(partitions)))

    async def at_time(self, partitions: Iterable[TopicPartition], time_ms: int) -> dict[TopicPartition, int]:
        """Return the offset of the first message at or after the time; partitions without one are left out."""
        async with self._observing("ask for the positions at a time") as observer:
            found = await observer.offsets_for_times(dict.fromkeys(partitions, max(time_ms, 0)))
        return {partition: place.offset for partition, place in found.items() if place is not None}

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """Return the next offset of each partition that the group has ever committed."""
        async with self._asking(f"ask for the positions of {group!r}") as admin:
            found = await _coordinated(lambda: admin.list_consumer_group_offsets(group))
        return {at: place.offset for at, place in found.items()}

    async def subscribed(self, group: str) -> set[str]:
        """Return the topics that the members of the group read now."""
        return {topic for member in await self._members(group) for topic in subscription(member[3])}

    async def members(self, group: str) -> list[tuple[str, str, list[TopicPartition]]]:
        """Return client name, host and partitions of each member of the group."""
        return [(client, host, assignment(given)) for _, client, host, _, given in await self._members(group)]

    async def _members(self, group: str) -> list[Member]:
        async with self._asking(f"ask for the members of {group!r}") as admin:
            answers = await _coordinated(lambda: admin.describe_consumer_groups([group]))
        return [member for answer in answers for found in answer.groups for member in found[5]]

    async def delete_group(self, group: str) -> None:
        """Delete a group that has no members; one that does not exist is fine."""
        async with self._asking(f"delete the group {group!r}") as admin:
            code = await _coordinated(lambda: delete_group(admin, group))
        if code == _HAS_MEMBERS:
            raise Conflict(f"The group {group!r} has members.", hint="Stop its consumers first.")
        if code not in (0, _NO_SUCH_GROUP):
            raise translate(for_code(code)(), f"delete the group {group!r}")

    async def brokers(self) -> int:
        """Return the number of brokers that are up: the cheapest question there is."""
        async with self._asking("ask how it is") as admin:
            return len((await admin.describe_cluster())["brokers"])

    @property
    def _timeout_ms(self) -> int:
        return int(self._options.answer_s * 1000)

    async def _wait(self, admin: Admin, name: str, *, present: bool, partitions: int = 1) -> int:
        """Wait until the topic has a leader everywhere, in so many at the least, or is gone; return how many it has."""
        while True:
            facts = next((each for each in await admin.describe_topics() if each["topic"] == name), None)
            if (facts is not None and _is_led(facts, partitions)) if present else facts is None:
                return len(facts["partitions"]) if facts else 0
            await asyncio.sleep(_LOOK_AGAIN_S)

    @asynccontextmanager
    async def _asking(self, doing: str) -> AsyncGenerator[Admin]:
        try:
            async with answered(doing, self._options.answer_s):
                yield await self._admin.get()
        except Unavailable:
            await self._admin.forget()
            raise
        except AttributeError as error:
            # The library reads the controller's address before it knows of one, while a broker is starting.
            await self._admin.forget()
            raise translate(OSError("no controller"), doing) from error

    @asynccontextmanager
    async def _observing(self, doing: str) -> AsyncGenerator[Consumer]:
        try:
            async with answered(doing, self._options.answer_s):
                yield await self._observer.get()
        except Unavailable:
            await self._observer.forget()
            raise


async def _coordinated(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until a coordinator of the group answers: a new broker, or one that takes over, has none for a moment."""
    while True:
        try:
            return await ask()
        except _NO_COORDINATOR:
            await asyncio.sleep(_LOOK_AGAIN_S)


def _is_led(facts: TopicFacts, partitions: int) -> bool:
    return len(facts["partitions"]) >= partitions and all(each["leader"] >= 0 for each in facts["partitions"])

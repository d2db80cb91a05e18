"""A member of a group: polls in its own task, so that no handler can cost the membership."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

import structlog
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import TopicPartition

from backend.adapters.kafka.clients import Consumer, heed_given_up_commits, is_member, leave_the_name
from backend.adapters.kafka.ending import end_consumer
from backend.adapters.kafka.failures import FAILURES, answered
from backend.adapters.kafka.options import KafkaOptions
from backend.adapters.kafka.records import Partitions, decode_all
from backend.foundation.bus.ports import Partition, Sink
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.errors import Fenced, Unavailable

_log = structlog.get_logger(__name__)
_POLL_MS = 500


class KafkaReader:
    """Implements `Reader`.

    The sink is called from the poll task (`deliver`) and from the group's (`assigned`, `revoked`, `lost`), but never by
    both at once: nothing is delivered between the call for a revocation and the end of the one for the assignment.

    Args:
        group: the broker's name of the group.
        topics: the broker's names of the topics.
        partitions: our names of partitions.
        sink: who reads.
        connect: makes a consumer of the group, not started; told whether it is to stay a member over a restart.
        stays: whether it is, as long as nobody else goes by its name.
        taken: whether somebody does; asked when the group knows this member no longer.
        options: times and sizes.
        ended: called once, when the reader has stopped.
    """

    def __init__(
        self,
        group: str,
        topics: Sequence[str],
        partitions: Partitions,
        sink: Sink,
        *,
        connect: Callable[[bool], Consumer],
        stays: bool,
        taken: Callable[[], Awaitable[bool]],
        options: KafkaOptions,
        ended: Callable[["KafkaReader"], None],
    ) -> None:
        self.group = group
        self.topics = tuple(topics)
        self._partitions = partitions
        self._sink = sink
        self._connect = connect
        self._stays = stays
        self._taken = taken
        self._joined_before = False
        self._options = options
        self._ended = ended
        self._consumer: Consumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._owned: frozenset[TopicPartition] = frozenset()
        self._settled = asyncio.Event()
        self._turn = asyncio.Lock()
        self._epoch = 0
        self._stopping = False

    async def start(self) -> None:
        """Reach the broker and begin to join; raise `Unavailable` when it does not answer."""
        async with answered(f"join the group {self.group!r}", self._options.start_s):
            consumer = await self._joined()
        self._task = asyncio.create_task(self._run(consumer), name=f"kafka-reader-{self.group}")

    async def commit(self, positions: Mapping[Partition, str]) -> None:
        """See `Reader.commit`; Kafka keeps the offset of the next message, one above the last one done."""
        if not positions:
            return
        offsets = {self._partitions.native(partition): int(offset) + 1 for partition, offset in positions.items()}
        consumer = self._consumer
        if consumer is None or not offsets.keys() <= consumer.assignment():
            raise Fenced("Another member owns the partition now.")
        async with answered("commit", self._options.commit_s):
            try:
                await consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError) as error:
                raise Fenced("Another member owns the partition now.") from error

    def pause(self, partitions: Sequence[Partition]) -> None:
        """See `Reader.pause`; partitions that are not owned are left out."""
        if self._consumer is not None:
            self._consumer.pause(*self._held(partitions))

    def resume(self, partitions: Sequence[Partition]) -> None:
        """See `Reader.resume`; partitions that are not owned are left out."""
        if self._consumer is not None:
            self._consumer.resume(*self._held(partitions))

    async def stop(self) -> None:
        """See `Reader.stop`."""
        if self._stopping:
            return
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._let_go(self._sink.revoked)
        await self._leave()
        self._ended(self)

    def _held(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        assigned = self._consumer.assignment() if self._consumer is not None else frozenset[TopicPartition]()
        return [native for native in map(self._partitions.native, partitions) if native in assigned]

    async def _joined(self) -> Consumer:
        consumer = self._connect(self._stays)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(end_consumer, consumer)
            await consumer.start()
            undo.pop_all()
        self._consumer, self._joined_before = consumer, False
        heed_given_up_commits(consumer)
        # Subscribing after the start does not wait for partitions, which may take as long as others hold them.
        consumer.subscribe(self.topics, listener=_Listener(self, consumer))
        return consumer

    async def _run(self, consumer: Consumer) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._poll(consumer, backoff)
            except FAILURES as error:
                _log.warning("bus.reader_lost", group=self.group, error=repr(error))
            except Exception:  # noqa: BLE001 - the reader's loop: a fault of the sink must not end the reading
                _log.exception("bus.reader_failed", group=self.group)
            await self._let_go(self._sink.lost)
            await self._leave()
            consumer = await self._rejoined(backoff)

    async def _rejoined(self, backoff: Backoff) -> Consumer:
        while True:
            await backoff.wait()
            try:
                async with asyncio.timeout(self._options.start_s):
                    return await self._joined()
            except FAILURES as error:
                _log.warning("bus.reader_not_back", group=self.group, error=repr(error))

    async def _poll(self, consumer: Consumer, backoff: Backoff) -> None:
        """Hand deliveries over until the consumer fails."""
        while True:
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._options.max_records)
            if not batches:
                continue
            backoff.reset()
            epoch = self._epoch
            await self._settled.wait()
            if epoch == self._epoch:
                self._sink.deliver(decode_all(self._partitions, batches.items()))
            # What was fetched ahead comes without waiting: let the handlers run in between.
            await asyncio.sleep(0)

    async def on_revoked(self, consumer: Consumer) -> None:
        """The group asks for the partitions back, or has given them away already."""
        if consumer is not self._consumer:
            return
        member = is_member(consumer)
        await self._let_go(self._sink.revoked if member else self._sink.lost)
        if self._stays and self._joined_before and not member:
            await self._keep_or_leave_the_name(consumer)

    async def _keep_or_leave_the_name(self, consumer: Consumer) -> None:
        """Two of one name would put each other out for ever: who is put out goes on without it."""
        try:
            taken = await self._taken()
        except Unavailable:
            return
        if taken:
            self._stays = False
            leave_the_name(consumer)
            _log.error("bus.name_taken", group=self.group, hint="Give each worker a --member of its own.")

    async def on_assigned(self, consumer: Consumer, partitions: Iterable[TopicPartition]) -> None:
        """The group has given partitions to this member."""
        async with self._turn:
            if consumer is not self._consumer or self._stopping:
                return
            self._owned, self._joined_before = frozenset(partitions), True
            await self._sink.assigned(sorted(map(self._partitions.own, self._owned)))
            self._settled.set()

    async def _let_go(self, tell: Callable[[Sequence[Partition]], Awaitable[None]]) -> None:
        self._epoch += 1
        self._settled.clear()
        async with self._turn:
            owned, self._owned = self._owned, frozenset[TopicPartition]()
            if not owned:
                return
            try:
                async with asyncio.timeout(self._options.revoke_s):
                    await tell(sorted(map(self._partitions.own, owned)))
            except TimeoutError:
                _log.warning("bus.revoke_late", group=self.group)

    async def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await end_consumer(consumer)


class _Listener(ConsumerRebalanceListener):
    def __init__(self, reader: KafkaReader, consumer: Consumer) -> None:
        self._reader = reader
        self._consumer = consumer

    # The library awaits what the listener returns, though it declares nothing.
    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        await self._reader.on_revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        await self._reader.on_assigned(self._consumer, assigned)

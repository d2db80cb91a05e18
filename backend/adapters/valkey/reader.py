"""A member of a group at work: reads the partitions that it holds, and tells the sink what it holds."""

import asyncio
import random
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import cast

import structlog
from redis.exceptions import RedisError

from backend.adapters.valkey.follower import WAKE, entries_of
from backend.adapters.valkey.leases import Change, Leases
from backend.adapters.valkey.listener import Ear, Listener
from backend.adapters.valkey.messages import delivery_of
from backend.adapters.valkey.server import Line, Link, Reply, Server, connect, pack
from backend.adapters.valkey.topics import Topics
from backend.foundation.bus.ports import Delivery, Partition, Sink
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.ids import new_id

log = structlog.get_logger(__name__)

_BLOCK_MS = 5_000
_GRACE_S = 5.0
_COUNT = 256
_REVOKE_S = 5.0
_FEW = 64
_LINGER_S = 0.002
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0


class ValkeyReader:
    """The `Reader` on Valkey. One task reads and calls the sink, another keeps the leases, whatever the first does.

    Args:
        server: where the streams are.
        line: the connection for leases and commits.
        topics: names the streams.
        leases: what this member holds.
        sink: who takes the deliveries.
        listener: hears when members come or go.
        interval_s: how often leases are renewed.
    """

    def __init__(
        self,
        server: Server,
        line: Line,
        topics: Topics,
        *,
        leases: Leases,
        sink: Sink,
        listener: Listener,
        interval_s: float,
    ) -> None:
        self._server = server
        self._line = line
        self._topics = topics
        self._leases = leases
        self._sink = sink
        self._listener = listener
        self._interval_s = interval_s
        self._positions: dict[Partition, str] = {}
        self._paused: set[Partition] = set()
        self._changes: deque[Change] = deque()
        self._wake_key = server.key("wake", new_id("rdr"))
        self._wake_cursor = "0-0"
        self._stale = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Join the group; raise `Unavailable` when the server is down."""
        ear = await self._listener.join([self._leases.notices])
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._listener.leave, ear)
            self._changes.append(await self._leases.balance())
            undo.pop_all()
        loops = (self._read_forever(), self._keep_leases(ear), self._wake_when_stale())
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def commit(self, positions: Mapping[Partition, str]) -> None:
        if positions:
            await self._leases.commit(positions)

    def pause(self, partitions: Sequence[Partition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        self._paused.difference_update(partitions)
        self._stale.set()

    async def stop(self) -> None:
        if self._stopping or not self._tasks:
            return
        self._stopping = True
        self._stale.set()
        reading, *_ = self._tasks
        await asyncio.wait([reading], timeout=_REVOKE_S + 1)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._leave_group()

    async def _read_forever(self) -> None:
        backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        while not self._stopping:
            link = self._server.link()
            try:
                await self._apply_changes()
                await connect(link)
                while not self._stopping:
                    await self._apply_changes()
                    await self._read(link)
                    backoff.reset()
            except (RedisError, OSError, TimeoutError, Unavailable) as error:
                if backoff.fresh:
                    log.warning("bus.reader_lost", error=str(error))
                await backoff.wait()
            except Exception:
                # A fault in the sink must not end the consumer: it starts again from the cursors.
                log.exception("bus.reader_failed")
                self._changes.append(self._leases.drop())
                await asyncio.sleep(1)
            finally:
                await link.disconnect(nowait=True)
        await self._revoke(list(self._positions))

    async def _read(self, link: Link) -> None:
        wanted = {self._topics.stream(*p): p for p in self._positions if p not in self._paused}
        cursors = [self._positions[partition] for partition in wanted.values()]
        keys = (*wanted, self._wake_key, *cursors, self._wake_cursor)
        await link.send_packed_command(pack("XREAD", "COUNT", _COUNT, "BLOCK", _BLOCK_MS, "STREAMS", *keys))
        async with asyncio.timeout(_BLOCK_MS / 1000 + _GRACE_S):
            reply = await link.read_response(disable_decoding=True)
        deliveries: list[Delivery] = []
        for name, raw in cast("list[tuple[bytes, Reply]]", reply or []):
            entries = entries_of(raw)
            partition = wanted.get(name.decode())
            if partition is None:
                self._wake_cursor = entries[-1].id
            elif entries:
                self._positions[partition] = entries[-1].id
                deliveries += [delivery_of(partition, entry) for entry in entries]
        if deliveries:
            self._sink.deliver(deliveries)
            if len(deliveries) < _FEW:
                # More is likely on its way: read it at once, rather than one by one.
                await asyncio.sleep(_LINGER_S)

    async def _apply_changes(self) -> None:
        while self._changes:
            change = self._changes.popleft()
            self._forget(change.lost)
            if change.lost:
                await self._sink.lost(change.lost)
            if change.give:
                await self._give(change.give)
            if change.taken:
                await self._sink.assigned(list(change.taken))
                self._positions.update(change.taken)

    async def _give(self, partitions: Sequence[Partition]) -> None:
        self._forget(partitions)
        await self._revoke(partitions)
        await self._leases.release(partitions)

    async def _leave_group(self) -> None:
        # Only now that nobody renews any more: a renewal would join the group again.
        try:
            await self._leases.release(self._leases.held(), leave=True)
        except Unavailable as error:
            log.warning("bus.left_without_release", error=str(error))

    async def _revoke(self, partitions: Sequence[Partition]) -> None:
        if not partitions:
            return
        try:
            async with asyncio.timeout(_REVOKE_S):
                await self._sink.revoked(partitions)
        except TimeoutError:
            log.warning("bus.revoke_late", partitions=[f"{p.topic}[{p.number}]" for p in partitions])

    def _forget(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)
            self._paused.discard(partition)

    async def _keep_leases(self, ear: Ear) -> None:
        try:
            while True:
                await self._until_due(ear)
                await self._renew()
        finally:
            await self._listener.leave(ear)

    async def _renew(self) -> None:
        try:
            change = await self._leases.balance()
        except Unavailable as error:
            log.warning("bus.leases_not_renewed", error=str(error))
            change = self._leases.drop_if_lapsed()
        if change:
            self._changes.append(change)
            self._stale.set()

    async def _until_due(self, ear: Ear) -> None:
        wait_s = self._interval_s * random.uniform(0.8, 1.0)  # noqa: S311 - jitter
        try:
            async with asyncio.timeout(wait_s):
                await anext(ear)
        except TimeoutError:
            return

    async def _wake_when_stale(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self._line.run(WAKE, [self._wake_key], [])
            except Unavailable:
                # The blocked read fails as well, and looks anew when it is connected again.
                await asyncio.sleep(0.2)

"""Messages on their way to the server: many callers, few scripts."""

import zlib
from collections.abc import Sequence
from typing import cast

from backend.adapters.valkey.coalescer import Coalescer
from backend.adapters.valkey.messages import encode_headers
from backend.adapters.valkey.scripts import PUBLISH
from backend.adapters.valkey.server import Argument, Line, Server
from backend.adapters.valkey.topics import Topics
from backend.foundation.bus.ports import Message, Partition
from backend.foundation.kernel.errors import NotFound, TooLarge, Unavailable

_MESSAGE_BYTES = 1024 * 1024


class Publisher:
    """Writes messages in the order in which they came; a script writes a whole batch or nothing of it.

    Args:
        server: where to.
        topics: knows the partitions.
    """

    def __init__(self, server: Server, topics: Topics) -> None:
        self._topics = topics
        self._line = Line(server)
        self._waiting: Coalescer[Message, Exception | None] = Coalescer(self._send)

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Return for each message ``None`` once the server has it, else the error."""
        return await self._waiting.put(messages)

    async def close(self) -> None:
        """Write what waits and close the connection."""
        await self._waiting.close()
        await self._line.close()

    async def _send(self, messages: list[Message]) -> list[Exception | None]:
        try:
            errors = await self._write(messages, range(len(messages)))
            homeless = [index for index, error in errors.items() if isinstance(error, NotFound)]
            if homeless:
                # The topic may have been made, or lost with the server's memory, since it was looked up.
                self._topics.forget()
                await self._topics.restore()
                for index in homeless:
                    del errors[index]
                errors |= await self._write(messages, homeless)
        except Unavailable as error:
            return [error] * len(messages)
        return [errors.get(index) for index in range(len(messages))]

    async def _write(self, messages: list[Message], indexes: Sequence[int]) -> dict[int, Exception]:
        """Write the messages of these indexes; return the errors of those that could not be."""
        errors: dict[int, Exception] = {}
        keys: list[str] = []
        places: dict[Partition, int] = {}
        arguments: list[Argument] = []
        written: list[int] = []
        for index in indexes:
            message = messages[index]
            count = await self._topics.partitions(message.topic)
            error = _refusal(message, count)
            if error is not None:
                errors[index] = error
                continue
            partition = Partition(message.topic, zlib.crc32(message.key.encode()) % count)
            place = places.get(partition)
            if place is None:
                keys += (self._topics.stream(*partition), self._topics.ends(partition.topic))
                place = places[partition] = len(keys) - 1
            arguments += (place, partition.number, message.key, encode_headers(message.headers), message.value)
            written.append(index)
        if written:
            for place in cast("list[int]", await self._line.run(PUBLISH, keys, arguments)):
                errors[written[place]] = _missing(messages[written[place]])
        return errors


def _refusal(message: Message, partitions: int) -> Exception | None:
    if len(message.value) > _MESSAGE_BYTES:
        return TooLarge(f"A message may have {_MESSAGE_BYTES} bytes, not {len(message.value)}.")
    return None if partitions else _missing(message)


def _missing(message: Message) -> NotFound:
    return NotFound(f"There is no topic {message.topic!r}.")

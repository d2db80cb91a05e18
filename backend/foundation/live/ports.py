"""Ephemeral broadcast: capped streams with cursors, and notifications. Everything here may be lost at any time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

KEEP_S = 3_600
"""Seconds for which a stream stays after its last entry, unless that says otherwise."""


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """An entry and its cursor; a reader that comes back hands in the last cursor that it saw."""

    cursor: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification as a listener gets it."""

    channel: str
    payload: bytes


class LiveStore(Protocol):
    """The port of the live streams. `Unavailable` is raised when the store is down, and only then."""

    async def append(self, stream: str, values: Sequence[bytes], *, keep_s: int = KEEP_S) -> list[str]:
        """Append values in order; return their cursors.

        The stream keeps about its last 2,000 entries, for ``keep_s`` seconds after the last of them.
        """
        ...

    def follow(self, stream: str, after: str = "0") -> AbstractAsyncContextManager[AsyncIterator[StreamEntry]]:
        """Read what is stored after a cursor, then what comes, until the context is left.

        One connection serves all streams and readers of a process; a reader that falls 2,000 entries behind is
        moved on. A lost connection is made again and the stream goes on where it was.
        """
        ...

    async def delete(self, stream: str) -> None:
        """Forget a stream."""
        ...

    async def notify(self, channel: str, payload: bytes = b"") -> None:
        """Tell every listener of the channel, in all processes, once."""
        ...

    def notify_soon(self, channel: str, payload: bytes = b"") -> None:
        """The same without waiting or failing: equal notices that wait are sent once; errors are counted."""
        ...

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """Hear the channels until the context is left; active once the context is entered.

        After a lost connection a notice with an empty payload comes for each channel: whoever listens looks again.
        """
        ...

    async def ping(self) -> float:
        """Return the milliseconds of a round trip; raise `Unavailable` when there is none within 2 s."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...

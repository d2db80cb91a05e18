"""Waiting between attempts: longer each time, with jitter, so that a crowd does not come back at once."""

import asyncio
import random


class Backoff:
    """Times in seconds.

    Args:
        first: the longest wait after the first failure; it doubles with each.
        most: the longest wait of all.
    """

    def __init__(self, first: float = 0.2, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    @property
    def fresh(self) -> bool:
        """Whether nothing has failed since it last worked: the time to log a failure, not each of its repetitions."""
        return self._next == self._first

    async def wait(self) -> None:
        """Sleep before the next attempt."""
        longest, self._next = self._next, min(self._next * 2, self._most)
        # Half of it at least: an attempt costs the server a connection.
        await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter, no secret

    def reset(self) -> None:
        """Forget the failures: it works again."""
        self._next = self._first

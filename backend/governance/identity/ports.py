"""What identity needs: a way to tell every process that a session or a key ended."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from backend.foundation.live.ports import Notice


class Notices(Protocol):
    """The part of the live room that identity uses; whatever is lost here is caught up within 5 s."""

    def notify_soon(self, channel: str, payload: bytes = b"") -> None:
        """Tell every listener without waiting or failing."""
        ...

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """Hear the channels until the context is left; an empty payload means that something may have been missed."""
        ...

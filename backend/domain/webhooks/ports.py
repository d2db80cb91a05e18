"""What the webhooks room needs: somebody who makes the one request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver said: the status, the start of its body (at most 2 KiB), and ``Retry-After`` as it stood."""

    status: int
    body: bytes = b""
    retry_after: str = ""


class WebhookSender(Protocol):
    """Makes one request and nothing more: no redirect, no proxy, no retry, never to an address that is refused."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send and return what was said, within 15 s.

        Raises:
            AddressRefused: the name leads to an address that may not be sent to; nothing was sent.
            NotDelivered: nobody answered, not in time, or not in HTTP; it may have been received.
        """
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...

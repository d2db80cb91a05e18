"""`HttpWebhookSender`: one POST, over a connection of its own to an address that was checked."""

import asyncio
import ssl
from collections.abc import Mapping

import certifi
import httpcore

from backend.adapters.http.checked import CheckedNetwork
from backend.domain.webhooks.errors import NotDelivered
from backend.domain.webhooks.ports import Answer
from backend.domain.webhooks.rules.addresses import Allowed, check_url

CONNECT_S, WHOLE_S = 5.0, 15.0
KEPT_BYTES = 2_048


class HttpWebhookSender:
    """Speaks HTTP/1.1; follows no redirect, asks no proxy, and reads as little of an answer as is kept of it.

    Args:
        allowed: what may be sent to besides public addresses by https.
        authorities: a PEM file of authorities to trust besides the usual ones.
        connect_s, whole_s: seconds for the connection, and for everything.
    """

    def __init__(
        self, allowed: Allowed, *, authorities: str = "", connect_s: float = CONNECT_S, whole_s: float = WHOLE_S
    ) -> None:
        self._allowed = allowed
        self._network = CheckedNetwork(allowed)
        self._connect_s = connect_s
        self._whole_s = whole_s
        self._authorities = authorities
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        # What was allowed when it was stored may no longer be.
        check_url(url, self._allowed)
        try:
            async with asyncio.timeout(self._whole_s):
                return await self._post(url, headers, body)
        except TimeoutError as error:
            raise NotDelivered(f"The receiver did not answer within {self._whole_s:g} s.") from error
        except httpcore.ConnectTimeout as error:
            raise NotDelivered(f"No connection within {self._connect_s:g} s.") from error
        except (httpcore.ConnectError, OSError) as error:
            raise NotDelivered(_of_connection(error)) from error
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise NotDelivered("The connection broke off.") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
            raise NotDelivered("The receiver does not speak HTTP/1.1.") from error

    async def close(self) -> None:
        self._network.close()

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._tls is None:
            # Some 20 ms of reading certificates, which only who sends needs.
            self._tls = await asyncio.to_thread(_tls, self._authorities)
        asked = [*headers.items(), ("accept-encoding", "identity"), ("connection", "close")]
        timeouts = {"connect": self._connect_s, "read": self._whole_s, "write": self._whole_s, "pool": self._whole_s}
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls, max_connections=1, http2=False, network_backend=self._network
            ) as connection,
            connection.stream("POST", url, headers=asked, content=body, extensions={"timeout": timeouts}) as answer,
        ):
            told = {name.lower(): value for name, value in answer.headers}
            retry_after = told.get(b"retry-after", b"")[:64].decode("ascii", errors="replace")
            return Answer(status=answer.status, body=await _start(answer), retry_after=retry_after)


async def _start(answer: httpcore.Response) -> bytes:
    """Return the start of a body; what breaks off afterwards changes nothing about the status that was told."""
    read = bytearray()
    try:
        async for part in answer.aiter_stream():
            read += part
            if len(read) >= KEPT_BYTES:
                break
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
        pass
    return bytes(read[:KEPT_BYTES])


def _tls(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    if authorities:
        context.load_verify_locations(cafile=authorities)
    return context


def _of_connection(error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"Its certificate is not good: {cause.verify_message}."
    if isinstance(cause, ssl.SSLError) or "SSL" in str(error):
        return "No secure connection could be agreed on."
    return f"No connection: {str(error)[:200] or type(error).__name__}."

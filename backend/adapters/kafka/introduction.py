"""One connection, made as every client's first one is, to hear what a server has against it."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, cast

from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import SaslAuthenticationFailed
from aiokafka.protocol.metadata import MetadataRequest

_OPTIONS = frozenset(
    {"client_id", "security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password",
     "sasl_oauth_token_provider"}
)  # fmt: skip
_END_S = 1.0


class _Brokers(Protocol):
    """A metadata answer; a broker is (id, host, port, …)."""

    brokers: list[tuple[Any, ...]]


class _Open(Protocol):
    """`aiokafka.conn.AIOKafkaConnection`."""

    async def connect(self) -> object: ...
    def send(self, request: MetadataRequest) -> Coroutine[Any, Any, _Brokers]: ...
    def close(self) -> asyncio.Future[None] | None: ...


async def introduce(options: Mapping[str, object], host: str, port: int) -> list[tuple[str, int]]:
    """Connect and ask something; return the addresses that clients are sent to. Raises what the library does.

    Args:
        options: those of a client; what a single connection does not take is left out.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if name in _OPTIONS}
    connection = cast(_Open, AIOKafkaConnection(host, port, **given))
    if isinstance(tokens := given["sasl_oauth_token_provider"], AbstractTokenProvider):
        vars(connection)["authenticator_oauth"] = lambda: _Heeding(tokens)
    await connection.connect()
    try:
        answer = await connection.send(MetadataRequest([]))
    finally:
        if (closed := connection.close()) is not None:
            # With TLS the socket is closed only when the other side has said its end too.
            await asyncio.wait([closed], timeout=_END_S)
    return [(str(broker[1]), int(broker[2])) for broker in answer.brokers]


class _Heeding:
    """Shows a token and heeds the answer: the library's own takes a refusal, which is a challenge, for consent."""

    def __init__(self, tokens: AbstractTokenProvider) -> None:
        self._tokens = tokens
        self._shown = False

    async def step(self, challenge: bytes | None) -> tuple[bytes, bool] | None:
        """Return what to send next, ``None`` when all is said."""
        if not self._shown:
            self._shown = True
            return f"n,,\x01auth=Bearer {await self._tokens.token()}\x01\x01".encode(), True
        if challenge:
            raise SaslAuthenticationFailed(challenge.decode(errors="replace"))
        return None

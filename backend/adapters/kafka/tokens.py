"""Access tokens for OAUTHBEARER: from an endpoint, by the client-credentials grant, or from a file."""

import asyncio
import re
import ssl
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import msgspec
from aiokafka.abc import AbstractTokenProvider

from backend.adapters.kafka.failures import TokenFailed
from backend.adapters.kafka.urls import KafkaSecurity

_ANSWER_S = 5.0
_MOST_BYTES = 256 * 1024
_RENEW_AT = 0.8
_UNKNOWN_LIFE_S, _LONGEST_LIFE_S = 300.0, 3600.0
_RETRY_S = 5.0
_OK, _REFUSED = 200, (400, 401, 403)
# RFC 6750: what a token may be made of. Anything else could end the message that carries it.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_CHECK_URL = "Correct AUTOWEAVE_BUS_TOKEN_URL, and look whether it can be reached from here."
_CLIENT = "Correct AUTOWEAVE_BUS_USERNAME and AUTOWEAVE_BUS_PASSWORD: the client's id and secret."


class _Answer(msgspec.Struct):
    """RFC 6749, 5.1; some endpoints write the life as a text."""

    access_token: str
    expires_in: float | None = None


class _Claims(msgspec.Struct):
    """Of a token that is a JWT: when it ends, in seconds since 1970."""

    exp: float | None = None


_decoder = msgspec.json.Decoder(_Answer, strict=False)


class Tokens(AbstractTokenProvider):
    """Gives each new connection a token; one from an endpoint is used until four fifths of its life have passed.

    Args:
        security: where tokens come from, and the client's id and secret.
        clock: seconds, for tests.
    """

    def __init__(self, security: KafkaSecurity, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._security = security
        self._url = urlsplit(security.token_url)
        self._clock = clock
        self._asking = asyncio.Lock()
        self._token = ""
        self._renew_at = self._ends_at = -1.0

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - declared without a type there
        """Return a token; raise `TokenFailed` where there is none."""
        if self._url.scheme == "file":
            self._token = await asyncio.to_thread(self._from_file)
            return self._token
        async with self._asking:
            if self._clock() >= self._renew_at:
                await self._renew()
            return self._token

    @property
    def expired(self) -> bool:
        """Whether the token that was given last says of itself that it is past its time; only a hint for people."""
        try:
            claims = msgspec.json.decode(urlsafe_b64decode(self._token.split(".")[1] + "=="), type=_Claims)
        except (IndexError, ValueError, msgspec.MsgspecError):
            return False
        return claims.exp is not None and claims.exp <= time.time()

    def _from_file(self) -> str:
        path = Path(unquote(self._url.path))
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_BYTES).decode().strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            fix = "Name a file that this process can read in AUTOWEAVE_BUS_TOKEN_URL."
            raise TokenFailed(f"The token file {path} cannot be read: {reason}.", fix) from None
        if not _TOKEN.fullmatch(text):
            raise TokenFailed(f"The file {path} holds no token.", "Let it hold the token alone.")
        return text

    async def _renew(self) -> None:
        try:
            answer = await self._asked()
        except TokenFailed:
            if self._clock() >= self._ends_at:
                raise
            # The one at hand still serves: an endpoint that is down must not stop what works.
            self._renew_at = min(self._ends_at, self._clock() + _RETRY_S)
            return
        told = answer.expires_in if answer.expires_in and answer.expires_in > 0 else _UNKNOWN_LIFE_S
        # One that was withdrawn is not shown for longer than this.
        life = min(told, _LONGEST_LIFE_S)
        now = self._clock()
        self._token, self._renew_at, self._ends_at = answer.access_token, now + life * _RENEW_AT, now + life

    async def _asked(self) -> _Answer:
        place = self._url.hostname or ""
        try:
            async with asyncio.timeout(_ANSWER_S):
                status, body = await self._post()
        except (httpx.HTTPError, ssl.SSLError, OSError, TimeoutError) as error:
            raise _unreachable(place, error) from None
        if status in _REFUSED:
            raise TokenFailed(f"The token endpoint at {place} refuses this client ({status}).", _CLIENT)
        if status != _OK:
            raise TokenFailed(f"The token endpoint at {place} answers with status {status}.", _CHECK_URL)
        try:
            answer = _decoder.decode(body)
        except (msgspec.MsgspecError, ValueError):
            answer = _Answer("")
        if not _TOKEN.fullmatch(answer.access_token):
            raise TokenFailed(f"The token endpoint at {place} answers without an access token.", _CHECK_URL)
        return answer

    async def _post(self) -> tuple[int, bytes]:
        security = self._security
        form = {"grant_type": "client_credentials"} | ({"scope": security.token_scope} if security.token_scope else {})
        # RFC 6749, 2.3.1: both are encoded before they are joined.
        who = httpx.BasicAuth(quote(security.username, safe=""), quote(security.password, safe=""))
        body = b""
        async with (
            httpx.AsyncClient(timeout=_ANSWER_S) as client,
            client.stream("POST", security.token_url, data=form, auth=who) as response,
        ):
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    return response.status_code, b""
        return response.status_code, body


def _unreachable(place: str, error: Any) -> TokenFailed:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        fix = "Set SSL_CERT_FILE to its authority's PEM file."
        return TokenFailed(f"The token endpoint at {place} shows a certificate that is not trusted.", fix)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return TokenFailed(f"The token endpoint at {place} does not answer.", _CHECK_URL)
    return TokenFailed(f"The token endpoint at {place} cannot be reached ({type(error).__name__}).", _CHECK_URL)

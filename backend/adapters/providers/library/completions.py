"""The chat completions call under pydantic-ai's OpenAI model, without the SDK's own weight.

pydantic-ai knows the many dialects of OpenAI's protocol and calls ``client.chat.completions.create``. The SDK's version
of that call walks each request and each chunk through its type annotations: 4 ms of CPU a turn and 0.2 ms a token,
which is more than all the rest of a run. This one sends the same JSON, decodes chunks with msgspec and hands on what
came in one read as one chunk. Errors are the SDK's own, because pydantic-ai sorts them.
"""

from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace, TracebackType
from typing import Any, Self, cast

import httpx2
import msgspec
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, NotGiven, Omit

from backend.adapters.providers.library.chunks import Chunk, ChunkReader
from backend.domain.models.errors import ModelFailed

_LONGEST_ERROR = 64 * 1024
_NO_BODY_FIELDS = frozenset({"timeout", "extra_headers", "extra_body"})


def slim_openai(*, base_url: str, api_key: str, http: httpx2.AsyncClient) -> AsyncOpenAI:
    """Return an SDK client of which streamed chat completions are replaced; ``http`` is closed by its owner."""
    # The SDK insists on a key; servers that need none ignore it.
    client = AsyncOpenAI(base_url=base_url, api_key=api_key or "none", http_client=http, max_retries=0)
    completions = _Completions(http, f"{base_url.rstrip('/')}/chat/completions", client.api_key)
    # `chat` is a property that keeps its value here, so this is what it gives from now on.
    client.__dict__["chat"] = SimpleNamespace(completions=completions)
    return client


class _Completions:
    def __init__(self, http: httpx2.AsyncClient, url: str, key: str) -> None:
        self._http = http
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    async def create(self, **arguments: Any) -> "ChunkStream":
        """Send a request; the arguments are those of the SDK's method of this name.

        Raises:
            APIError: the SDK's errors for a lost connection, a time-out and a status of 400 and above.
        ModelFailed: what answered is no such service.
        """
        body = {
            name: value
            for name, value in arguments.items()
            if name not in _NO_BODY_FIELDS and not isinstance(value, Omit | NotGiven)
        }
        request = self._http.build_request(
            "POST",
            self._url,
            content=msgspec.json.encode(body),
            headers=self._headers,
            timeout=arguments["timeout"],
        )
        try:
            response = await self._http.send(request, stream=True)
        except httpx2.TimeoutException as error:
            raise APITimeoutError(request) from error
        except httpx2.TransportError as error:
            raise APIConnectionError(request=request) from error
        if response.status_code >= 400:
            raise await _status_error(response)
        if response.headers.get("content-type", "").startswith(("text/html", "application/json")):
            await response.aclose()
            raise ModelFailed(
                "The provider did not answer with a stream of chat completions.",
                hint="Check the provider's base URL; it usually ends with /v1.",
            )
        return ChunkStream(response)


class ChunkStream:
    """The chunks of an answer, as the SDK's stream gives them: iterate it, and close it or leave its context."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._chunks = self._read()

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._chunks

    async def __anext__(self) -> Chunk:
        return await anext(self._chunks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connection back; cut it if the answer has not come to its end."""
        await self.response.aclose()

    async def _read(self) -> AsyncIterator[Chunk]:
        reader = ChunkReader()
        try:
            # What follows the end mark is read, too: only then can the connection be used again.
            async for data in self.response.aiter_bytes():
                for chunk in reader.feed(data):
                    if chunk.error is not None:
                        raise APIError(_message(chunk.error), self.response.request, body=chunk.error)
                    yield chunk
            if reader.usage is not None:
                yield Chunk(usage=reader.usage)
        except httpx2.TimeoutException as error:
            if not reader.ended:
                raise APITimeoutError(self.response.request) from error
        except httpx2.TransportError as error:
            if not reader.ended:
                raise APIConnectionError(request=self.response.request) from error


async def _status_error(response: httpx2.Response) -> APIStatusError:
    data = b""
    try:
        async for part in response.aiter_bytes():
            data += part
            if len(data) > _LONGEST_ERROR:
                break
    except httpx2.TransportError:
        # The status says what matters.
        pass
    finally:
        await response.aclose()
    try:
        body = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError:
        return APIStatusError(data.decode(errors="replace"), response=response, body=None)
    error = body.get("error", body)
    return APIStatusError(_message(error), response=response, body=error)


def _message(error: object) -> str:
    return str(cast("Mapping[str, Any]", error).get("message") if isinstance(error, Mapping) else error)

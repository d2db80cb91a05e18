"""Chunks of a streamed chat completion: decoded, and those of one read put together."""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from openai.types import CompletionUsage
from pydantic import ValidationError

from backend.domain.models.errors import ModelFailed

_LONGEST_EVENT = 4 * 1024 * 1024
_DATA = b"data:"
_END = b"[DONE]"


class Function(msgspec.Struct):
    """The part of a call that came with this chunk."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct):
    """A piece of a tool call; pieces of one call share the index."""

    # The SDK keeps unknown fields here; pydantic-ai looks for one vendor's extension in them.
    model_extra: ClassVar[None] = None

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    """What is new in the message; servers differ in where they put a model's thoughts."""

    content: Any = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None
    reasoning: Any = None
    reasoning_content: Any = None


class Choice(msgspec.Struct):
    """The answer's only alternative."""

    logprobs: ClassVar[None] = None

    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """One event of the stream, with the attributes that pydantic-ai reads of the SDK's class of this role."""

    id: str | None = None
    created: float | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    service_tier: str | None = None
    moderation: ClassVar[None] = None
    error: Any = None


class ChunkReader:
    """Server-sent events in, chunks out.

    Attributes:
        ended: whether the end mark came.
        usage: what the last event that told it told, since some servers tell the sum so far with each; as
            pydantic-ai expects it, or ``None``.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._decoder = msgspec.json.Decoder(Chunk)
        self.ended = False
        self.usage: CompletionUsage | None = None

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the chunks that are complete with this read; neighbours that only add text come as one.

        Raises:
            ModelFailed: an event is no JSON of this protocol, or is longer than 4 MiB.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_EVENT:
            raise ModelFailed("The provider sent an event that is too long.")
        waiting: Chunk | None = None
        for line in lines:
            if not line.startswith(_DATA):
                continue
            payload = line[len(_DATA) :].strip()
            if payload.startswith(_END):
                self.ended = True
            if self.ended or not payload:
                continue
            chunk = self._decode(payload)
            if waiting is not None and _joined(waiting, chunk):
                continue
            if waiting is not None:
                yield waiting
            waiting = chunk
        if waiting is not None:
            yield waiting

    def _decode(self, payload: bytes) -> Chunk:
        try:
            chunk = self._decoder.decode(payload)
        except msgspec.DecodeError:
            raise ModelFailed(
                "The provider's stream cannot be read: it is not that of OpenAI's chat completions.",
                hint="Check the provider's base URL; it usually ends with /v1.",
            ) from None
        if chunk.usage is not None:
            self.usage = _usage(chunk.usage) or self.usage
            chunk.usage = None
        return chunk


def _joined(first: Chunk, second: Chunk) -> bool:
    """Add the second chunk's text to the first; return False when either holds more than text."""
    mine, other = _only_text(first), _only_text(second)
    if mine is None or other is None:
        return False
    mine.content += other.content
    return True


def _only_text(chunk: Chunk) -> Delta | None:
    if chunk.error is not None or not chunk.choices or len(chunk.choices) != 1:
        return None
    choice = chunk.choices[0]
    delta = choice.delta
    if delta is None or choice.finish_reason is not None or not isinstance(delta.content, str):
        return None
    return None if delta.tool_calls or delta.refusal or delta.reasoning or delta.reasoning_content else delta


def _usage(value: Any) -> CompletionUsage | None:
    """A server's own idea of usage counts as none; it is estimated then."""
    try:
        return CompletionUsage.model_validate(value)
    except ValidationError:
        return None

"""One turn with a language model, streamed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the model asks for; ``id`` is the provider's, unique within a conversation."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of the conversation; ``tool_calls`` only from the assistant, ``tool_call_id`` only from a tool."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A tool as the model sees it; ``parameters`` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """What one turn needs; ``model`` is ``openai:<name>``, ``anthropic:<name>``, ``ollama:<name>`` or ``offline``."""

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSchema, ...] = ()
    max_output_tokens: int = 4096
    timeout_s: float = 120.0
    first_token_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counts them; ``cost_micros`` is millionths of a US dollar, 0 where no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDone:
    """The end of a turn: the whole text, the calls asked for, and what it used."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"] = "stop"


class ModelClient(Protocol):
    """A provider. Errors are those of `backend.domain.models.errors`, never the library's own."""

    def stream(self, request: TurnRequest) -> AsyncIterator[TextDelta | TurnDone]:
        """Yield the deltas, then one `TurnDone`. Closing the iterator aborts the request at the provider."""
        ...

    async def warm(self) -> None:
        """Do ahead of time what would make the first turn slow."""
        ...

    def price(self, model: str, input_tokens: int, output_tokens: int) -> int:
        """Return what such a turn costs at most, in millionths of a US dollar; 0 where no price is known.

        ``model`` is the name without the provider's prefix.
        """
        ...

    async def check(self, model: str) -> None:
        """Ask whether the provider can be reached with this key, without spending tokens; raise `ModelError` if not.

        ``model`` is the name without the provider's prefix.
        """
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...

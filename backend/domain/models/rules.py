"""Pure decisions about models: names, tokens, waits between tries."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from backend.domain.models.errors import ModelUnknown
from backend.domain.models.ports import ChatMessage, ToolSchema

OFFLINE = "offline"
"""The model that is there when none is set."""

EXAMPLE_MODEL = "openai:gpt-5-mini"

PROVIDER_TITLES = {"openai": "OpenAI", "anthropic": "Anthropic", "ollama": "Ollama", OFFLINE: "the offline model"}

KEY_SETTINGS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""The setting that holds a provider's key; a provider that is not listed needs none."""

# OpenAI takes 64 characters of this alphabet, Anthropic 128 of the same: the narrower one fits both.
_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")
_LONGEST_NAME = 64

# English prose has four bytes a token, code and other scripts three: a reservation must not be too small.
_BYTES_PER_TOKEN = 3
_TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model as its users write it, taken apart: ``openai:gpt-5-mini`` is provider ``openai``, name ``gpt-5-mini``."""

    provider: str
    name: str


def parse_model(model: str) -> ModelName:
    """Take ``<provider>:<name>`` or ``offline`` apart; the name may hold further colons (``ollama:qwen3:8b``).

    Raises:
        ModelUnknown: neither the one nor the other.
    """
    provider, colon, name = model.strip().partition(":")
    if provider == OFFLINE and not colon:
        return ModelName(OFFLINE, OFFLINE)
    if not provider or not name:
        raise ModelUnknown(
            f"{model!r} is not the name of a model.",
            hint=f"Write the provider, a colon and the model, such as {EXAMPLE_MODEL!r}, or 'offline'.",
        )
    return ModelName(provider.lower(), name)


def model_safe_name(tool_id: str) -> str:
    """Return a tool's id as models accept it: ``dev.autoweave.text-stats`` becomes ``dev_autoweave_text_stats``.

    Of a longer id the end is kept, because there the tool's own name stands.
    """
    return _UNSAFE.sub("_", tool_id)[-_LONGEST_NAME:]


def estimate_tokens(messages: Iterable[ChatMessage], tools: Iterable[ToolSchema] = ()) -> int:
    """Return how many tokens a request will count at most, roughly: enough to reserve a budget before the call."""
    total = 0
    for message in messages:
        calls = sum(len(call.name) + len(msgspec.json.encode(call.arguments)) for call in message.tool_calls)
        total += _TOKENS_PER_MESSAGE + text_tokens(message.text) + -(-calls // _BYTES_PER_TOKEN)
    for tool in tools:
        size = len(tool.name) + len(tool.description.encode()) + len(msgspec.json.encode(tool.parameters))
        total += _TOKENS_PER_MESSAGE + -(-size // _BYTES_PER_TOKEN)
    return total


def text_tokens(text: str) -> int:
    """Return the estimated tokens of a text."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)

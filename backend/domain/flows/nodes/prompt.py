"""Builds the conversation that a model reads: the agent's instructions, what was said before, and the new message."""

from collections.abc import Mapping
from typing import Any

import msgspec

from backend.domain.flows.ports import NodeContext
from backend.domain.models.ports import ChatMessage


class PromptConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``history`` is how many earlier exchanges of the thread the model reads at the most."""

    system: str = ""
    history: int = 20


class PromptNode:
    """Comes in: a text. Goes out: ``{"messages": [{"role", "text"}, …]}``, stored for a resumed run."""

    type = "prompt"
    version = 1

    async def run(self, context: NodeContext, config: Mapping[str, Any], value: Any) -> Any:
        settings = msgspec.convert(config, PromptConfig)
        messages: list[ChatMessage] = []
        if settings.system:
            messages.append(ChatMessage(role="system", text=settings.system))
        messages += await context.services.history(context.run, settings.history)
        messages.append(ChatMessage(role="user", text=str(value)))
        return {"messages": [{"role": message.role, "text": message.text} for message in messages]}

"""A conversation as pydantic-ai has it."""

from collections.abc import Iterable

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition

from backend.domain.models.ports import ChatMessage, ToolSchema


def library_messages(messages: Iterable[ChatMessage]) -> list[ModelMessage]:
    """Translate a conversation: what stands between two answers of the model becomes one request."""
    translated: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []
    for message in messages:
        if message.role != "assistant":
            parts.append(_request_part(message))
            continue
        if parts:
            translated.append(ModelRequest(parts=parts))
            parts = []
        translated.append(ModelResponse(parts=_response_parts(message)))
    if parts:
        translated.append(ModelRequest(parts=parts))
    return translated


def library_tools(tools: Iterable[ToolSchema]) -> list[ToolDefinition]:
    """Translate tools; a schema that a provider's strict mode cannot take is sent as it is."""
    return [
        ToolDefinition(
            name=tool.name, description=tool.description, parameters_json_schema=dict(tool.parameters), strict=False
        )
        for tool in tools
    ]


def _request_part(message: ChatMessage) -> ModelRequestPart:
    if message.role == "system":
        return SystemPromptPart(content=message.text)
    if message.role == "tool":
        return ToolReturnPart(tool_name=message.tool_name, content=message.text, tool_call_id=message.tool_call_id)
    return UserPromptPart(content=message.text)


def _response_parts(message: ChatMessage) -> list[ModelResponsePart]:
    parts: list[ModelResponsePart] = [TextPart(content=message.text)] if message.text else []
    parts += [
        ToolCallPart(tool_name=call.name, args=call.arguments, tool_call_id=call.id) for call in message.tool_calls
    ]
    return parts

"""The offline model as a client."""

import asyncio
import re
from collections.abc import AsyncIterator

from backend.adapters.providers.offline.intents import Intent, find_intents
from backend.adapters.providers.offline.phrases import answer, greeting, no_model
from backend.domain.models.ports import ChatMessage, TextDelta, ToolCall, TurnDone, TurnRequest, Usage
from backend.domain.models.rules import estimate_tokens, text_tokens

_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|hallo|good (?:morning|afternoon|evening|day)|greetings)\b.{0,20}$"
    r"|\bwhat (?:can|do) you (?:do|know)\b|\bwho are you\b|^\W*help\W*$|\bhow can you help\b",
    re.IGNORECASE | re.DOTALL,
)
_PIECES = re.compile(r"\S+\s*")


class OfflineModel:
    """Answers without a provider: it sends a message to the tools that it asks for and puts their results in words.

    The same conversation always gets the same answer. It costs nothing; its tokens are estimates.

    Args:
        delay_s: the seconds between two words, so that a page shows them as it shows a model's.
    """

    def __init__(self, *, delay_s: float = 0.004) -> None:
        self._delay_s = delay_s

    async def stream(self, request: TurnRequest) -> AsyncIterator[TextDelta | TurnDone]:
        used = estimate_tokens(request.messages, request.tools)
        calls = _wanted_calls(request)
        if calls:
            made = estimate_tokens([ChatMessage(role="assistant", text="", tool_calls=calls)])
            usage = Usage(input_tokens=used, output_tokens=made)
            yield TurnDone(text="", tool_calls=calls, usage=usage, finish_reason="tool_calls")
            return
        text = _reply(request)
        for piece in _PIECES.findall(text):
            yield TextDelta(text=piece)
            await asyncio.sleep(self._delay_s)
        yield TurnDone(text=text, usage=Usage(input_tokens=used, output_tokens=text_tokens(text)))

    async def warm(self) -> None:
        """It is always ready."""

    def price(self, model: str, input_tokens: int, output_tokens: int) -> int:
        """It costs nothing."""
        return 0

    async def check(self, model: str) -> None:
        """It is always there."""

    async def close(self) -> None:
        """It holds nothing."""


def _wanted_calls(request: TurnRequest) -> tuple[ToolCall, ...]:
    """The calls of this turn; none once results have come, so that a conversation always ends."""
    if not request.messages or request.messages[-1].role != "user":
        return ()
    made = sum(len(message.tool_calls) for message in request.messages)
    intents = find_intents(request.messages[-1].text, request.tools)
    return tuple(
        ToolCall(id=f"call_{made + number}", name=intent.tool, arguments=intent.arguments)
        for number, intent in enumerate(intents)
    )


def _reply(request: TurnRequest) -> str:
    if request.messages and request.messages[-1].role == "tool":
        return _results(request)
    question = request.messages[-1].text if request.messages else ""
    return greeting(request.tools) if _GREETING.search(question) else no_model(request.tools)


def _results(request: TurnRequest) -> str:
    """Put the results that came after the last turn's calls in words, in the order of the calls."""
    messages = request.messages
    last = max((number for number, message in enumerate(messages) if message.role != "tool"), default=-1)
    question = next((message.text for message in reversed(messages) if message.role == "user"), "")
    intents = find_intents(question, request.tools)
    calls = {call.id: call for call in messages[last].tool_calls} if last >= 0 else {}
    sentences: list[str] = []
    for result in messages[last + 1 :]:
        call = calls.get(result.tool_call_id)
        name = result.tool_name or (call.name if call else "")
        sentences.append(answer(name, _asked(call, intents), result.text))
    return " ".join(sentences)


def _asked(call: ToolCall | None, intents: tuple[Intent, ...]) -> str:
    if call is None:
        return ""
    same = (intent for intent in intents if intent.tool == call.name and intent.arguments == call.arguments)
    return next((intent.asked for intent in same), "")

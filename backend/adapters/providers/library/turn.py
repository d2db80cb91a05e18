"""One turn through pydantic-ai's direct API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Literal

from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import (
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings

from backend.adapters.providers.config import ProviderConfig
from backend.adapters.providers.library.conversation import library_messages, library_tools
from backend.adapters.providers.prices import cost_micros
from backend.domain.models.errors import ModelBrokeOff, ModelRefused, ModelTimedOut
from backend.domain.models.ports import ChatMessage, TextDelta, ToolCall, TurnDone, TurnRequest, Usage
from backend.domain.models.rules import PROVIDER_TITLES, estimate_tokens

_Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class Turn:
    """A request under way. ``opened`` says whether the answer has begun."""

    def __init__(self, config: ProviderConfig, model: Model, request: TurnRequest) -> None:
        self._config = config
        self._title = PROVIDER_TITLES[config.name]
        self._model = model
        self._request = request
        self._texts: list[str] = []
        self._started = False
        self._response: ModelResponse | None = None
        self.opened = False

    async def texts(self) -> AsyncIterator[TextDelta]:
        """Yield the answer's text as it comes; the connection is given back, or cut, on leaving.

        Raises:
            TimeoutError: no first event, or no end, within the request's time.
        """
        began = asyncio.get_running_loop().time()
        end = began + self._request.timeout_s
        deadline = min(end, began + self._request.first_token_timeout_s)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout_at(deadline):
                stream = await stack.enter_async_context(self._open())
            self.opened = True
            events = aiter(stream)
            while True:
                async with asyncio.timeout_at(end if self._started else deadline):
                    event = await anext(events, None)
                if event is None:
                    break
                self._started = True
                text = _text(event)
                if text:
                    self._texts.append(text)
                    yield TextDelta(text=text)
            self._response = stream.get()

    def done(self) -> TurnDone:
        """Return the turn's end.

        Raises:
            ModelRefused: the provider's filter let nothing through.
            ModelBrokeOff: the provider marked its own answer as failed, or `texts` did not come to its end.
        """
        if self._response is None or self._response.finish_reason == "error":
            raise ModelBrokeOff(f"{self._title} broke off in the middle of the answer.")
        text = "".join(self._texts)
        calls = self._calls(self._response)
        finish = _finish(self._response, calls)
        if finish == "content_filter" and not text:
            raise ModelRefused(f"{self._title} refused to answer this.")
        return TurnDone(
            text=text, tool_calls=calls, usage=self._usage(self._response, text, calls), finish_reason=finish
        )

    def timed_out(self) -> ModelTimedOut:
        """Return the error for a turn that took too long."""
        if self._started:
            return ModelTimedOut(f"{self._title} did not finish within {self._request.timeout_s:.3g} s.")
        waited = min(self._request.first_token_timeout_s, self._request.timeout_s)
        return ModelTimedOut(f"{self._title} did not begin to answer within {waited:.3g} s.")

    def _open(self) -> AbstractAsyncContextManager[StreamedResponse]:
        # Between two reads no more may pass than before the first: so a provider that stalls is found out.
        silence = self._request.first_token_timeout_s
        return model_request_stream(
            self._model,
            library_messages(self._request.messages),
            model_settings=ModelSettings(max_tokens=self._request.max_output_tokens, timeout=silence),
            model_request_parameters=ModelRequestParameters(function_tools=library_tools(self._request.tools)),
            instrument=False,
        )

    def _calls(self, response: ModelResponse) -> tuple[ToolCall, ...]:
        """The calls with ids that are new in this conversation: some servers count from 0 in each turn."""
        taken = {call.id for message in self._request.messages for call in message.tool_calls}
        calls: list[ToolCall] = []
        for part in response.tool_calls:
            id_ = part.tool_call_id
            if id_ in taken:
                id_ = f"{id_}_{len(taken)}"
            taken.add(id_)
            calls.append(ToolCall(id=id_, name=part.tool_name, arguments=part.args_as_dict()))
        return tuple(calls)

    def _usage(self, response: ModelResponse, text: str, calls: tuple[ToolCall, ...]) -> Usage:
        """What the provider counted, or an estimate where it does not count: a budget must never see nothing."""
        counted = response.usage
        if not counted.input_tokens and not counted.output_tokens:
            answer = ChatMessage(role="assistant", text=text, tool_calls=calls)
            asked = estimate_tokens(self._request.messages, self._request.tools)
            return Usage(input_tokens=asked, output_tokens=estimate_tokens([answer]))
        return Usage(
            input_tokens=counted.input_tokens,
            output_tokens=counted.output_tokens,
            cost_micros=cost_micros(self._config.name, self._model.model_name, counted),
        )


def _text(event: ModelResponseStreamEvent) -> str:
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return ""


def _finish(response: ModelResponse, calls: tuple[ToolCall, ...]) -> _Finish:
    if response.finish_reason in ("length", "content_filter"):
        return response.finish_reason
    return "tool_calls" if calls else "stop"

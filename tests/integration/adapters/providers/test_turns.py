"""AGT-8: turns through real HTTP with a provider that does as it is told."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from backend.adapters.providers.client import PydanticAiClient
from backend.adapters.providers.config import ProviderConfig
from backend.domain.models.errors import (
    ContextTooLong,
    ModelBrokeOff,
    ModelError,
    ModelFailed,
    ModelKeyRejected,
    ModelRateLimited,
    ModelRefused,
    ModelTimedOut,
    ModelUnknown,
    ModelUnreachable,
)
from backend.domain.models.ports import ChatMessage, TextDelta, ToolCall, ToolSchema, TurnDone, TurnRequest
from backend.domain.models.service import Models
from tests.fixtures.model_stub import ModelStub

pytestmark = pytest.mark.integration

_KEY = "sk-secret-0123456789"
_CALCULATOR = ToolSchema(
    name="dev_autoweave_calculator",
    description="Works out a sum.",
    parameters={"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)


@asynccontextmanager
async def _models(stub: ModelStub, provider: str = "openai", *, key: str = _KEY) -> AsyncIterator[Models]:
    base = stub.url if provider == "anthropic" else f"{stub.url}/v1"
    client = PydanticAiClient(ProviderConfig(name=provider, base_url=base, api_key=key))
    models = Models({provider: client}, f"{provider}:stub")
    try:
        yield models
    finally:
        await models.close()


def _request(text: str, *more: ChatMessage, tools: tuple[ToolSchema, ...] = (), **fields: Any) -> TurnRequest:
    messages = (ChatMessage(role="system", text="Be brief."), ChatMessage(role="user", text=text), *more)
    return TurnRequest(model=fields.pop("model", ""), messages=messages, tools=tools, **fields)


async def _turn(models: Models, request: TurnRequest, pieces: list[str] | None = None) -> tuple[list[str], TurnDone]:
    """Return the pieces, also collected in ``pieces`` for a turn that fails, and the end."""
    pieces = [] if pieces is None else pieces
    async for piece in models.stream(request):
        if isinstance(piece, TurnDone):
            return pieces, piece
        pieces.append(piece.text)
    raise AssertionError("no end came")


async def _failure(models: Models, request: TurnRequest, pieces: list[str] | None = None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await _turn(models, request, pieces)
    return caught.value


PROVIDERS = pytest.mark.parametrize("provider", ["openai", "ollama", "anthropic"])


@PROVIDERS
async def test_an_answer_streams_in_order(model_stub: ModelStub, provider: str) -> None:
    """AGT-8."""
    async with _models(model_stub, provider) as models:
        pieces, done = await _turn(models, _request("#tokens 30 #slow 2"))
    assert len(pieces) > 5
    assert "".join(pieces) == done.text == "".join(f"token{number} " for number in range(30))
    assert done.finish_reason == "stop"


@PROVIDERS
async def test_usage_is_what_the_provider_counted(model_stub: ModelStub, provider: str) -> None:
    """AGT-7."""
    async with _models(model_stub, provider) as models:
        _, done = await _turn(models, _request("#tokens 30"))
    assert done.usage.output_tokens == 30
    assert done.usage.input_tokens > 0


@PROVIDERS
async def test_a_conversation_arrives_whole_and_in_order(model_stub: ModelStub, provider: str) -> None:
    """AGT-8: calls and results go back to the model as it sent them."""
    call = ToolCall(id="call_7", name=_CALCULATOR.name, arguments={"expression": "1 + 1"})
    history = (
        ChatMessage(role="assistant", text="Let me see.", tool_calls=(call,)),
        ChatMessage(role="tool", text='{"result": "2"}', tool_call_id="call_7", tool_name=call.name),
    )
    async with _models(model_stub, provider) as models:
        pieces, _ = await _turn(models, _request("Sum, please.", *history, tools=(_CALCULATOR,)))
    assert "".join(pieces) == 'The tool said {"result": "2"}. '
    body = model_stub.requests()[-1]["body"]
    assert body["model"] == "stub"
    assert body["stream"] is True
    sent = str(body["messages"])
    assert sent.index("Sum, please.") < sent.index("Let me see.") < sent.index("call_7") < sent.index('{"result": "2"}')
    tool = body["tools"][0].get("function", body["tools"][0])
    assert tool["name"] == _CALCULATOR.name
    assert tool.get("parameters", tool.get("input_schema"))["required"] == ["expression"]


@PROVIDERS
async def test_several_calls_of_one_turn_come_together(model_stub: ModelStub, provider: str) -> None:
    """AGT-8."""
    text = '#tool calculator {"expression": "1 + 1"} #tool calculator {"expression": "2 + 2"}'
    async with _models(model_stub, provider) as models:
        pieces, done = await _turn(models, _request(text, tools=(_CALCULATOR,)))
    assert pieces == []
    assert done.finish_reason == "tool_calls"
    assert [call.arguments for call in done.tool_calls] == [{"expression": "1 + 1"}, {"expression": "2 + 2"}]
    assert {call.name for call in done.tool_calls} == {_CALCULATOR.name}
    assert len({call.id for call in done.tool_calls}) == 2


async def test_the_limit_of_tokens_reaches_the_provider(model_stub: ModelStub) -> None:
    """AGT-7: under the name that the model knows."""
    async with _models(model_stub) as models:
        await _turn(models, _request("Hi", model="openai:gpt-5-mini", max_output_tokens=77))
        await _turn(models, _request("Hi", model="openai:qwen3", max_output_tokens=77))
    first, second = (request["body"] for request in model_stub.requests())
    assert (first.get("max_completion_tokens"), first.get("max_tokens")) == (77, None)
    assert (second.get("max_completion_tokens"), second.get("max_tokens")) == (None, 77)


async def test_a_turn_costs_what_the_price_list_says(model_stub: ModelStub) -> None:
    """AGT-7: and nothing where the list knows no price."""
    async with _models(model_stub) as models:
        _, paid = await _turn(models, _request("#tokens 1000", model="openai:gpt-4o"))
        _, free = await _turn(models, _request("#tokens 1000", model="openai:my-own-model"))
    # Dollars a million tokens: 2.50 in, 10.00 out; so micros a token.
    assert paid.usage.cost_micros == round(paid.usage.input_tokens * 2.5 + 1000 * 10)
    assert free.usage.cost_micros == 0


@PROVIDERS
@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("#401", ModelKeyRejected),
        ("#403", ModelKeyRejected),
        ("#404", ModelUnknown),
        ("#429 7", ModelRateLimited),
        ("#500", ModelUnreachable),
        ("#503", ModelUnreachable),
        ("#529", ModelUnreachable),
    ],
)
async def test_each_status_has_its_own_error(
    model_stub: ModelStub, provider: str, directive: str, error: type[ModelError]
) -> None:
    """AGT-8: clear errors in the chat."""
    async with _models(model_stub, provider) as models:
        failure = await _failure(models, _request(f"Please {directive}"))
    assert type(failure) is error
    assert failure.message
    assert failure.hint
    if error is ModelRateLimited:
        assert failure.retry_after == 7.0


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("#context", ContextTooLong),
        ("#quota", ModelFailed),
        ("#filter #tokens 0", ModelRefused),
        ("#garbage", ModelFailed),
        ("#break #tokens 9", ModelBrokeOff),
        ("#no-finish #tokens 9", ModelBrokeOff),
        ("#error-in-stream #tokens 9", ModelBrokeOff),
    ],
)
async def test_each_way_to_fail_has_its_own_error(
    model_stub: ModelStub, directive: str, error: type[ModelError]
) -> None:
    """AGT-8."""
    async with _models(model_stub) as models:
        failure = await _failure(models, _request(f"Please {directive}"))
    assert type(failure) is error


@PROVIDERS
async def test_an_answer_that_breaks_off_keeps_what_came(model_stub: ModelStub, provider: str) -> None:
    """AGT-8: provider gone in mid-stream."""
    pieces: list[str] = []
    async with _models(model_stub, provider) as models:
        failure = await _failure(models, _request("#tokens 10 #break"), pieces)
    assert type(failure) is ModelBrokeOff
    assert "".join(pieces) == "token0 token1 token2 token3 token4 "


@PROVIDERS
async def test_no_first_token_in_time_is_told(model_stub: ModelStub, provider: str) -> None:
    """AGT-8."""
    async with _models(model_stub, provider) as models:
        failure = await _failure(models, _request("#stall-first", first_token_timeout_s=0.2))
    assert type(failure) is ModelTimedOut
    assert (await model_stub.outcome("gone"))["sent"] == 0


@PROVIDERS
async def test_a_stall_in_the_middle_is_told(model_stub: ModelStub, provider: str) -> None:
    """AGT-8: silence counts, not only the first token."""
    async with _models(model_stub, provider) as models:
        failure = await _failure(models, _request("#stall-middle #tokens 9", first_token_timeout_s=0.3))
    assert type(failure) is ModelTimedOut
    await model_stub.outcome("gone")


@PROVIDERS
async def test_an_answer_that_never_ends_is_cut(model_stub: ModelStub, provider: str) -> None:
    """AGT-8: tokens that keep coming do not lengthen the turn's time."""
    async with _models(model_stub, provider) as models:
        failure = await _failure(models, _request("#tokens 10000 #slow 5", timeout_s=0.5))
    assert type(failure) is ModelTimedOut
    assert "did not finish" in failure.message
    await model_stub.outcome("gone")


@PROVIDERS
async def test_cancelling_closes_the_connection(model_stub: ModelStub, provider: str) -> None:
    """AGT-8, CHT-3: Stop reaches the provider, which stops working for us."""
    async with _models(model_stub, provider) as models:
        task = asyncio.create_task(_turn(models, _request("#tokens 10000 #slow 5")))
        await model_stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 3 else None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        request = await model_stub.outcome("gone")
    assert request["sent"] < 1000


async def test_leaving_an_answer_closes_the_connection(model_stub: ModelStub) -> None:
    """AGT-8."""
    async with _models(model_stub) as models:
        async with aclosing(models.stream(_request("#tokens 10000 #slow 5"))) as pieces:
            assert isinstance(await anext(pieces), TextDelta)
        await model_stub.outcome("gone")


async def test_the_library_does_not_try_again_by_itself(model_stub: ModelStub) -> None:
    """AGT-8: or the engine's four tries would become twelve."""
    async with _models(model_stub) as models:
        await _failure(models, _request("#500"))
    assert len(model_stub.requests()) == 1


async def test_nobody_at_the_address_is_unreachable() -> None:
    """AGT-8."""
    nobody = ModelStub("http://127.0.0.1:9")
    async with _models(nobody) as models:
        failure = await _failure(models, _request("Hi"))
    assert type(failure) is ModelUnreachable
    assert "OpenAI cannot be reached" in failure.message


async def test_an_address_that_is_no_provider_is_told(model_stub: ModelStub) -> None:
    """AGT-8: a forgotten /v1 is the usual reason."""
    client = PydanticAiClient(ProviderConfig(name="openai", base_url=f"{model_stub.url}/_effects", api_key=_KEY))
    models = Models({"openai": client}, "openai:stub")
    failure = await _failure(models, _request("Hi"))
    assert type(failure) is ModelFailed
    assert "/v1" in failure.hint
    await models.close()


@PROVIDERS
async def test_a_key_never_shows(model_stub: ModelStub, provider: str, caplog: pytest.LogCaptureFixture) -> None:
    """IDN-6: not in the error, its causes, its traceback or the log, even where the provider repeats it."""
    caplog.set_level("DEBUG")
    async with _models(model_stub, provider, key="wrong-key") as models:
        failure = await _failure(models, _request("Hi"))
        health = await models.health()
    assert type(failure) is ModelKeyRejected
    assert health.status == "failed"
    shown = "".join(traceback.format_exception(failure)) + caplog.text + repr(health) + failure.hint
    assert "wrong-key" not in shown
    assert failure.__cause__ is None
    assert failure.__context__ is None


async def test_what_a_provider_says_of_a_bad_request_is_quoted_without_the_key(model_stub: ModelStub) -> None:
    """IDN-6."""
    async with _models(model_stub, key="sk-1") as models:
        failure = await _failure(models, _request("#400"))
    assert failure.message == "OpenAI rejected the request: The request of <key> is odd."


async def test_a_key_that_cannot_be_one_is_refused_before_it_is_sent(model_stub: ModelStub) -> None:
    """IDN-6: the HTTP library would put it in its error."""
    async with _models(model_stub, key="schlüssel\n") as models:
        failure = await _failure(models, _request("Hi"))
    assert type(failure) is ModelKeyRejected
    assert model_stub.requests() == []


@PROVIDERS
async def test_health_asks_the_provider_without_a_turn(model_stub: ModelStub, provider: str) -> None:
    """AGT-8: it spends no tokens."""
    async with _models(model_stub, provider) as models:
        health = await models.health()
    assert health.status == "ok"
    assert model_stub.requests() == []


async def test_connections_are_used_again(model_stub: ModelStub) -> None:
    """AGT-8: a handshake a turn would cost more than the turn."""
    async with _models(model_stub) as models:
        for _ in range(5):
            await _turn(models, _request("Hi there"))
    assert len({request["connection"] for request in model_stub.requests()}) == 1


async def test_ids_that_a_server_uses_twice_are_made_unique(model_stub: ModelStub) -> None:
    """AGT-8: calls are steps, and steps are told apart."""
    question = '#same-ids #tool calculator {"expression": "1"}'
    async with _models(model_stub) as models:
        _, first = await _turn(models, _request(question, tools=(_CALCULATOR,)))
        (call,) = first.tool_calls
        history = (
            ChatMessage(role="assistant", text="", tool_calls=(call,)),
            ChatMessage(role="tool", text="1", tool_call_id=call.id, tool_name=call.name),
            ChatMessage(role="user", text=question),
        )
        _, second = await _turn(models, _request("Hi", *history, tools=(_CALCULATOR,)))
    assert call.id == "call_0"
    assert second.tool_calls[0].id not in ("", "call_0")

"""AGT-8: routing, retries and health, with a provider that does as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from backend.domain.models.errors import (
    ModelBrokeOff,
    ModelError,
    ModelKeyRejected,
    ModelUnknown,
    ModelUnreachable,
)
from backend.domain.models.ports import ChatMessage, TextDelta, TurnDone, TurnRequest, Usage
from backend.domain.models.service import Models
from backend.foundation.telemetry.metrics import REGISTRY

OUTCOMES = ("ok", "failed", "cancelled")
_DONE = TurnDone(text="Hello there.")

Piece = TextDelta | TurnDone | ModelError


@dataclass
class Scripted:
    """Plays one script a try; an error in it is raised, an empty script waits until it is closed."""

    scripts: list[list[Piece]]
    requests: list[TurnRequest] = field(default_factory=list[TurnRequest])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    closed: int = 0
    checks: int = 0
    warmed: int = 0
    checked: Callable[[], None] = lambda: None

    async def stream(self, request: TurnRequest) -> AsyncIterator[TextDelta | TurnDone]:
        self.requests.append(request)
        self.asked.set()
        try:
            script = self.scripts[len(self.requests) - 1]
            for piece in script:
                if isinstance(piece, ModelError):
                    raise piece
                yield piece
            if not script:
                await asyncio.Event().wait()
        finally:
            self.closed += 1

    async def warm(self) -> None:
        self.warmed += 1

    def price(self, model: str, input_tokens: int, output_tokens: int) -> int:
        return len(model) + input_tokens + output_tokens

    async def check(self, model: str) -> None:
        self.checks += 1
        self.checked()

    async def close(self) -> None:
        self.closed += 1


def _request(model: str = "openai:gpt-5-mini", timeout_s: float = 5.0) -> TurnRequest:
    return TurnRequest(model=model, messages=(ChatMessage(role="user", text="Hi"),), timeout_s=timeout_s)


async def _pieces(models: Models, request: TurnRequest) -> list[TextDelta | TurnDone]:
    return [piece async for piece in models.stream(request)]


async def test_a_turn_goes_to_the_provider_of_its_prefix() -> None:
    """AGT-8."""
    openai, offline = Scripted([]), Scripted([[TextDelta(text="Hi"), _DONE]])
    models = Models({"openai": openai, "offline": offline})
    assert await _pieces(models, _request("offline")) == [TextDelta(text="Hi"), _DONE]
    assert openai.requests == []


async def test_an_agent_that_names_no_model_gets_the_default() -> None:
    """AGT-8."""
    client = Scripted([[_DONE]])
    await _pieces(Models({"openai": client}, "openai:gpt-5"), _request(""))
    assert client.requests[0].model == "openai:gpt-5"


async def test_a_failure_is_given_on_at_once_and_says_whether_it_may_pass() -> None:
    """AGT-8: the engine tries again by a timer."""
    client = Scripted([[ModelUnreachable("gone")], [_DONE]])
    with pytest.raises(ModelUnreachable) as failure:
        await _pieces(Models({"openai": client}), _request())
    assert failure.value.retry
    assert (len(client.requests), client.closed) == (1, 1)


async def test_a_stream_without_its_end_has_broken_off() -> None:
    """AGT-8."""
    client = Scripted([[TextDelta(text="Hel")]])
    with pytest.raises(ModelBrokeOff):
        await _pieces(Models({"openai": client}), _request())


def _counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"autoweave_{name}", labels) or 0.0


async def test_a_turn_is_counted_by_how_it_ended() -> None:
    """AGT-8 OBS-1: turns, their tokens and times; a provider of the test's own keeps others' turns out."""
    done = TurnDone(text="Hello.", usage=Usage(input_tokens=7, output_tokens=3))
    client = Scripted([[TextDelta(text="Hel"), done], [ModelUnreachable("gone")], [TextDelta(text="Hel"), done]])
    models = Models({"counted": client})
    names = ("model_tokens_total", "model_seconds_count", "model_first_token_seconds_count")
    labels: tuple[dict[str, str], ...] = ({"direction": "input"}, {}, {})
    before = [_counted(name, **label) for name, label in zip(names, labels, strict=True)]
    await _pieces(models, _request("counted:one"))
    with pytest.raises(ModelUnreachable):
        await _pieces(models, _request("counted:one"))
    async with aclosing(models.stream(_request("counted:one"))) as pieces:
        await anext(pieces)
    after = [_counted(name, **label) for name, label in zip(names, labels, strict=True)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [7, 3, 2]
    outcomes = {kind: _counted("model_turns_total", provider="counted", outcome=kind) for kind in OUTCOMES}
    assert outcomes == {"ok": 1, "failed": 1, "cancelled": 1}


async def test_nothing_is_passed_on_after_the_end() -> None:
    """AGT-8: exactly one end comes."""
    client = Scripted([[_DONE, TextDelta(text="more"), _DONE]])
    assert await _pieces(Models({"openai": client}), _request()) == [_DONE]
    assert client.closed == 1


async def test_cancelling_closes_the_providers_stream() -> None:
    """AGT-8."""
    client = Scripted([[]])
    task = asyncio.create_task(_pieces(Models({"openai": client}), _request()))
    await client.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.closed == 1


async def test_leaving_the_stream_early_closes_it() -> None:
    """AGT-8."""
    client = Scripted([[TextDelta(text="Hel"), TextDelta(text="lo"), _DONE]])
    async with aclosing(Models({"openai": client}).stream(_request())) as pieces:
        async for _ in pieces:
            break
    assert client.closed == 1


async def test_a_provider_without_a_key_says_which_setting_is_missing() -> None:
    """AGT-8."""
    models = Models({}, "anthropic:claude-sonnet-4-5")
    with pytest.raises(ModelKeyRejected, match="Anthropic has no key") as caught:
        await _pieces(models, _request(""))
    assert "ANTHROPIC_API_KEY" in caught.value.hint
    status = await models.describe()
    assert (status.provider, status.configured) == ("anthropic", False)
    assert "ANTHROPIC_API_KEY" in status.hint
    health = await models.health()
    assert (health.status, health.fix) == ("failed", status.hint)


async def test_a_provider_that_does_not_exist_is_named() -> None:
    """AGT-8."""
    with pytest.raises(ModelUnknown, match="'nobody'"):
        await _pieces(Models({}), _request("nobody:x"))


async def test_offline_is_healthy_and_says_how_to_set_a_model() -> None:
    """AGT-8: with no model configured the app still works."""
    client = Scripted([])
    models = Models({"offline": client})
    status = await models.describe()
    assert (status.model, status.configured) == ("offline", False)
    health = await models.health()
    assert health.status == "ok"
    assert "AUTOWEAVE_MODEL" in health.detail


async def test_health_asks_the_provider_once_in_a_while() -> None:
    """AGT-8: many open pages must not become many requests."""
    client = Scripted([])
    models = Models({"openai": client}, "openai:gpt-5-mini")
    healths = await asyncio.gather(*(models.health() for _ in range(20)))
    assert {health.status for health in healths} == {"ok"}
    assert client.checks == 1


async def test_health_tells_a_lost_provider_from_a_refused_key() -> None:
    """AGT-8: the one passes by itself, the other needs a person."""

    def gone() -> None:
        raise ModelUnreachable("OpenAI cannot be reached.")

    def refused() -> None:
        raise ModelKeyRejected("OpenAI refused the key.")

    lost = await Models({"openai": Scripted([], checked=gone)}, "openai:gpt-5").health()
    assert (lost.status, lost.cause) == ("attention", "OpenAI cannot be reached.")
    wrong = await Models({"openai": Scripted([], checked=refused)}, "openai:gpt-5").health()
    assert (wrong.status, wrong.fix) == ("failed", ModelKeyRejected.hint)


async def test_health_does_not_wait_for_a_silent_provider() -> None:
    """AGT-8."""

    class Silent(Scripted):
        async def check(self, model: str) -> None:
            await asyncio.Event().wait()

    health = await Models({"openai": Silent([])}, "openai:gpt-5").health(timeout_s=0.01)
    assert health.status == "attention"
    assert "did not answer" in health.cause


async def test_only_the_default_models_provider_is_made_ready() -> None:
    """AGT-8."""
    openai, anthropic = Scripted([]), Scripted([])
    await Models({"openai": openai, "anthropic": anthropic}, "openai:gpt-5").warm()
    assert (openai.warmed, anthropic.warmed) == (1, 0)
    await Models({}, "openai:gpt-5").warm()


def test_a_price_is_the_providers_and_nothing_where_there_is_none() -> None:
    """AGT-7: what is not known costs nothing, and the limit of tokens holds all the same."""
    models = Models({"openai": Scripted([])}, "openai:gpt-5")
    assert models.price("", 10, 20) == models.price("openai:gpt-5", 10, 20) == 35
    assert models.price("nobody:x", 10, 20) == 0
    assert models.price("nonsense", 10, 20) == 0


async def test_closing_gives_every_providers_connections_back() -> None:
    """AGT-8."""
    clients = [Scripted([]), Scripted([])]
    await Models({"openai": clients[0], "offline": clients[1]}).close()
    assert [client.closed for client in clients] == [1, 1]

"""Turns with a language model, whichever provider has it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from backend.domain.models.errors import ModelBrokeOff, ModelError, ModelKeyRejected, ModelTimedOut, ModelUnknown
from backend.domain.models.ports import ModelClient, TextDelta, TurnDone, TurnRequest
from backend.domain.models.rules import (
    EXAMPLE_MODEL,
    KEY_SETTINGS,
    OFFLINE,
    PROVIDER_TITLES,
    ModelName,
    parse_model,
)
from backend.domain.models.views import ModelHealth, ModelStatus
from backend.foundation.telemetry import metrics

_SET_A_MODEL = f"Set AUTOWEAVE_MODEL (for example {EXAMPLE_MODEL}) and OPENAI_API_KEY, then start AutoWeave again."


class Models:
    """The models that this installation can reach.

    Args:
        clients: by provider, the prefix of a model's name; a provider that has no key is left out.
        default: the model of agents that name none, as `TurnRequest.model` has it.
        health_ttl_s: how long an answer of `health` is given again, in seconds.
    """

    def __init__(
        self,
        clients: Mapping[str, ModelClient],
        default: str = OFFLINE,
        *,
        health_ttl_s: float = 30.0,
    ) -> None:
        self._clients = clients
        self._default = default or OFFLINE
        self._health_ttl_s = health_ttl_s
        self._health: tuple[float, ModelHealth] | None = None
        self._asking = asyncio.Lock()

    async def stream(self, request: TurnRequest) -> AsyncGenerator[TextDelta | TurnDone]:
        """Yield the pieces of the answer, then exactly one `TurnDone`; an empty model is the default one.

        Nothing is tried again here: who asks stores the failure first and comes back by a timer, so that nobody sleeps
        and no restart forgets it. Close the generator to abort: `contextlib.aclosing`.

        Raises:
            ModelError: one of `backend.domain.models.errors`; its ``retry`` says whether the same may succeed later.
        """
        model = request.model or self._default
        name = parse_model(model)
        client = self._client(name)
        async with aclosing(_whole(client, name.provider, replace(request, model=model))) as pieces:
            async for piece in pieces:
                yield piece

    async def warm(self) -> None:
        """Make the default model's provider ready, so that the first message does not wait for seconds of imports."""
        try:
            await self._client(parse_model(self._default)).warm()
        except ModelError:
            # A default that cannot answer says so in `describe` and in each turn; there is nothing to make ready.
            return

    def price(self, model: str, input_tokens: int, output_tokens: int) -> int:
        """Return what a turn of so many tokens costs at most, in millionths of a US dollar; 0 where no price is known.

        The first call for a provider that was not made ready by `warm` or a turn blocks for up to half a second.
        """
        try:
            name = parse_model(model or self._default)
            return self._client(name).price(name.name, input_tokens, output_tokens)
        except ModelError:
            return 0

    async def describe(self) -> ModelStatus:
        """Say which model answers by default, and how to set one if none does."""
        try:
            name = parse_model(self._default)
            self._client(name)
        except ModelError as error:
            provider = self._default.partition(":")[0]
            return ModelStatus(
                model=self._default, provider=provider, configured=False, words=error.message, hint=error.hint
            )
        if name.provider == OFFLINE:
            words = "No model is set; the offline model answers with the help of tools."
            return ModelStatus(model=OFFLINE, provider=OFFLINE, configured=False, words=words, hint=_SET_A_MODEL)
        words = f"{name.name} by {_title(name.provider)} answers."
        return ModelStatus(model=self._default, provider=name.provider, configured=True, words=words)

    async def health(self, timeout_s: float = 2.0) -> ModelHealth:
        """Say whether the default model's provider answers; never raises, spends no tokens, asks it now and then."""
        async with self._asking:
            if self._health is None or time.monotonic() - self._health[0] > self._health_ttl_s:
                self._health = (time.monotonic(), await self._ask(timeout_s))
            return self._health[1]

    async def close(self) -> None:
        """Give all connections back."""
        for client in self._clients.values():
            await client.close()

    def _client(self, name: ModelName) -> ModelClient:
        client = self._clients.get(name.provider)
        if client is not None:
            return client
        setting = KEY_SETTINGS.get(name.provider)
        if setting is None:
            known = ", ".join(f"{provider}:…" for provider in KEY_SETTINGS)
            raise ModelUnknown(
                f"There is no provider {name.provider!r} for the model {name.name!r}.",
                hint=f"Set AUTOWEAVE_MODEL to one of {known}, ollama:… or offline.",
            )
        raise ModelKeyRejected(
            f"{_title(name.provider)} has no key yet, so {name.name!r} cannot answer.",
            hint=f"Set {setting} and start AutoWeave again.",
        )

    async def _ask(self, timeout_s: float) -> ModelHealth:
        status = await self.describe()
        if status.provider == OFFLINE:
            return ModelHealth(status="ok", detail=f"{status.words} {status.hint}")
        if not status.configured:
            return ModelHealth(status="failed", detail=status.model, cause=status.words, fix=status.hint)
        name = parse_model(status.model)
        try:
            async with asyncio.timeout(timeout_s):
                await self._client(name).check(name.name)
        except TimeoutError:
            cause = f"{_title(name.provider)} did not answer within {timeout_s:g} s."
            return ModelHealth(status="attention", detail=status.model, cause=cause, fix=ModelTimedOut.hint)
        except ModelError as error:
            level = "attention" if error.retry else "failed"
            return ModelHealth(status=level, detail=status.model, cause=error.message, fix=error.hint)
        return ModelHealth(status="ok", detail=status.words)


async def _whole(client: ModelClient, provider: str, request: TurnRequest) -> AsyncGenerator[TextDelta | TurnDone]:
    """One turn with its end, counted; whichever way it is left, the client's iterator is closed."""
    turn, source = _Turn(provider), client.stream(request)
    try:
        async for piece in source:
            turn.heard(piece)
            yield piece
            if isinstance(piece, TurnDone):
                return
        raise ModelBrokeOff("The model's answer ended without its end mark.")
    except (GeneratorExit, asyncio.CancelledError):
        turn.left()
        raise
    finally:
        turn.count()
        if isinstance(source, AsyncGenerator):
            await source.aclose()


class _Turn:
    """What is counted of one turn."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._started = time.perf_counter()
        self._silent = True
        self._outcome = "failed"

    def heard(self, piece: TextDelta | TurnDone) -> None:
        """Count the first piece, and what the last one says was used."""
        if self._silent:
            self._silent = False
            metrics.MODEL_FIRST_TOKEN.observe(time.perf_counter() - self._started)
        if isinstance(piece, TurnDone):
            self._outcome = "ok"
            metrics.MODEL_TOKENS.labels("input").inc(piece.usage.input_tokens)
            metrics.MODEL_TOKENS.labels("output").inc(piece.usage.output_tokens)

    def left(self) -> None:
        """Somebody stopped it; after its last piece that is how it ends anyway."""
        if self._outcome == "failed":
            self._outcome = "cancelled"

    def count(self) -> None:
        metrics.MODEL_TURNS.labels(self._provider, self._outcome).inc()
        metrics.MODEL_SECONDS.observe(time.perf_counter() - self._started)


def _title(provider: str) -> str:
    return PROVIDER_TITLES.get(provider, provider)

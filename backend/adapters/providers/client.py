"""A provider as the models room knows it."""

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from backend.adapters.providers.config import ProviderConfig
from backend.adapters.providers.probe import probe
from backend.domain.models.errors import ModelKeyRejected
from backend.domain.models.ports import TextDelta, TurnDone, TurnRequest
from backend.domain.models.rules import PROVIDER_TITLES

if TYPE_CHECKING:
    from backend.adapters.providers.library.provider import Provider


class PydanticAiClient:
    """Streams turns through pydantic-ai, which is imported at the first of them; `warm` does that ahead of time.

    Attributes:
        config: where it goes.
    """

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self._provider: Provider | None = None
        self._loading = asyncio.Lock()

    async def warm(self) -> None:
        """Import the library (up to 60 MB and some seconds of one core) in a thread, so that no first message waits."""
        await self._loaded()

    async def stream(self, request: TurnRequest) -> AsyncGenerator[TextDelta | TurnDone]:
        if not (self.config.api_key.isascii() and self.config.api_key.isprintable()):
            raise ModelKeyRejected(f"The key of {PROVIDER_TITLES[self.config.name]} holds characters that no key has.")
        provider = self._provider or await self._loaded()
        async with aclosing(provider.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    def price(self, model: str, input_tokens: int, output_tokens: int) -> int:
        # The price list takes up to half a second to import; `warm` and the first turn have done it already.
        from backend.adapters.providers.prices import expected_micros

        return expected_micros(self.config.name, model, input_tokens, output_tokens)

    async def check(self, model: str) -> None:
        await probe(self.config)

    async def close(self) -> None:
        if self._provider is not None:
            await self._provider.close()
            self._provider = None

    async def _loaded(self) -> "Provider":
        async with self._loading:
            if self._provider is None:
                provider = await asyncio.to_thread(_import, self.config.name)
                self._provider = provider(self.config)
            return self._provider


def _import(name: str) -> "type[Provider]":
    # 60 MB and 2-3 s, with Anthropic's SDK twice that: only for those who talk to a model.
    if name == "anthropic":
        importlib.import_module("backend.adapters.providers.library.anthropic")
    from backend.adapters.providers.library.provider import Provider

    return Provider

"""A provider's models and connections."""

from collections import OrderedDict
from collections.abc import AsyncGenerator

import httpx2
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.models import Model

from backend.adapters.providers.config import ProviderConfig
from backend.adapters.providers.library.failures import model_error
from backend.adapters.providers.library.openai import openai_model
from backend.adapters.providers.library.transport import StreamTransport, behind_proxy
from backend.adapters.providers.library.turn import Turn
from backend.domain.models.errors import ModelError
from backend.domain.models.ports import TextDelta, TurnDone, TurnRequest
from backend.domain.models.rules import parse_model

_KEEP_ALIVE_S = 60.0
_MOST_MODELS = 64


class Provider:
    """Streams turns of one provider; lives on one event loop."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config
        self._models: OrderedDict[str, Model] = OrderedDict()
        limits = httpx2.Limits(
            max_connections=config.max_connections,
            max_keepalive_connections=config.max_connections,
            keepalive_expiry=_KEEP_ALIVE_S,
        )
        own = StreamTransport(max_connections=config.max_connections, keep_alive_s=_KEEP_ALIVE_S)
        self._http = httpx2.AsyncClient(
            transport=None if behind_proxy(config.base_url) else own,
            limits=limits,
            headers={"User-Agent": "AutoWeave"},
            event_hooks={"request": [self._bound_connecting]},
        )

    async def stream(self, request: TurnRequest) -> AsyncGenerator[TextDelta | TurnDone]:
        """Yield the pieces, then the end.

        Raises:
            ModelError: one of the models room; the library's error is not attached, as it may hold the key.
        """
        name = parse_model(request.model).name
        turn = Turn(self._config, self._model(name), request)
        failure: ModelError | None = None
        try:
            async for text in turn.texts():
                yield text
        except TimeoutError:
            failure = turn.timed_out()
        except (AgentRunError, UserError, httpx2.HTTPError) as error:
            failure = model_error(error, self._config, name, opened=turn.opened)
        # Raised here, not inside the handler, where the library's error would become its context.
        if failure is not None:
            raise failure
        yield turn.done()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def _bound_connecting(self, request: httpx2.Request) -> None:
        """The library takes one timeout for all: what suits a slow answer is too long to wait for a connection."""
        bound = self._config.connect_timeout_s
        request.extensions["timeout"] |= {"connect": bound, "pool": bound}

    def _model(self, name: str) -> Model:
        """The library's model of a name; making one takes a millisecond, so the last few stay."""
        model = self._models.pop(name, None) or self._make(name)
        self._models[name] = model
        if len(self._models) > _MOST_MODELS:
            self._models.popitem(last=False)
        return model

    def _make(self, name: str) -> Model:
        if self._config.name == "anthropic":
            # Its SDK takes seconds to import: not for those who have no use for it.
            from backend.adapters.providers.library.anthropic import anthropic_model

            return anthropic_model(self._config, name, self._http)
        return openai_model(self._config, name, self._http)

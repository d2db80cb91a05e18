"""Models that speak OpenAI's chat completions: OpenAI, Ollama, and the many servers that are compatible."""

import re

import httpx2
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from backend.adapters.providers.config import BASE_URLS, ProviderConfig
from backend.adapters.providers.library.completions import slim_openai

# OpenAI's own models refuse ``max_tokens``; most other servers know nothing else and would answer without a limit.
_OPENAIS_OWN = re.compile(r"gpt-\d|o\d|chatgpt-")


def openai_model(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> OpenAIChatModel:
    """Return the library's model; its stream must say how it finished, or it counts as broken off."""
    client = slim_openai(base_url=config.base_url, api_key=config.api_key, http=http)
    profile = OpenAIModelProfile(
        openai_chat_streaming_requires_finish_reason=True,
        openai_chat_supports_max_completion_tokens=_OPENAIS_OWN.match(model) is not None,
    )
    if config.name == "ollama":
        return OllamaModel(model, provider=OllamaProvider(openai_client=client), profile=profile)
    if config.base_url == BASE_URLS["openai"]:
        return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client), profile=profile)
    provider = OpenAICompatibleProvider("openai", openai_client=client)
    return OpenAIChatModel(model, provider=provider, profile=profile)

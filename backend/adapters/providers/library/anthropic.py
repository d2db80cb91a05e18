"""Anthropic's models."""

import httpx2
from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from backend.adapters.providers.config import ProviderConfig


def anthropic_model(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> AnthropicModel:
    """Return the library's model; tries again are the caller's matter."""
    client = AsyncAnthropic(base_url=config.base_url, api_key=config.api_key, http_client=http, max_retries=0)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))

"""The clients of an installation, by what is configured."""

from urllib.parse import urlsplit

from backend.adapters.providers.client import PydanticAiClient
from backend.adapters.providers.config import BASE_URLS, ProviderConfig
from backend.adapters.providers.offline.client import OfflineModel
from backend.domain.models.ports import ModelClient
from backend.domain.models.rules import OFFLINE


def build_clients(
    *,
    openai_api_key: str = "",
    openai_base_url: str = "",
    anthropic_api_key: str = "",
    anthropic_base_url: str = "",
    ollama_base_url: str = "",
) -> dict[str, ModelClient]:
    """Return a client for each provider that has what it needs; building them imports and connects nothing.

    A provider without a key is left out, so that `Models` can say which setting is missing. A base URL of one's own is
    enough for OpenAI, since many servers that are compatible with it need no key.
    """
    clients: dict[str, ModelClient] = {OFFLINE: OfflineModel()}
    wanted = (
        ("openai", openai_base_url, openai_api_key, bool(openai_api_key or openai_base_url)),
        ("anthropic", anthropic_base_url, anthropic_api_key, bool(anthropic_api_key)),
        ("ollama", _with_version(ollama_base_url), "", True),
    )
    for name, url, key, has_what_it_needs in wanted:
        if has_what_it_needs:
            clients[name] = PydanticAiClient(
                ProviderConfig(name=name, base_url=(url or BASE_URLS[name]).rstrip("/"), api_key=key.strip())
            )
    return clients


def _with_version(ollama_url: str) -> str:
    """Ollama's users write its address without the path of the part that speaks OpenAI's protocol."""
    return f"{ollama_url.rstrip('/')}/v1" if ollama_url and urlsplit(ollama_url).path in ("", "/") else ollama_url

"""What a provider needs to be reached."""

from dataclasses import dataclass, field

BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "ollama": "http://127.0.0.1:11434/v1",
}
"""Where the providers are unless their setting says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """A provider's address and key; times are seconds.

    Attributes:
        name: ``openai``, ``anthropic`` or ``ollama``: the protocol, and the prefix of its models.
        base_url: as the provider's own SDK takes it: with ``/v1`` for OpenAI and Ollama, without for Anthropic.
        api_key: never shown; a local server may need none.
        connect_timeout_s: how long a connection, or a free place among ``max_connections``, may take.
        max_connections: turns that may be under way at once.
    """

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    connect_timeout_s: float = 10.0
    max_connections: int = 200

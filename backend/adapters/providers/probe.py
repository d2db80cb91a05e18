"""Whether a provider can be reached: its list of models, which costs no tokens."""

import httpx

from backend.adapters.providers.config import ProviderConfig
from backend.domain.models.errors import (
    ModelFailed,
    ModelKeyRejected,
    ModelRateLimited,
    ModelTimedOut,
    ModelUnreachable,
)
from backend.domain.models.rules import KEY_SETTINGS, PROVIDER_TITLES

_TIMEOUT_S = 5.0
_ANTHROPIC_VERSION = "2023-06-01"


async def probe(config: ProviderConfig) -> None:
    """Ask for the list of models; return when the provider answers with it.

    Raises:
        ModelError: in the words that the chat would show.
    """
    title = PROVIDER_TITLES[config.name]
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
            response = await http.get(_url(config), headers=_headers(config))
    except httpx.TimeoutException:
        raise ModelTimedOut(f"{title} did not answer within {_TIMEOUT_S:g} s.") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise ModelUnreachable(f"{title} cannot be reached.") from None
    if response.status_code in (401, 403):
        raise ModelKeyRejected(f"{title} refused the key.", hint=_key_hint(config))
    if response.status_code == 429:
        raise ModelRateLimited(f"{title} gets too many requests.")
    if response.status_code >= 500:
        raise ModelUnreachable(f"{title} cannot answer now (status {response.status_code}).")
    if response.status_code >= 400:
        raise ModelFailed(f"{title} has no list of models at its address.", hint="Check the provider's base URL.")


def _url(config: ProviderConfig) -> str:
    base = config.base_url.rstrip("/")
    return f"{base}/v1/models" if config.name == "anthropic" else f"{base}/models"


def _headers(config: ProviderConfig) -> dict[str, str]:
    if config.name == "anthropic":
        return {"x-api-key": config.api_key, "anthropic-version": _ANTHROPIC_VERSION}
    return {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}


def _key_hint(config: ProviderConfig) -> str | None:
    setting = KEY_SETTINGS.get(config.name)
    return f"Set a valid {setting} and start AutoWeave again." if setting else None

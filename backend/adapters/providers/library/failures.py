"""What pydantic-ai raises, in the words of the models room."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
)

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
from backend.domain.models.rules import KEY_SETTINGS, PROVIDER_TITLES

_LONGEST_QUOTE = 300


def model_error(error: Exception, config: ProviderConfig, model: str, *, opened: bool) -> ModelError:
    """Return the error to raise instead; ``opened`` says whether the answer had begun.

    Only a request that the provider rejects for a reason of its own is quoted, and never with the key in it.
    """
    title = PROVIDER_TITLES[config.name]
    if isinstance(error, ContentFilterError):
        return ModelRefused(f"{title} refused to answer this.")
    if not isinstance(error, ModelAPIError):
        return ModelFailed(f"{title} answered in a way that cannot be used.")
    if isinstance(error, ModelConnectionError):
        return _lost(error, title, opened=opened)
    return _rejected(error, config, title, model) or _failed(error, config, title, opened=opened)


def _lost(error: ModelConnectionError, title: str, *, opened: bool) -> ModelError:
    if error.phase == "pool":
        return ModelUnreachable(f"All connections to {title} are in use.", hint="Try again in a moment.")
    if isinstance(error, ModelTimeoutError) and error.phase != "connect":
        return ModelTimedOut(f"{title} sent nothing for too long.")
    if opened:
        return ModelBrokeOff(f"{title} broke off in the middle of the answer.")
    return ModelUnreachable(f"{title} cannot be reached.")


def _rejected(error: ModelAPIError, config: ProviderConfig, title: str, model: str) -> ModelError | None:
    if isinstance(error, ModelAuthenticationError):
        setting = KEY_SETTINGS.get(config.name)
        hint = f"Set a valid {setting} and start AutoWeave again." if setting else None
        return ModelKeyRejected(f"{title} refused the key.", hint=hint)
    if isinstance(error, ModelNotFoundError):
        return ModelUnknown(f"{title} has no model {model!r}.")
    if isinstance(error, ModelContextWindowExceededError):
        return ContextTooLong(f"The conversation is longer than {model} can read.")
    if isinstance(error, ModelQuotaExceededError):
        return ModelFailed(f"The account at {title} has no credit left.", hint="Look at the plan and billing there.")
    if isinstance(error, ModelRateLimitError):
        return ModelRateLimited(f"{title} gets too many requests.", retry_after=error.retry_after)
    return None


def _failed(error: ModelAPIError, config: ProviderConfig, title: str, *, opened: bool) -> ModelError:
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    down = isinstance(error, ModelServerError | ModelUnavailableError)
    if "finish_reason" in error.message or (down and opened):
        return ModelBrokeOff(f"{title} broke off in the middle of the answer.")
    if down:
        words = f"{title} cannot answer now" + (f" (status {status})." if status else ".")
        return ModelUnreachable(words, hint=ModelTimedOut.hint, retry_after=error.retry_after)
    if _code(error) in ("content_filter", "content_policy_violation", "moderation_blocked"):
        return ModelRefused(f"{title} refused to answer this.")
    return ModelFailed(f"{title} rejected the request: {_quote(error, config.api_key)}")


def _code(error: ModelAPIError) -> str:
    return error.provider_error_code or error.provider_error_type or ""


def _quote(error: ModelAPIError, key: str) -> str:
    """What the provider said, short and without the key, which some of them repeat."""
    body = error.body
    if isinstance(body, Mapping):
        fields = cast("Mapping[str, Any]", body)
        inner = fields.get("error", fields)
        body = cast("Mapping[str, Any]", inner).get("message") if isinstance(inner, Mapping) else inner
    words = str(body or "no reason given")
    if key:
        words = words.replace(key, "<key>")
    return words if len(words) <= _LONGEST_QUOTE else f"{words[:_LONGEST_QUOTE]}…"

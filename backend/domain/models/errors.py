"""What can go wrong with a model, in the words that a person in a chat can act on.

ModelError
├── ModelKeyRejected      502  the provider refused the key
├── ModelUnknown          502  the provider has no such model
├── ModelRateLimited      503  too many requests there; retried
├── ModelTimedOut         504  no token in time; retried
├── ModelUnreachable      503  no connection; retried
├── ModelBrokeOff         502  the stream ended in the middle; retried
├── ModelRefused          422  the provider refused the content
├── ContextTooLong        422  more than the model can read
└── ModelFailed           502  anything else that the provider answered
"""

from backend.foundation.kernel.errors import AutoWeaveError


class ModelError(AutoWeaveError):
    """Base of all; ``retry_after`` is the seconds that the provider asked to wait, if it did."""

    code = "model_error"
    status = 502

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ModelKeyRejected(ModelError):
    code = "model_key_rejected"
    hint = "Set a valid key for the provider and start AutoWeave again."


class ModelUnknown(ModelError):
    code = "model_unknown"
    hint = "Set AUTOWEAVE_MODEL to a model that the provider offers."


class ModelRateLimited(ModelError):
    code = "model_rate_limited"
    status = 503
    hint = "Wait a minute, or raise the limit at the provider."
    retry = True


class ModelTimedOut(ModelError):
    code = "model_timed_out"
    status = 504
    hint = "Try again; if it stays so, the provider is overloaded."
    retry = True


class ModelUnreachable(ModelError):
    code = "model_unreachable"
    status = 503
    hint = "Check the provider's address and this machine's network."
    retry = True


class ModelBrokeOff(ModelError):
    code = "model_broke_off"
    hint = "Try again; what came until then is kept."
    retry = True


class ModelRefused(ModelError):
    code = "model_refused"
    status = 422
    hint = "Put the question in other words."


class ContextTooLong(ModelError):
    code = "context_too_long"
    status = 422
    hint = "Start a new chat, or send less text."


class ModelFailed(ModelError):
    code = "model_failed"
    hint = "Look at the run's trace for what the provider answered."

"""What a failure of the broker means for the caller: a phrase, its cause and the way to mend it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiokafka import errors as kafka

from backend.foundation.kernel.errors import AutoWeaveError, Forbidden, Invalid, NotFound, TooLarge, Unavailable

START_IT = "Start Kafka (`make kafka`), or correct the bus URL in the settings."
_AUTHORIZATION = (
    kafka.TopicAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
)
AUTHENTICATION = (
    kafka.SaslAuthenticationFailed,
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.UnsupportedSaslMechanismError,
    kafka.IllegalSaslStateError,
)


class TokenFailed(kafka.KafkaError):
    """There is no token to show to the broker; the library logs its text, which holds no secret."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


def translate(error: BaseException, doing: str) -> AutoWeaveError:
    """Return the error that our callers know; ``doing`` says what was tried, such as ``publish to 'aw.chat'``."""
    if isinstance(error, AutoWeaveError):
        return error
    if isinstance(error, TimeoutError | kafka.RequestTimedOutError):
        return Unavailable(f"Kafka did not answer in time, trying to {doing}.", hint=START_IT)
    if isinstance(error, kafka.MessageSizeTooLargeError | kafka.RecordListTooLargeError):
        return TooLarge(f"Kafka refuses a message of that size, trying to {doing}.")
    if isinstance(error, kafka.UnknownTopicOrPartitionError):
        return NotFound(f"Kafka knows no such topic, trying to {doing}.", hint="Create the topic first.")
    if isinstance(error, TokenFailed):
        return Unavailable(error.cause, hint=error.fix)
    if isinstance(error, AUTHENTICATION):
        return Unavailable(
            f"Kafka does not accept the credentials, trying to {doing}.", hint="Check user and password."
        )
    if isinstance(error, _AUTHORIZATION):
        return Forbidden(f"Kafka does not allow this user to {doing}.", hint="Grant it by kafka-acls.")
    if isinstance(error, kafka.InvalidTopicError | kafka.InvalidConfigurationError | kafka.InvalidPartitionsError):
        return Invalid(f"Kafka refuses to {doing}: {error}.")
    return Unavailable(f"Kafka failed to {doing}: {type(error).__name__}.", hint=START_IT)


FAILURES = (kafka.KafkaError, OSError, TimeoutError, asyncio.IncompleteReadError)
"""What the client library raises when the broker cannot be reached or refuses."""


@asynccontextmanager
async def answered(doing: str, timeout_s: float) -> AsyncGenerator[None]:
    """Limit what is inside to ``timeout_s`` and raise our own errors for the library's."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except FAILURES as error:
        raise translate(error, doing) from error

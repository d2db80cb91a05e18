"""Every error that a caller may meet. The tree:

AutoWeaveError
├── Invalid            422  what was sent cannot be used
│   └── KeyReused      422  an idempotency key came again with another request
├── Unauthenticated    401  nobody is signed in
├── Forbidden          403  signed in, but without the permission
├── NotFound           404  no such thing for this tenant
├── Conflict           409  the thing has changed, or exists already
├── TooLarge           413  above a size limit
├── RateLimited        429  too often; ``retry_after`` says when
├── Unavailable        503  a part is down; worth another try
│   └── DiskFull       503  nothing more can be stored
└── Fenced             409  another worker owns the run now

Rooms derive their own phrases from these. ``message`` says what happened and to what, ``hint`` the next step,
``retry`` whether the same call may succeed later.
"""

from typing import ClassVar


class AutoWeaveError(Exception):
    """Base of all. ``code`` is stable and documented; ``status`` is the HTTP status that a door answers with."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    hint: str = "Look at the logs with the trace id, or try again."
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        if hint is not None:
            self.hint = hint


class Invalid(AutoWeaveError):
    code = "invalid"
    status = 422
    hint = "Correct the named field and send it again."


class KeyReused(Invalid):
    code = "idempotency_key_reused"
    hint = "Use a new Idempotency-Key for another request."


class Unauthenticated(AutoWeaveError):
    code = "unauthenticated"
    status = 401
    hint = "Sign in, or send an API key as `Authorization: Bearer <key>`."


class Forbidden(AutoWeaveError):
    code = "forbidden"
    status = 403
    hint = "Ask an administrator for the permission."


class NotFound(AutoWeaveError):
    code = "not_found"
    status = 404
    hint = "Check the id; it may have been deleted."


class Conflict(AutoWeaveError):
    code = "conflict"
    status = 409
    hint = "Load it again and repeat the change."


class TooLarge(AutoWeaveError):
    code = "too_large"
    status = 413
    hint = "Send less at once."


class RateLimited(AutoWeaveError):
    code = "rate_limited"
    status = 429
    hint = "Wait, then try again."
    retry = True

    def __init__(self, message: str, *, retry_after: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unavailable(AutoWeaveError):
    code = "unavailable"
    status = 503
    hint = "Try again in a moment; Admin, Health shows which part is down."
    retry = True


class DiskFull(Unavailable):
    code = "disk_full"
    hint = "Free space in the data folder, or raise its quota; then try again."


class Fenced(AutoWeaveError):
    code = "fenced"
    status = 409
    hint = "Another worker owns this now; nothing is lost."

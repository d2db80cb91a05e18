"""Which request made a subscription, so that the same one, sent again, makes no second."""

import hashlib

TOLD_AGAIN_MS = 24 * 3_600_000
"""For so long the answer to a request that is repeated is the same, with the secret."""

_ROTATED = "rotated "


def request_of(subject: str, idempotency_key: str) -> str:
    """Return what stands for a caller's key in the row; two callers never share one."""
    return hashlib.sha256(f"{subject}\0{idempotency_key}".encode()).hexdigest()


def rotated(request: str | None) -> str | None:
    """Return the request of a subscription whose first secret is no longer told."""
    return request if request is None or is_rotated(request) else _ROTATED + request


def is_rotated(request: str | None) -> bool:
    """Return whether the first secret is no longer told."""
    return bool(request) and str(request).startswith(_ROTATED)

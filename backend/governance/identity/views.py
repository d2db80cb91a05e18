"""What pages read of people, sessions and keys."""

from dataclasses import dataclass

from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.ids import ApiKeyId, SessionId, TenantId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """The person who is signed in."""

    id: UserId
    email: str
    name: str
    tenant: TenantId
    tenant_name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A signed-in browser; ``current`` marks the one that asks."""

    id: SessionId
    client: str
    address: str
    created_ms: int
    seen_ms: int
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyView:
    """An API key without its secret; ``start`` are its first characters, to recognise it."""

    id: ApiKeyId
    name: str
    start: str
    scopes: tuple[str, ...]
    created_ms: int
    used_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key as it is made: ``secret`` is shown this once and stored nowhere."""

    view: ApiKeyView
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A fresh session: ``cookie`` is the secret for the HttpOnly cookie, good until ``expires_ms``."""

    cookie: str
    expires_ms: int
    caller: Caller

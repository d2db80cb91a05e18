"""The name of a tab's state: made of the tab's own token and of the session that the page is opened with.

Whoever signs in after somebody else, in the same browser tab, has another session and so another state; a token that
leaked opens nothing without the session that goes with it.
"""

import hmac
from dataclasses import dataclass

from reflex.istate.manager.token import BaseStateToken, StateToken
from reflex_base.event.context import EventContext

SESSION = "aw_session="


@dataclass(frozen=True, kw_only=True, slots=True)
class TabToken(BaseStateToken):
    """A token whose ``ident`` is the name of the state; ``key`` (32 bytes) seals it and is stored nowhere."""

    key: bytes = b""


def tab_token(token: StateToken) -> TabToken:
    """Return what Reflex calls a tab as the name of its state."""
    if isinstance(token, TabToken):
        return token
    secret = _digest(token.ident.encode(), session_of(headers().get("cookie", "")).encode())
    return TabToken(ident=_digest(secret, b"name").hex()[:40], cls=token.cls, key=_digest(secret, b"key"))


def headers() -> dict[str, str]:
    """Return the headers of the socket whose event is at work; none where there is no event."""
    try:
        return EventContext.get().router_data.get("headers", {})
    except LookupError:
        return {}


def session_of(cookies: str) -> str:
    """Return the session's part of a cookie header; empty for who is not signed in."""
    return ";".join(sorted(part.strip() for part in cookies.split(";") if SESSION in part))


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")

"""Who sends a request: an API key, or the session of a browser that really is on one of our pages."""

from starlette.requests import Request

from backend.app import current
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Forbidden, Unauthenticated
from backend.foundation.telemetry.tracing import set_tenant
from backend.gateway.http.proxied import same_origin

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OUR_PAGES = frozenset({"same-origin", "none"})


class ForeignPage(Forbidden):
    """A page of another site sent this with the visitor's session."""

    code = "foreign_page"
    hint = "Use AutoWeave's own pages; programs use an API key instead of a session."


async def caller_of(request: Request) -> Caller:
    """Return who asks, by ``Authorization: Bearer`` or else by the session cookie.

    Raises:
        Unauthenticated: neither is there, or it is not good (any more).
        ForeignPage: a session came with a change that was not sent from one of our own pages.
    """
    caller = await _by_key(request) or await _by_session(request)
    set_tenant(caller.tenant)
    return caller


async def _by_key(request: Request) -> Caller | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("The Authorization header is not `Bearer <key>`.")
    return await current().identity.caller_of_key(key.strip())


async def _by_session(request: Request) -> Caller:
    caller = await current().identity.caller_of_cookies(request.headers.get("cookie", ""))
    if request.method not in _SAFE:
        check_own_page(request, proof_needed=True)
    return caller


def check_own_page(request: Request, *, proof_needed: bool) -> None:
    """Raise `ForeignPage` for what a page of another origin sent.

    Args:
        request: a request that changes something.
        proof_needed: whether to refuse also what tells no origin (every browser tells it; programs do not).
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is None and origin is None and not proof_needed:
        return
    # The browser's own word; an origin may be hidden ("null") by a page's referrer policy.
    ours = site in _OUR_PAGES if site is not None else origin is not None and same_origin(request.scope)
    if not ours:
        raise ForeignPage("This was not sent by one of AutoWeave's pages.")

"""Native form posts of the sign-in and setup pages: they set and take away the session cookie.

What is wrong comes back to the page as a code and what was typed, in the query; a password never does.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backend.app import current
from backend.foundation.kernel.errors import AutoWeaveError, Unauthenticated
from backend.foundation.telemetry.tracing import set_tenant
from backend.gateway.http.bodies import read_form
from backend.gateway.http.callers import check_own_page
from backend.gateway.http.door import peer_address
from backend.governance.identity.rules import SECURE_SESSION_COOKIE, SESSION_COOKIE, SESSION_MS
from backend.governance.identity.views import SignedIn

_HOME = "/chat"
_LONGEST_ECHO = 254


async def sign_in(request: Request) -> Response:
    """Fields ``email``, ``password`` and ``next``, a path of this site to go on to."""
    form = await _form(request)
    going_to = safe_path(form.get("next", ""))
    try:
        signed_in = await current().identity.sign_in(
            form.get("email", ""), form.get("password", ""), **_browser(request)
        )
    except AutoWeaveError as error:
        return _back("/sign-in", error, {"email": form.get("email", ""), "next": going_to})
    return _enter(request, signed_in, going_to)


async def setup(request: Request) -> Response:
    """Fields ``token``, ``email``, ``password``, ``name`` and ``tenant_name``."""
    form = await _form(request)
    typed = {name: form.get(name, "") for name in ("token", "email", "name", "tenant_name")}
    try:
        signed_in = await current().identity.complete_setup(
            **typed, password=form.get("password", ""), **_browser(request)
        )
    except AutoWeaveError as error:
        return _back("/setup", error, typed)
    return _enter(request, signed_in, _HOME)


async def sign_out(request: Request) -> Response:
    """End the session, wherever it is; a browser without one is as well signed out."""
    check_own_page(request, proof_needed=True)
    identity = current().identity
    response = _redirect("/sign-in")
    try:
        caller = await identity.caller_of_cookies(request.headers.get("cookie", ""))
    except Unauthenticated:
        pass
    else:
        set_tenant(caller.tenant)
        await identity.sign_out(caller)
    for name, secure in ((SESSION_COOKIE, _by_tls(request)), (SECURE_SESSION_COOKIE, True)):
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")
    return response


async def _form(request: Request) -> dict[str, str]:
    check_own_page(request, proof_needed=False)
    return await read_form(request)


def _enter(request: Request, signed_in: SignedIn, going_to: str) -> Response:
    set_tenant(signed_in.caller.tenant)
    response = _redirect(going_to)
    by_tls = _by_tls(request)
    response.set_cookie(
        SECURE_SESSION_COOKIE if by_tls else SESSION_COOKIE,
        signed_in.cookie,
        max_age=SESSION_MS // 1000,
        path="/",
        secure=by_tls,
        httponly=True,
        samesite="lax",
    )
    return response


def safe_path(text: str) -> str:
    """Return the text if it is a path of this very site, else the chat page: nobody is sent elsewhere by a link."""
    good = (
        text.startswith("/")
        and not text.startswith(("//", "/\\", "/auth/"))
        and text.isprintable()
        and "\\" not in text
        and len(text) <= 2_000
    )
    return text if good else _HOME


def _browser(request: Request) -> dict[str, str]:
    return {"client": request.headers.get("user-agent", ""), "address": peer_address(request)}


def _by_tls(request: Request) -> bool:
    return request.url.scheme == "https"


def _redirect(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303, headers={"cache-control": "no-store"})


def _back(page: str, error: AutoWeaveError, typed: Mapping[str, str]) -> Response:
    query = {"error": error.code}
    if error.field is not None:
        query["field"] = error.field
    query |= {name: value[:_LONGEST_ECHO] for name, value in typed.items() if value}
    return _redirect(f"{page}?{urlencode(query, errors='replace')}")

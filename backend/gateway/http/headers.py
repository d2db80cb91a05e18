"""ASGI middleware: the headers that keep a browser from doing what no page of ours does."""

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HASHED = re.compile(r"/assets/[^/]+-[A-Za-z0-9_-]{8}\.[a-z0-9.]+")
_PRIVATE = ("/v1/", "/auth/", "/events/")
_YEAR_S = 365 * 24 * 3600
_PAGE = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""For pages that bring no policy of their own: the built ones name the hashes of their inline scripts in theirs."""
_DATA = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ALWAYS = {
    "x-content-type-options": "nosniff",
    # With `no-referrer` a browser would send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


class SafeHeaders:
    """Adds the headers to every response, also of what is mounted behind."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(scope, MutableHeaders(scope=message), message["status"])
            await send(message)

        await self._app(scope, receive, send_safely)

    def _add(self, scope: Scope, headers: MutableHeaders, status: int) -> None:
        headers.update(_ALWAYS)
        html = headers.get("content-type", "").startswith("text/html")
        # A policy on a script would bind the worker that it may become.
        if html or not scope["path"].startswith("/assets/"):
            headers.setdefault("content-security-policy", _PAGE if html else _DATA)
        if scope["scheme"] == "https":
            headers.setdefault("strict-transport-security", f"max-age={_YEAR_S}")
        cache = _cache_control(scope["path"], status)
        if cache:
            headers["cache-control"] = cache


def _cache_control(path: str, status: int) -> str:
    if path.startswith(_PRIVATE):
        return "no-store"
    if status in (200, 206, 304) and _HASHED.fullmatch(path):
        return f"public, max-age={_YEAR_S}, immutable"
    return ""

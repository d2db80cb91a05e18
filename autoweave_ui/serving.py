"""How the built pages are served: where the front door is, and that a new build is seen at once."""

import json
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from reflex.utils.prerequisites import get_web_dir
from reflex_base.constants import Dirs
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoweave_ui.frontend import SCRIPT_HASHES

HOME = "/chat"
_FIRST = {"/": HOME, "/admin": "/admin/health", "/admin/": "/admin/health"}
"""Addresses that people type, and the page that stands for them."""
INSIDE = ("/chat", "/admin", "/account")
"""The pages that only a person who is signed in may see."""
SESSION = "aw_session="
"""Stands in a cookie header that carries a session, good or not, behind TLS or not."""


def front_door(app: ASGIApp) -> ASGIApp:
    """Wrap the pages: who has no session goes to the sign-in page at once.

    The redirect only saves a flash of an empty frame: whether a session is valid is decided where data is read.
    """
    folders = _page_folders()
    policy = page_policy(_script_hashes())

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await app(scope, receive, send)
            return
        target = _redirect(scope["path"], scope["query_string"].decode("latin-1"), Headers(scope=scope))
        if target:
            await RedirectResponse(target, headers={"cache-control": "no-store"})(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if _is_page(scope["path"], message["status"], headers):
                    headers["content-security-policy"] = policy
                    # Pages name their assets by hash, so only the pages themselves have to be asked for again.
                    headers.setdefault("cache-control", "no-cache")
            await send(message)

        if scope["path"] in folders:
            # The file server would answer with a redirect to the folder first.
            scope = {**scope, "path": f"{scope['path']}/"}
        await app(scope, receive, answer)

    return door


def _redirect(path: str, query: str, headers: Headers) -> str:
    if path in _FIRST:
        return _FIRST[path]
    if not any(path == page or path.startswith(f"{page}/") for page in INSIDE):
        return ""
    if SESSION in headers.get("cookie", ""):
        return ""
    here = f"{path}?{query}" if query else path
    return "/sign-in" if here == HOME else f"/sign-in?next={quote(here, safe='/')}"


def page_policy(script_hashes: list[str]) -> str:
    """Return the content security policy of the pages, in which only the inline scripts of the build may run."""
    directives = (
        "default-src 'self'",
        " ".join(["script-src 'self'", *(f"'{each}'" for each in script_hashes)]),
        # Emotion, which Reflex styles with, writes its rules into the page.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
    return "; ".join(directives)


def _is_page(path: str, status: int, headers: Headers | MutableHeaders) -> bool:
    # "Not modified" names no type, and its headers replace those that the browser has kept.
    unchanged = status == HTTPStatus.NOT_MODIFIED and "." not in path.rpartition("/")[2]
    return unchanged or headers.get("content-type", "").startswith("text/html")


def _built() -> Path:
    return get_web_dir() / Dirs.STATIC


def _page_folders() -> frozenset[str]:
    built = _built()
    return frozenset(f"/{page.parent.relative_to(built).as_posix()}" for page in built.glob("*/**/index.html"))


def _script_hashes() -> list[str]:
    file = _built().parent / SCRIPT_HASHES
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []

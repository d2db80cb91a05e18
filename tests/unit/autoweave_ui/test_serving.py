"""How the built pages are served."""

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from autoweave_ui import serving


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    """The front door before a few pages."""
    (tmp_path / "client" / "sign-in").mkdir(parents=True)
    (tmp_path / "client" / "sign-in" / "index.html").write_text("")
    (tmp_path / "script-hashes.json").write_text('["sha256-abc="]')
    monkeypatch.setattr(serving, "_built", lambda: tmp_path / "client")
    pages = Starlette(
        routes=[
            Route("/chat", lambda _: HTMLResponse("chat")),
            Route("/account", lambda _: Response(status_code=304)),
            Route("/sign-in/", lambda _: HTMLResponse("sign in")),
            Route("/assets/a.js", lambda _: PlainTextResponse("a")),
        ]
    )
    return serving.front_door(pages)


async def get(door: ASGIApp, path: str, *, cookie: str = "") -> httpx.Response:
    headers = {"cookie": cookie} if cookie else {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://localhost") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", "/chat"),
        ("/admin", "/admin/health"),
        ("/chat", "/sign-in"),
        ("/chat/thr_1", "/sign-in?next=/chat/thr_1"),
        ("/admin/health?part=bus", "/sign-in?next=/admin/health%3Fpart%3Dbus"),
    ],
)
async def test_who_has_no_session_goes_to_the_sign_in_page_at_once(door: ASGIApp, path: str, target: str) -> None:
    """IDN-2."""
    response = await get(door, path)
    assert (response.status_code, response.headers["location"]) == (307, target)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("cookie", ["aw_session=x", "a=b; __Host-aw_session=x"])
async def test_who_has_a_session_gets_the_page_with_its_policy(door: ASGIApp, cookie: str) -> None:
    """IDN-1."""
    response = await get(door, "/chat", cookie=cookie)
    assert response.text == "chat"
    policy = response.headers["content-security-policy"]
    assert "script-src 'self' 'sha256-abc=';" in policy
    assert "unsafe-eval" not in policy
    assert response.headers["cache-control"] == "no-cache"


async def test_an_unchanged_page_carries_the_same_policy(door: ASGIApp) -> None:
    """A browser replaces the headers that it has kept by those of a 304."""
    response = await get(door, "/account", cookie="aw_session=x")
    assert "script-src 'self' 'sha256-abc='" in response.headers["content-security-policy"]


async def test_a_built_page_comes_without_a_detour(door: ASGIApp) -> None:
    """ADM-2."""
    response = await get(door, "/sign-in")
    assert (response.status_code, response.text) == (200, "sign in")


async def test_assets_are_left_alone(door: ASGIApp) -> None:
    """ADM-2."""
    assert "content-security-policy" not in (await get(door, "/assets/a.js")).headers

"""ADM-2, IDN-1: what every response tells the browser, and which names and origins are let in."""

from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from backend.gateway.http import Door, create_app
from tests.fixtures.door import Installation

pytestmark = pytest.mark.security


async def _pages(scope: Scope, _receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    kind = b"text/javascript" if scope["path"].startswith("/assets/") else b"text/html; charset=utf-8"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": b"page"})


def _client(door: Door | None = None, *, base: str = "http://localhost:8000", peer: str = "127.0.0.1"):
    app = create_app(door or Door(), _pages)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(peer, 1)), base_url=base)


@pytest.mark.parametrize("path", ["/", "/chat", "/assets/app-B1x_9aZ0.js", "/v1/nothing", "/openapi.json", "/health"])
async def test_every_response_carries_the_safe_headers(path: str) -> None:
    async with _client() as client:
        headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert "camera=()" in headers["permissions-policy"]
    assert "strict-transport-security" not in headers


async def test_pages_and_data_have_a_policy_that_loads_nothing_from_elsewhere() -> None:
    async with _client() as client:
        page = (await client.get("/chat")).headers["content-security-policy"]
        data = (await client.get("/openapi.json")).headers["content-security-policy"]
    for directive in ("default-src 'self'", "object-src 'none'", "base-uri 'self'", "form-action 'self'"):
        assert directive in page
    assert "frame-ancestors 'none'" in page
    assert "frame-ancestors 'none'" in data
    assert "default-src 'none'" in data
    assert "http" not in page.replace("https:", "http")


async def test_a_page_may_bring_a_policy_of_its_own() -> None:
    async def strict(_scope: Scope, _receive: Receive, send: Send) -> None:
        own: list[Any] = [(b"content-type", b"text/html"), (b"content-security-policy", b"default-src 'none'")]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(create_app(Door(), strict))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/chat")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'none'"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/assets/app-B1x_9aZ0.js", "public, max-age=31536000, immutable"),
        ("/assets/plain.js", ""),
        ("/chat", ""),
        ("/v1/nothing", "no-store"),
        ("/auth/nothing", "no-store"),
    ],
)
async def test_only_what_carries_a_hash_is_kept_for_ever(path: str, kept: str) -> None:
    async with _client() as client:
        assert (await client.get(path)).headers.get("cache-control", "") == kept


@pytest.mark.parametrize(
    ("door", "host", "welcome"),
    [
        (Door(), "localhost:8000", True),
        (Door(), "127.0.0.1", True),
        (Door(), "[::1]:8000", True),
        (Door(), "LOCALHOST", True),
        (Door(), "localhost.", True),
        (Door(), "evil.example", False),
        (Door(), "localhost.evil.example", False),
        (Door(), "127.0.0.1.evil.example", False),
        (Door(), "192.168.1.7:8000", False),
        (Door(), "evil.example@localhost", False),
        (Door(), "", False),
        (Door(allowed_hosts=("weave.example.org",)), "weave.example.org:443", True),
        (Door(allowed_hosts=("*.example.org",)), "weave.example.org", True),
        (Door(allowed_hosts=("*.example.org",)), "example.org", False),
        (Door(allowed_hosts=("*.example.org",)), "evilexample.org", False),
        (Door(host="192.168.1.7"), "192.168.1.7:8000", True),
        (Door(host="0.0.0.0"), "anything.example", True),
        (Door(host="0.0.0.0", allowed_hosts=("weave.example.org",)), "anything.example", False),
        (Door(host="0.0.0.0", allowed_hosts=("weave.example.org",)), "localhost", True),
    ],
)
async def test_only_known_names_are_answered(door: Door, host: str, welcome: bool) -> None:
    async with _client(door) as client:
        answer = await client.get("/chat", headers={"host": host})
    assert answer.status_code == (200 if welcome else 421)
    if not welcome:
        assert answer.json()["code"] == "host_not_allowed"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, True),
        ({"host": "localhost:8000"}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:3000"}, False),
        ({"host": "localhost:8000", "origin": "http://evil.example"}, False),
        ({"host": "localhost:8000", "origin": "null"}, False),
        ({"host": "evil.example", "origin": "http://evil.example"}, False),
    ],
)
async def test_a_socket_is_opened_by_our_own_pages_only(headers: dict[str, str], accepted: bool) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope: Scope = {
        "type": "websocket",
        "path": "/_event/",
        "raw_path": b"/_event/",
        "root_path": "",
        "scheme": "ws",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    await create_app(Door(), _pages)(scope, receive, send)
    assert sent[0]["type"] == ("websocket.accept" if accepted else "websocket.close")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.4", "198.51.100.4"),
        ("6.6.6.6, 198.51.100.4", "198.51.100.4"),
        ("198.51.100.4, 10.0.0.9", "198.51.100.4"),
        ("10.0.0.9", "10.1.2.3"),
        ("", "10.1.2.3"),
    ],
)
async def test_the_nearest_address_that_is_no_proxy_counts(
    sqlite_installation: Installation, forwarded: str, address: str
) -> None:
    app = create_app(Door(trusted_proxies=("10.0.0.0/8",)))
    headers = {"origin": "http://localhost:8000", "x-forwarded-for": forwarded}
    form = {"email": "ada@example.org", "password": "a long enough phrase 42"}
    async with sqlite_installation.client(app=app, peer="10.1.2.3") as client:
        await client.post("/auth/sign-in", data=form, headers=headers)
    sessions = await sqlite_installation.backend.identity.sessions(sqlite_installation.ada)
    assert address in {one.address for one in sessions}


async def test_no_secret_is_in_an_answer_or_a_log(
    sqlite_installation: Installation, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    password = "hunter2 hunter2 hunter2"
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answers = [
            await client.post("/auth/sign-in", data={"email": "a@b", "password": password}),
            await client.get("/v1/runs/none"),
            await client.post("/v1/agents/concierge/runs", content=password.encode()),
        ]
    text = capfd.readouterr()
    seen = "".join([*(f"{one.headers}{one.text}" for one in answers), text.out, text.err, caplog.text])
    assert password not in seen
    assert sqlite_installation.ada_key.rpartition("_")[2] not in seen

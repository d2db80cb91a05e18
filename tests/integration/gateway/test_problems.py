"""API-2: every error is a problem that tells the next step and nothing of the inside."""

from typing import Any

import httpx
import pytest

from backend.app import use
from backend.gateway.http import Door, create_app
from tests.fixtures.door import Installation

pytestmark = pytest.mark.integration


async def test_a_wrong_address_or_method_is_a_problem_too(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        for method, path, status in (
            ("GET", "/v1/nothing", 404),
            ("POST", "/v1/agents/x/y/z", 404),
            ("DELETE", "/v1/agents", 405),
            ("GET", "/v1/agents/x/runs", 405),
            ("GET", "/auth/sign-in", 405),
            ("PUT", "/events/aw.agents", 405),
            ("GET", "/nothing", 404),
        ):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path


async def test_what_is_ours_never_reaches_the_app_behind() -> None:
    async def behind(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"page"})

    app = create_app(Door(), behind)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.get("/chat")).text == "page"
        for path in ("/v1/nothing", "/auth/nothing", "/events/a/b"):
            for method in ("GET", "POST", "DELETE"):
                assert (await client.request(method, path)).status_code in (404, 405)


async def test_a_surprise_tells_nothing_of_the_inside(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def surprise(*_: object) -> None:
        raise RuntimeError("password=hunter2 in /home/ada")

    monkeypatch.setattr(type(sqlite_installation.backend.agents), "list", surprise)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.get("/v1/agents")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert len(answer.json()["trace_id"]) == 32


async def test_before_the_rooms_are_open_the_door_says_so(sqlite_installation: Installation) -> None:
    use(None)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        for path in ("/v1/agents", "/ready"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await client.get("/health")).status_code == 200


async def test_who_is_nobody_is_told_how_to_be_somebody(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client() as client:
        nobody = await client.get("/v1/agents")
        basic = await client.get("/v1/agents", headers={"authorization": "Basic YWRhOmh1bnRlcjI="})
        wrong = await client.get("/v1/agents", headers={"authorization": "Bearer aw_x"})
    assert [answer.status_code for answer in (nobody, basic, wrong)] == [401, 401, 401]
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert nobody.headers["cache-control"] == "no-store"
    assert wrong.json()["code"] == "key_rejected"


async def test_a_trace_that_a_client_began_is_carried_on(sqlite_installation: Installation) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with sqlite_installation.client() as client:
        answer = await client.get("/v1/agents", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert answer.json()["trace_id"] == trace


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 422),
        (b"{", "application/json", 422),
        (b"[" * 200_000, "application/json", 422),
        (b'{"input": "' + b"x" * (1024 * 1024) + b'"}', "application/json", 413),
        (b'{"input": "\xff"}', "application/json", 422),
        (b'{"input": "\\ud800"}', "application/json", 422),
        (b"input=x", "application/x-www-form-urlencoded", 415),
        (b"<x/>", "application/xml", 415),
    ],
)
async def test_a_hostile_body_is_a_clear_refusal(
    sqlite_installation: Installation, content: bytes, kind: str, status: int
) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post("/v1/agents/concierge/runs", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_name_with_a_nul_is_not_found_on_any_database(installation: Installation) -> None:
    """PostgreSQL refuses a text with NUL, which was an internal error, also for nobody in particular."""
    paths = [
        ("GET", "/v1/runs/%00"), ("GET", "/v1/runs/a%00/events"), ("POST", "/v1/runs/%00/cancel"),
        ("POST", "/v1/agents/%00/runs"), ("GET", "/v1/agents/%00/asyncapi.json"), ("POST", "/a2a/%00"),
        ("GET", "/a2a/%00/.well-known/agent-card.json"), ("GET", "/a2a/keys/%00"),
        ("GET", "/.well-known/agent-card.json?agent=%00"), ("POST", "/events/%00"),
    ]  # fmt: skip
    async with installation.client(installation.ada_key) as ada, installation.client() as nobody:
        for method, path in paths:
            for client in (ada, nobody):
                assert (await client.request(method, path, json={"input": "x"})).status_code == 404

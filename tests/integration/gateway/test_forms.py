"""IDN-1: browsers sign in, set up and sign out by native forms; the cookie and what guards it."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from backend.gateway.http import Door, create_app
from tests.fixtures.door import BASE, Installation
from tests.fixtures.people import PASSWORD

pytestmark = pytest.mark.integration

OWN = {"origin": BASE}
RIGHT = {"email": "ada@example.org", "password": PASSWORD}


def _query(answer: httpx.Response) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def test_signing_in_sets_a_cookie_that_no_script_reads_and_goes_on(installation: Installation) -> None:
    async with installation.client() as client:
        answer = await client.post("/auth/sign-in", data=RIGHT | {"next": "/admin/health?x=1"}, headers=OWN)
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin/health?x=1")
        (cookie,) = answer.headers.get_list("set-cookie")
        name, _, attributes = cookie.partition("=")
        assert name == "aw_session"
        assert {"httponly", "samesite=lax", "path=/", "max-age=2592000"} <= {
            part.strip().lower() for part in attributes.split(";")
        }
        assert "secure" not in cookie.lower()
        assert (await client.get("/v1/agents")).status_code == 200


async def test_behind_tls_the_cookie_is_bound_to_the_host(sqlite_installation: Installation) -> None:
    app = create_app(Door(trusted_proxies=("10.0.0.0/8",), allowed_hosts=("weave.example.org",)))
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.4", "origin": "https://weave.example.org"}
    async with sqlite_installation.client(app=app, base="http://weave.example.org", peer="10.1.2.3") as client:
        answer = await client.post("/auth/sign-in", data=RIGHT, headers=headers)
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-aw_session=")
    assert "secure" in cookie.lower()
    assert "domain" not in cookie.lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    sessions = await sqlite_installation.backend.identity.sessions(sqlite_installation.ada)
    assert "198.51.100.4" in {one.address for one in sessions}


async def test_a_stranger_is_not_believed_about_tls_or_his_address(sqlite_installation: Installation) -> None:
    headers = OWN | {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.4"}
    async with sqlite_installation.client(peer="203.0.113.66") as client:
        answer = await client.post("/auth/sign-in", data=RIGHT, headers=headers)
    assert answer.headers["set-cookie"].startswith("aw_session=")
    assert "strict-transport-security" not in answer.headers
    sessions = await sqlite_installation.backend.identity.sessions(sqlite_installation.ada)
    assert "203.0.113.66" in {one.address for one in sessions}


async def test_a_wrong_password_comes_back_with_what_was_typed_but_the_password(installation: Installation) -> None:
    async with installation.client() as client:
        answer = await client.post(
            "/auth/sign-in",
            data={"email": "Ada@example.org", "password": "wrong wrong wrong", "next": "/chat/thr_1"},
            headers=OWN,
        )
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == "/sign-in"
    assert _query(answer) == {"error": "sign_in_failed", "email": "Ada@example.org", "next": "/chat/thr_1"}
    assert "set-cookie" not in answer.headers
    assert "wrong" not in answer.headers["location"]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/a\r\nset-cookie: x=1",
        "/auth/sign-out",
        "",
        "/" + "x" * 3000,
    ],
)
async def test_nobody_is_sent_to_another_site(sqlite_installation: Installation, target: str) -> None:
    async with sqlite_installation.client() as client:
        answer = await client.post("/auth/sign-in", data=RIGHT | {"next": target}, headers=OWN)
    assert answer.headers["location"] == "/chat"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": BASE},
        {"sec-fetch-site": "cross-site", "origin": BASE},
    ],
)
async def test_a_form_of_another_site_is_refused(sqlite_installation: Installation, headers: dict[str, str]) -> None:
    async with sqlite_installation.client(cookie=sqlite_installation.ada_cookie) as client:
        for path in ("/auth/sign-in", "/auth/setup", "/auth/sign-out"):
            answer = await client.post(path, data=RIGHT, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_page")
        assert (await client.get("/v1/agents")).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://evil.example"}, {"sec-fetch-site": "same-site"}, {"origin": "null"}]
)
async def test_a_session_changes_nothing_from_another_page(
    sqlite_installation: Installation, headers: dict[str, str]
) -> None:
    async with sqlite_installation.client(cookie=sqlite_installation.ada_cookie) as client:
        answer = await client.post("/v1/agents/concierge/runs", json={"input": "x", "wait": False}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_page")
        own = await client.post("/v1/agents/concierge/runs", json={"input": "x", "wait": False}, headers=OWN)
    assert own.status_code == 202


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin", "origin": "null"}, {"sec-fetch-site": "none"}])
async def test_the_browsers_own_word_counts_more_than_a_hidden_origin(
    sqlite_installation: Installation, headers: dict[str, str]
) -> None:
    async with sqlite_installation.client() as client:
        answer = await client.post("/auth/sign-in", data=RIGHT, headers=headers)
    assert answer.headers["location"] == "/chat"


async def test_signing_out_ends_the_session_on_the_server_and_in_the_browser(installation: Installation) -> None:
    async with installation.client(cookie=installation.ada_cookie) as client:
        answer = await client.post("/auth/sign-out", headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert {cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")} == {
        "aw_session",
        "__Host-aw_session",
    }
    assert all("max-age=0" in cookie.lower() for cookie in answer.headers.get_list("set-cookie"))
    async with installation.client(cookie=installation.ada_cookie) as client:
        again = await client.get("/v1/agents")
    assert (again.status_code, again.json()["code"]) == (401, "session_ended")


async def test_signing_out_without_a_session_is_fine(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client() as client:
        assert (await client.post("/auth/sign-out", headers=OWN)).status_code == 303


async def test_too_many_attempts_are_told_on_the_page(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client() as client:
        for _ in range(10):
            await client.post("/auth/sign-in", data=RIGHT | {"password": "wrong"}, headers=OWN)
        answer = await client.post("/auth/sign-in", data=RIGHT, headers=OWN)
    assert _query(answer)["error"] == "too_many_attempts"


async def test_setup_by_form_makes_the_first_account_and_signs_in(empty_installation: Installation) -> None:
    token = await empty_installation.backend.identity.issue_setup_token()
    form = {"token": token, "email": "ada@example.org", "name": "Ada", "tenant_name": "House", "password": "short"}
    async with empty_installation.client() as client:
        weak = await client.post("/auth/setup", data=form, headers=OWN)
        assert urlsplit(weak.headers["location"]).path == "/setup"
        assert _query(weak) == {
            "error": "invalid",
            "field": "password",
            **{name: value for name, value in form.items() if name != "password"},
        }
        done = await client.post("/auth/setup", data=form | {"password": PASSWORD}, headers=OWN)
        assert (done.status_code, done.headers["location"]) == (303, "/chat")
        assert (await client.get("/v1/agents")).status_code == 200
        again = await client.post("/auth/setup", data=form | {"password": PASSWORD}, headers=OWN)
    assert _query(again)["error"] == "set_up_already"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"email=a&" * 50, "application/x-www-form-urlencoded", 422),
        (b"email=%ff%fe", "application/x-www-form-urlencoded", 422),
        (b"email=\xff", "application/x-www-form-urlencoded", 422),
        (b"email=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_what_is_no_form_is_refused(
    sqlite_installation: Installation, content: bytes, kind: str, status: int
) -> None:
    async with sqlite_installation.client() as client:
        answer = await client.post("/auth/sign-in", content=content, headers=OWN | {"content-type": kind})
    assert answer.status_code == status


async def test_an_empty_form_is_a_failed_sign_in(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client() as client:
        answer = await client.post("/auth/sign-in", data={"x": ""}, headers=OWN)
    assert _query(answer)["error"] == "sign_in_failed"

"""API-2: whatever is sent, the answer is a problem below 500 and the process goes on."""

import asyncio
import contextlib
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.foundation.kernel.errors import Invalid
from backend.gateway.http.bodies import decode_json
from backend.gateway.http.door import Door, host_name
from backend.gateway.http.forms import safe_path
from backend.gateway.http.shapes import RunRequest
from backend.governance.identity.errors import SignInFailed, TooManyAttempts
from tests.fixtures.door import BASE, Installation
from tests.fixtures.people import PASSWORD

pytestmark = pytest.mark.security

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
REQUEST = st.fixed_dictionaries({}, optional={"input": JSON, "thread": JSON, "wait": st.just(False), "x": JSON})
PATHS = ("/v1/agents/concierge/runs", "/events/aw.agents", "/auth/sign-in", "/auth/setup")
KINDS = (
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "",
)
AS_IT_IS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@AS_IT_IS
@given(body=st.binary(max_size=300), path=st.sampled_from(PATHS), kind=st.sampled_from(KINDS))
async def test_any_bytes_get_a_clear_answer(
    sqlite_installation: Installation, body: bytes, path: str, kind: str
) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post(path, content=body, headers={"content-type": kind, "origin": BASE})
    assert answer.status_code < 500
    assert answer.status_code == 303 or answer.headers["content-type"] == "application/problem+json"


@AS_IT_IS
@given(body=REQUEST)
async def test_any_json_starts_a_run_or_is_refused(sqlite_installation: Installation, body: dict[str, Any]) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post("/v1/agents/concierge/runs", json={"wait": False} | body)
    assert answer.status_code in (202, 422)
    if answer.status_code == 422:
        assert answer.json()["field"]


@AS_IT_IS
@given(
    path=st.text(st.characters(codec="utf-8", exclude_characters="/?#\x00"), min_size=1, max_size=60),
    cursor=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    key=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60),
)
async def test_any_path_cursor_and_key_get_a_clear_answer(
    sqlite_installation: Installation, path: str, cursor: str, key: str
) -> None:
    headers = {"last-event-id": cursor.encode(), "idempotency-key": key.encode("latin-1")}
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        run = await client.get(f"/v1/runs/{quote(path)}", headers=headers)
        events = await client.get(f"/v1/runs/{quote(path)}/events", headers=headers)
        start = await client.post(f"/v1/agents/{quote(path)}/runs", json={"input": "x"}, headers=headers)
    assert {run.status_code, events.status_code, start.status_code} <= {404, 405, 422}


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(decode_json(body, RunRequest), RunRequest)


@given(st.text())
def test_a_safe_path_stays_on_this_site(text: str) -> None:
    path = safe_path(text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert "\n" not in path
    assert "\r" not in path


@given(st.text())
def test_any_host_header_is_known_or_not(host: str) -> None:
    name = host_name(host)
    assert name == name.lower()
    assert not set(name) & set(" /\\@?#\r\n\t\"'<>")
    assert Door().answers_to(host) == (name in {"localhost", "127.0.0.1", "::1"})


async def test_many_sign_ins_at_once_stay_within_the_limit(installation: Installation) -> None:
    """IDN-1."""

    async def post(number: int) -> str:
        form = {"email": "ada@example.org", "password": f"wrong wrong {number}"}
        async with installation.client(peer=f"198.51.100.{number}") as client:
            return (await client.post("/auth/sign-in", data=form, headers={"origin": BASE})).headers["location"]

    answers = await asyncio.gather(*(post(number) for number in range(25)))
    assert sum(f"error={SignInFailed.code}" in answer for answer in answers) == 10
    assert sum(f"error={TooManyAttempts.code}" in answer for answer in answers) == 15


async def test_a_burst_of_right_sign_ins_opens_a_session_each(installation: Installation) -> None:
    """IDN-1."""

    async def post(_: int) -> str:
        form = {"email": "bob@example.org", "password": PASSWORD}
        async with installation.client() as client:
            answer = await client.post("/auth/sign-in", data=form, headers={"origin": BASE})
            return answer.cookies.get("aw_session", "")

    cookies = await asyncio.gather(*(post(number) for number in range(5)))
    assert len(set(cookies) - {""}) == 5

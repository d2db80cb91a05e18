"""API-2: an error as programs see it."""

import msgspec
import pytest

from backend.foundation.kernel.errors import Invalid, RateLimited, Unauthenticated
from backend.gateway.http.problems import problem


def test_a_wait_is_told_in_whole_seconds() -> None:
    for wait, told in ((0.2, "1"), (2.1, "3"), (60, "60")):
        assert problem(RateLimited("Too often.", retry_after=wait)).headers["retry-after"] == told


def test_a_field_is_named_where_one_is_to_blame() -> None:
    content = msgspec.json.decode(problem(Invalid("Too short.", field="password", hint="Use more.")).body)
    assert content == {
        "type": "https://autoweave.dev/errors/invalid",
        "title": "Invalid",
        "status": 422,
        "detail": "Too short.",
        "code": "invalid",
        "hint": "Use more.",
        "trace_id": "",
        "field": "password",
    }


@pytest.mark.parametrize("header", ["retry-after", "field"])
def test_what_is_not_known_is_left_out(header: str) -> None:
    response = problem(Unauthenticated("Nobody is signed in."))
    assert header not in response.headers
    assert header not in msgspec.json.decode(response.body)

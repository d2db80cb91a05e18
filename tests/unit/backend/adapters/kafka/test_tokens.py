"""Tokens for OAUTHBEARER: how long one serves, and what is not taken for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.adapters.kafka.failures import TokenFailed
from backend.adapters.kafka.tokens import Tokens
from backend.adapters.kafka.urls import KafkaSecurity
from tests.fixtures.kafka_doors import Papers, TokenEndpoint, serving


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[TokenEndpoint]:
    with serving(TokenEndpoint(Papers(tmp_path))) as made:
        yield made


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _tokens(url: str, clock: _Clock) -> Tokens:
    security = KafkaSecurity(mechanism="OAUTHBEARER", token_url=url, username="worker", password="a secret")
    return Tokens(security, clock=clock)


async def test_a_token_serves_for_four_fifths_of_its_life(endpoint: TokenEndpoint) -> None:
    """BUS-1."""
    clock = _Clock()
    tokens = _tokens(endpoint.url, clock)
    first = await tokens.token()
    clock.now += endpoint.life_s * 0.79
    assert await tokens.token() == first
    clock.now += endpoint.life_s * 0.02
    assert await tokens.token() != first
    assert len(endpoint.asked) == 2


async def test_a_token_serves_to_its_end_while_the_endpoint_is_out_of_order(endpoint: TokenEndpoint) -> None:
    """BUS-1: and the endpoint is not asked at each connection."""
    clock = _Clock()
    tokens = _tokens(endpoint.url, clock)
    first = await tokens.token()
    endpoint.status = 500
    clock.now += endpoint.life_s * 0.9
    assert await tokens.token() == first
    assert await tokens.token() == first
    assert len(endpoint.asked) == 2
    clock.now += endpoint.life_s * 0.1
    with pytest.raises(TokenFailed):
        await tokens.token()
    endpoint.status = 200
    assert await tokens.token() != first


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"access_token": 5}',
        b'{"access_token": ""}',
        b'{"access_token": "a\\u0001auth=Bearer b"}',
        b'{"access_token": "two words"}',
        b'{"access_token": "\\ud800"}',
        b'{"access_token": "' + b"a" * 300_000 + b'"}',
        b"[" * 100_000,
        b"\xff\x00",
    ],
    ids=["nothing", "a list", "no token", "a number", "an empty one", "a control character", "a space", "half a pair",
         "too much", "too deep", "no text"],
)  # fmt: skip
async def test_what_is_no_token_is_not_shown_to_a_broker(endpoint: TokenEndpoint, answer: bytes) -> None:
    """BUS-1: a token with another character could end the message that carries it, and begin another."""
    endpoint.answer = lambda *_: (200, answer)
    with pytest.raises(TokenFailed, match="without an access token"):
        await _tokens(endpoint.url, _Clock()).token()


@pytest.mark.parametrize(("life", "calls"), [("0", 1), ("-5", 1), ('"600"', 1), ("null", 1), ("1e300", 1)])
async def test_a_life_that_makes_no_sense_is_taken_for_five_minutes(
    endpoint: TokenEndpoint, life: str, calls: int
) -> None:
    """BUS-1: an endpoint that says 0 is not asked at each connection."""
    endpoint.answer = lambda *_: (
        endpoint.asked.append(("", ""))
        or (
            200,
            b'{"access_token": "abc", "expires_in": ' + life.encode() + b"}",
        )
    )
    tokens = _tokens(endpoint.url, clock := _Clock())
    assert [await tokens.token(), await tokens.token()] == ["abc", "abc"]
    assert len(endpoint.asked) == calls
    clock.now += 3600
    assert await tokens.token() == "abc"
    assert len(endpoint.asked) == calls + 1


async def test_it_is_told_whether_the_token_at_hand_has_expired(tmp_path: Path) -> None:
    """OPS-1: only a hint: what is no JWT tells nothing."""
    papers, file = Papers(tmp_path), tmp_path / "token"
    for text, expired in ((papers.token(life_s=-5), True), (papers.token(life_s=60), False), ("opaque", False)):
        file.write_text(text)
        tokens = _tokens(file.as_uri(), _Clock())
        assert await tokens.token() == text
        assert tokens.expired is expired

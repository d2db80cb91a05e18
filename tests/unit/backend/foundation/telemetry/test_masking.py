"""Credentials stay out of what is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.foundation.telemetry.rules.masking import MASK, hide, is_secret_name, mask, mask_fields, mask_text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "clientSecret",
        "api_key",
        "X-Api-Key",
        "apikey",
        "Authorization",
        "cookie",
        "set-cookie",
        "token",
        "access_token",
        "setup-token",
        "sessionToken",
        "private_key",
        "credentials",
        "auth.jwt",
    ],
)
def test_names_of_credentials_are_known(name: str) -> None:
    """IDN-6."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["tokens", "input_tokens", "gen_ai.usage.output_tokens", "token_count", "author", "key", "run", "passed"]
)
def test_names_of_figures_are_not_credentials(name: str) -> None:
    """IDN-6."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"),
        ("postgresql://ada:s3cr3t!@db:5432/aw", "s3cr3t!"),
        ("redis://:hunter22@cache", "hunter22"),
        ("GET /x?api_key=abcdef123&page=2", "abcdef123"),
        ('{"password": "correct horse"}', "correct"),
        ("key sk-proj-0123456789abcdef was refused", "sk-proj-0123456789abcdef"),
        ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl", "eyJzdWIiOiJ1c3JfMSJ9"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("used aw_01jd2k3m4n5p6q7r8s9t0v1w2x_0f0f0f0f0f0f", "aw_01jd2k3m4n5p6q7r8s9t0v1w2x_0f0f0f0f0f0f"),
        ("ghp_abcdefghijklmnop", "ghp_abcdefghijklmnop"),
        ("authorization: BASIC dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----", "MC4CAQAwBQYDK2Vw"),
    ],
)
def test_values_that_look_like_credentials_are_masked(text: str, secret: str) -> None:
    """IDN-6."""
    masked = mask_text(text)
    assert secret not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "message sent to the storyteller",
        "https://example.org/a?page=2",
        "run_01jd2k3m4n5p6q7r8s9t0v1w2x",
        "12 tokens used",
        "ask the tokenizer",
        "basic idea",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    """IDN-6."""
    assert mask_text(text) == text


def test_a_value_that_was_named_as_secret_is_masked_everywhere() -> None:
    """IDN-6."""
    hide("plain-words-42")
    hide("abc")
    assert mask({"a": ["x plain-words-42 y"], "b": "abc"}) == {"a": [f"x {MASK} y"], "b": "abc"}


def test_nested_fields_are_masked_and_depth_is_bounded() -> None:
    """IDN-6."""
    assert mask_fields({"headers": {"Cookie": "a=b", "accept": "*/*"}, "n": [1, None, True]}) == {
        "headers": {"Cookie": MASK, "accept": "*/*"},
        "n": [1, None, True],
    }
    deep: object = "end"
    for _ in range(20):
        deep = [deep]
    assert "end" not in str(mask(deep))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_masking_takes_any_value_twice_with_the_same_result(value: object) -> None:
    """IDN-6."""
    once = mask(value)
    assert mask(once) == once


_SHAPES = ["Bearer {}", "token={}", "api_key: {}", "x://u:{}@h", "sk-{}", "aw_{}", "ghs-{}", "eyJ{}.{}.x", "rk-{}"]


@given(st.sampled_from(_SHAPES), st.from_regex(r"[a-zA-Z0-9]{16,40}", fullmatch=True), st.text(max_size=50))
def test_the_quick_look_lets_no_credential_through(shape: str, secret: str, around: str) -> None:
    """IDN-6."""
    shown = mask_text(f"{around} {shape.format(secret, secret)}")
    assert secret not in shown.removeprefix(around)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=60), st.text(max_size=200))
def test_a_login_in_a_url_never_shows(secret: str, around: str) -> None:
    """IDN-6."""
    url = f"postgresql://user:{secret}@host/db"
    assert f":{secret}@" not in mask_text(f"{around} {url}")


def test_long_text_is_masked_in_linear_time() -> None:
    """IDN-6."""
    hostile = "-----BEGIN " + "A" * 50_000 + "token" * 10_000 + "eyJ" + "a" * 50_000 + "x://" * 10_000
    assert mask_text(hostile)

"""TOL-1. Counting in texts of several scripts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.domain.tools.starter_guest import ask

pytestmark = pytest.mark.integration


def count(text: str) -> dict[str, Any]:
    return ask("text-stats", text=text)


@pytest.mark.parametrize(
    ("text", "words", "lines", "sentences", "longest"),
    [
        ("", 0, 0, 0, ""),
        ("   ", 0, 1, 0, ""),
        ("the quick brown fox", 4, 1, 1, "quick"),
        ("One. Two! Three? Four…", 4, 1, 4, "Three"),
        ("It's 3.14, e.g. today.", 4, 1, 2, "today"),
        ("Wait... what?!", 2, 1, 2, "Wait"),
        ('He said "Go." Then he left.', 6, 1, 2, "said"),
        ("a\nb\r\nc\rd\n", 4, 4, 1, "a"),
        ("well-known don’t o'clock", 3, 1, 1, "well-known"),
        ("größer naïve Ελλάδα привет", 4, 1, 1, "größer"),
        ("你好。世界！", 4, 1, 2, "你"),
        ("カタカナ", 4, 1, 1, "カ"),
        ("नमस्ते दुनिया।", 2, 1, 1, "नमस्ते"),
        ("👍 🎉", 0, 1, 0, ""),
        ("e\u0301tude", 1, 1, 1, "e\u0301tude"),
        ("- * --", 0, 1, 0, ""),
        ("snake_case 42", 2, 1, 1, "snake_case"),
    ],
)
def test_a_text_has_its_counts(text: str, words: int, lines: int, sentences: int, longest: str) -> None:
    counts = count(text)
    assert counts["words"] == words
    assert counts["lines"] == lines
    assert counts["sentences"] == sentences
    assert counts["longest_word"] == longest


def test_reading_time_is_rounded_up_at_200_words_a_minute() -> None:
    assert count("word " * 200)["reading_time_seconds"] == 60
    assert count("word " * 201)["reading_time_seconds"] == 61


@given(st.text())
def test_characters_are_code_points(text: str) -> None:
    counts = count(text)
    assert counts["characters"] == len(text)
    assert counts["characters_without_spaces"] <= len(text)


@given(st.text())
def test_the_longest_word_stands_in_the_text(text: str) -> None:
    counts = count(text)
    assert counts["longest_word"] in text
    assert (counts["longest_word"] == "") == (counts["words"] == 0)
    assert counts["sentences"] <= counts["words"]


@given(st.text(alphabet="ab \n", max_size=200))
def test_plain_words_and_lines_are_those_of_python(text: str) -> None:
    counts = count(text)
    assert counts["words"] == len(text.split())
    assert counts["lines"] == len(text.splitlines())


def test_a_text_of_a_megabyte_is_within_the_bounds() -> None:
    assert count("word " * 200_000)["words"] == 200_000

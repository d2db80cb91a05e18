"""AGT-8: the chunks of a chat completion, in whatever pieces they come."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.providers.library.chunks import Chunk, ChunkReader
from backend.domain.models.errors import ModelFailed


def _event(delta: dict[str, Any], **fields: Any) -> bytes:
    chunk = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **fields}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta]


def test_neighbours_that_only_add_text_come_as_one() -> None:
    """AGT-8."""
    assert _texts(list(ChunkReader().feed(_event({"content": "Hel"}) + _event({"content": "lo"})))) == ["Hello"]


@pytest.mark.parametrize(
    "delta",
    [{"tool_calls": [{"index": 0}]}, {"reasoning": "hm"}, {"reasoning_content": "hm"}, {"refusal": "no"}, {}],
)
def test_what_is_more_than_text_stays_for_itself(delta: dict[str, Any]) -> None:
    """AGT-8."""
    data = _event({"content": "a"}) + _event(delta) + _event({"content": "b"})
    assert len(list(ChunkReader().feed(data))) == 3


def test_the_last_count_of_tokens_wins() -> None:
    """AGT-7: some servers tell the sum so far with each event, others at the end."""
    reader = ChunkReader()
    for tokens in (1, 2, 3):
        list(
            reader.feed(
                _event({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5})
            )
        )
    assert reader.usage is not None
    assert reader.usage.completion_tokens == 3


def test_a_count_of_another_form_is_none() -> None:
    """AGT-7: it is estimated then."""
    reader = ChunkReader()
    list(reader.feed(_event({"content": "a"}, usage={"tokens": "many"})))
    assert reader.usage is None


def test_comments_and_other_fields_are_passed_over() -> None:
    """AGT-8."""
    data = b": waiting\r\nevent: x\r\nid: 1\r\n" + _event({"content": "a"}) + b"data:\n\n"
    assert _texts(list(ChunkReader().feed(data))) == ["a"]


def test_nothing_counts_after_the_end_mark() -> None:
    """AGT-8."""
    reader = ChunkReader()
    assert _texts(list(reader.feed(_event({"content": "a"}) + b"data: [DONE]\n\n" + _event({"content": "b"})))) == ["a"]
    assert reader.ended


@pytest.mark.parametrize("line", [b"data: {no json\n", b"data: [1]\n", b'data: {"choices": 7}\n', b"data: \xff\n"])
def test_what_is_no_chunk_fails_with_words(line: bytes) -> None:
    """AGT-8."""
    with pytest.raises(ModelFailed, match="cannot be read"):
        list(ChunkReader().feed(line))


def test_an_endless_event_is_refused() -> None:
    """AGT-8: bounded everywhere."""
    reader = ChunkReader()
    for _ in range(3):
        list(reader.feed(b"x" * 1024 * 1024))
    with pytest.raises(ModelFailed, match="too long"):
        list(reader.feed(b"x" * 1024 * 1025))


@given(st.lists(st.text(min_size=1), max_size=8), st.lists(st.integers(1, 60), max_size=30))
def test_how_the_bytes_are_cut_changes_nothing(words: list[str], cuts: list[int]) -> None:
    """AGT-8."""
    data = b"".join(_event({"content": word}) for word in words) + b"data: [DONE]\n\n"
    reader, texts = ChunkReader(), list[str]()
    for cut in [*cuts, len(data)]:
        texts += _texts(list(reader.feed(data[:cut])))
        data = data[cut:]
    assert "".join(texts) == "".join(words)
    assert reader.ended

"""AGT-8: names, estimates and waits."""

import pytest

from backend.domain.models.errors import ModelUnknown
from backend.domain.models.ports import ChatMessage, ToolCall, ToolSchema
from backend.domain.models.rules import ModelName, estimate_tokens, model_safe_name, parse_model


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai:gpt-5-mini", ModelName("openai", "gpt-5-mini")),
        ("ollama:qwen3:8b", ModelName("ollama", "qwen3:8b")),
        ("  Anthropic:claude-sonnet-4-5 ", ModelName("anthropic", "claude-sonnet-4-5")),
        ("offline", ModelName("offline", "offline")),
    ],
)
def test_a_model_is_taken_apart_as_its_users_write_it(model: str, expected: ModelName) -> None:
    """AGT-8."""
    assert parse_model(model) == expected


@pytest.mark.parametrize("model", ["", "gpt-5-mini", ":gpt-5", "openai:", ":"])
def test_what_is_no_model_is_refused_with_an_example(model: str) -> None:
    """AGT-8."""
    with pytest.raises(ModelUnknown, match="not the name of a model") as caught:
        parse_model(model)
    assert "openai:" in caught.value.hint


def test_a_tools_id_becomes_a_name_that_every_model_accepts() -> None:
    """AGT-8."""
    assert model_safe_name("dev.autoweave.text-stats") == "dev_autoweave_text_stats"
    long = model_safe_name("com.example." + "x" * 100 + ".search")
    assert len(long) == 64
    assert long.endswith("_search")


def test_an_estimate_is_not_below_what_a_tokenizer_counts() -> None:
    """AGT-7: English prose has about four characters a token, Chinese one or two tokens a character."""
    prose = "The quick brown fox jumps over the lazy dog. " * 100
    assert estimate_tokens([ChatMessage(role="user", text=prose)]) >= 1001
    assert estimate_tokens([ChatMessage(role="user", text="天地玄黄" * 10)]) >= 40


def test_an_estimate_counts_calls_and_tools() -> None:
    """AGT-7."""
    call = ToolCall(id="call_0", name="search", arguments={"query": "a" * 300})
    assert estimate_tokens([ChatMessage(role="assistant", text="", tool_calls=(call,))]) > 100
    tool = ToolSchema(name="search", description="d" * 300, parameters={"type": "object"})
    assert estimate_tokens([], [tool]) > 100
    assert estimate_tokens([]) == 0

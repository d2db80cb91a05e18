"""AGT-8: the offline model sends messages to tools by fixed rules and says that it is offline."""

import json
import time
from typing import Any

import pytest

from backend.adapters.providers.offline.arithmetic import find_sum
from backend.adapters.providers.offline.client import OfflineModel
from backend.domain.models.ports import ChatMessage, TextDelta, ToolCall, ToolSchema, TurnDone, TurnRequest

_TOOLS = tuple(
    ToolSchema(name=f"dev_autoweave_{name}", description="", parameters={"type": "object"})
    for name in ("text_stats", "calculator", "json_query")
)


async def _turn(*messages: ChatMessage, tools: tuple[ToolSchema, ...] = _TOOLS) -> tuple[list[str], TurnDone]:
    request = TurnRequest(model="offline", messages=messages, tools=tools)
    pieces = [piece async for piece in OfflineModel(delay_s=0).stream(request)]
    done = pieces.pop()
    assert isinstance(done, TurnDone)
    return [piece.text for piece in pieces if isinstance(piece, TextDelta)], done


def _user(text: str) -> ChatMessage:
    return ChatMessage(role="user", text=text)


async def _conversation(question: str, *results: Any) -> str:
    """Ask, let the tools answer, and return what the model says then."""
    _, asked = await _turn(_user(question))
    assert len(asked.tool_calls) == len(results)
    assistant = ChatMessage(role="assistant", text="", tool_calls=asked.tool_calls)
    answers = [
        ChatMessage(role="tool", text=json.dumps(result), tool_call_id=call.id, tool_name=call.name)
        for call, result in zip(asked.tool_calls, results, strict=True)
    ]
    pieces, done = await _turn(_user(question), assistant, *answers)
    assert "".join(pieces) == done.text
    assert done.tool_calls == ()
    return done.text


@pytest.mark.parametrize(
    ("question", "tool", "arguments"),
    [
        ("What is 17% of 2,431?", "calculator", {"expression": "17% of 2431"}),
        ("2+2", "calculator", {"expression": "2+2"}),
        ("How many words are in 'the quick brown fox'?", "text_stats", {"text": "the quick brown fox"}),
        ("How many words are in “it's 2 + 2”?", "text_stats", {"text": "it's 2 + 2"}),
        ("How many words has the sentence “a b c”?", "text_stats", {"text": "a b c"}),
        ("Count the words in: a “nice” day.", "text_stats", {"text": "a “nice” day"}),
        ('Which keys has this JSON? {"a": 1,}', "json_query", {"json": '{"a": 1,}', "query": "keys(@)"}),
        ("Count the words in: a b c.", "text_stats", {"text": "a b c"}),
        ('How many characters has "abc def"?', "text_stats", {"text": "abc def"}),
        ('Which keys has this JSON? {"a": 1}', "json_query", {"json": '{"a": 1}', "query": "keys(@)"}),
        ('What is the value of "b.c" in {"b": {"c": 4}}?', "json_query", {"json": '{"b": {"c": 4}}', "query": "b.c"}),
        ("How many items are in [1, 2, 3]?", "json_query", {"json": "[1, 2, 3]", "query": "length(@)"}),
        ("Call dev_autoweave_calculator with {\"expression\": \"1\"}", "calculator", {"expression": "1"}),
    ],
)  # fmt: skip
async def test_a_question_goes_to_the_tool_that_it_asks_for(
    question: str, tool: str, arguments: dict[str, Any]
) -> None:
    """AGT-8."""
    pieces, done = await _turn(_user(question))
    assert pieces == []
    assert done.finish_reason == "tool_calls"
    assert done.tool_calls == (ToolCall(id="call_0", name=f"dev_autoweave_{tool}", arguments=arguments),)


@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("12 * (3 + 4) =", "12 * (3 + 4)"),
        ("what's 5 plus 17% of 200 minus 3", "5 + 17% of 200 - 3"),
        ("What is 200 * 17%?", "200 * 17%"),
        ("10% of (5+5)", "10% of (5+5)"),
        ("How much is 1,000,000 divided by 3?", "1000000 / 3"),
        ("compute 2**8", "2^8"),
        ("what is 3 x 4?", "3 * 4"),
        ("What is 10 % 3", "10 % 3"),
        ("What is 5 percent of 20?", "5 % of 20"),
        ("What is sqrt(144) + 1?", "sqrt(144) + 1"),
        ("What is round(10 / 3, 2)?", "round(10 / 3, 2)"),
        ("What is (2+3)*4 (roughly)?", "(2+3)*4"),
    ],
)
def test_a_sum_is_found_as_people_write_it(question: str, expression: str) -> None:
    """AGT-8."""
    found = find_sum(question)
    assert found is not None
    assert found.expression == expression


@pytest.mark.parametrize(
    "text",
    [
        "What happened on 2024-01-05?",
        "What is 555-123-4567?",
        "What is the 3rd of 5?",
        "What is GPT-5?",
        "I have 3-4.",
        "What is 3, 4, 5?",
    ],
)
def test_what_only_looks_like_a_sum_is_none(text: str) -> None:
    """AGT-8."""
    assert find_sum(text) is None


async def test_results_come_back_as_plain_sentences() -> None:
    """AGT-8."""
    assert await _conversation("What is 17% of 2,431?", {"result": "413.27"}) == "17% of 2,431 is 413.27."
    counts = {"characters": 19, "words": 4, "lines": 1}
    answer = await _conversation("How many words are in 'the quick brown fox'?", counts)
    assert answer == "That text has 4 words, 19 characters and 1 line."
    keys = await _conversation('Which keys has {"a": 1, "b": 2, "c": 3}?', {"result": ["a", "b", "c"]})
    assert keys == "The keys are a, b and c."


async def test_two_questions_in_one_message_are_two_calls_and_two_answers() -> None:
    """AGT-8."""
    answer = await _conversation("How many words are in 'a b', and what is 2+2?", {"words": 2}, {"result": "4"})
    assert answer == "That text has 2 words. 2+2 is 4."


async def test_a_tools_failure_is_told_in_its_own_words() -> None:
    """AGT-8."""
    answer = await _conversation("What is 1 / 0?", {"ok": False, "error": "Division by zero."})
    assert answer.endswith("could not do that: Division by zero.")
    asked = ChatMessage(role="assistant", text="", tool_calls=(ToolCall(id="c", name="x_calculator", arguments={}),))
    failed = ChatMessage(role="tool", text="Division by zero.", tool_call_id="c", tool_name="x_calculator")
    _, done = await _turn(_user("What is 1 / 0?"), asked, failed)
    assert done.text == "The calculator could not do that: Division by zero."


async def test_a_question_without_its_tool_gets_no_call() -> None:
    """AGT-8."""
    _, done = await _turn(_user("What is 2 + 2?"), tools=())
    assert done.tool_calls == ()
    assert "No model is set" in done.text


async def test_anything_else_is_answered_with_what_works_and_how_to_set_a_model() -> None:
    """AGT-8: it says that it is offline."""
    _, done = await _turn(_user("Write a poem about rain."))
    assert "offline model" in done.text
    assert "AUTOWEAVE_MODEL" in done.text
    assert "17% of 2,431" in done.text


@pytest.mark.parametrize("text", ["Hello", "hi there!", "What can you do?", "help"])
async def test_a_greeting_is_answered_with_what_works(text: str) -> None:
    """AGT-8."""
    _, done = await _turn(_user(text))
    assert done.text.startswith("Hello.")


async def test_the_same_conversation_gets_the_same_answer_and_costs_nothing() -> None:
    """AGT-8."""
    first = await _turn(_user("Hello"))
    assert first == await _turn(_user("Hello"))
    usage = first[1].usage
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.cost_micros == 0


async def test_call_ids_stay_unique_within_a_conversation() -> None:
    """AGT-8."""
    earlier = ChatMessage(role="assistant", text="", tool_calls=(ToolCall(id="call_0", name="x", arguments={}),))
    _, done = await _turn(_user("2+2"), earlier, ChatMessage(role="tool", text="4"), _user("3+3"))
    assert [call.id for call in done.tool_calls] == ["call_1"]


async def test_odd_conversations_do_not_trip_it() -> None:
    """AGT-8: no message, results without calls, results that are no JSON, no counts, no keys."""
    assert (await _turn())[1].text
    assert (await _turn(ChatMessage(role="tool", text="plain", tool_name="x")))[1].text == "The tool x answered: plain"
    assert await _conversation("Which keys has {}?", {"result": []}) == "It has no keys."
    assert (await _conversation("How many words are in 'a'?", {"odd": 1})).startswith("The text's figures are")


@pytest.mark.parametrize(
    "text",
    [
        "How many words are in " + " 'a" * 40_000,
        "How many words are in " + "?" * 100_000 + "x",
        "How many keys has the json " + "[" * 100_000,
        "json { " * 20_000,
        "What is " + "(1+" * 40_000,
        "What is " + "1 " * 50_000,
        "how many " * 12_000,
        "the value of " * 9_000,
        "!" * 100_000 + " help",
    ],
)
async def test_no_message_takes_long_to_read(text: str) -> None:
    """AGT-8: a message comes from outside, and the reading holds up a worker."""
    began = time.process_time()
    await _turn(_user(text))
    assert time.process_time() - began < 1.0

"""What the offline model says: short, plain sentences."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from backend.domain.models.ports import ToolSchema
from backend.domain.models.rules import EXAMPLE_MODEL

_LONGEST_RESULT = 600

_EXAMPLES = {
    "calculator": "“What is 17% of 2,431?”",
    "text_stats": "“How many words are in 'the quick brown fox'?”",
    "json_query": '“Which keys has this JSON? {"name": "Ada", "age": 36}”',
}
_TITLES = {"calculator": "calculator", "text_stats": "text statistics", "json_query": "JSON query"}
_COUNTS = (("words", "word"), ("characters", "character"), ("sentences", "sentence"), ("lines", "line"))


def no_model(tools: tuple[ToolSchema, ...]) -> str:
    """Say that no model is set, what works all the same, and how to set one."""
    return (
        "No model is set, so I cannot answer that: I am AutoWeave's offline model and only pass questions to tools. "
        f"{_abilities(tools)} {_how_to_set()}"
    )


def greeting(tools: tuple[ToolSchema, ...]) -> str:
    """Answer a greeting, or the question what this can do."""
    return f"Hello. I am AutoWeave's offline model: no language model is set yet. {_abilities(tools)} {_how_to_set()}"


def answer(tool: str, asked: str, result: str) -> str:
    """Put a tool's result (JSON, or plain text) in a sentence; ``asked`` is the part of the question to repeat."""
    fields = _fields(result)
    # A result of a starter tool is an object; what is none is a failure's own words.
    failed = "" if fields is None else _error_of(fields)
    if fields is None and tool.endswith(tuple(_EXAMPLES)):
        failed = result
    if failed:
        title = next((title for suffix, title in _TITLES.items() if tool.endswith(suffix)), f"tool {tool}")
        return f"The {title} could not do that: {failed}"
    value = result if fields is None else _inner(fields)
    if tool.endswith("calculator"):
        return f"{asked or 'The result'} is {_plain(value)}."
    if tool.endswith("text_stats") and fields is not None:
        return _statistics(fields)
    if tool.endswith("json_query"):
        return _looked_up(asked, value)
    return f"The tool {tool} answered: {_plain(value)}"


def _abilities(tools: Iterable[ToolSchema]) -> str:
    examples = [text for tool in tools for suffix, text in _EXAMPLES.items() if tool.name.endswith(suffix)]
    if not examples:
        return "This agent has no tool that I know how to use."
    return f"With this agent's tools I can answer questions such as {listed(examples, 'or')}."


def _how_to_set() -> str:
    return (
        f"For a real model, set AUTOWEAVE_MODEL (for example {EXAMPLE_MODEL}) and OPENAI_API_KEY, "
        "then start AutoWeave again."
    )


def listed(items: list[str], last: str = "and") -> str:
    """Join items as a sentence does: ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def _fields(result: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(result, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _error_of(fields: Mapping[str, Any]) -> str:
    error = fields.get("error")
    if not error or fields.get("ok") is True:
        return ""
    if isinstance(error, dict):
        error = cast("dict[str, Any]", error).get("message", error)
    return _plain(error)


def _inner(fields: Mapping[str, Any]) -> object:
    """What a tool answers to the question itself: the ``result`` among what it tells."""
    return fields.get("result", fields)


def _statistics(counts: Mapping[str, Any]) -> str:
    parts = [_counted(counts[key], word) for key, word in _COUNTS if isinstance(counts.get(key), int)]
    return f"That text has {listed(parts)}." if parts else f"The text's figures are: {_plain(counts)}"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _looked_up(query: str, value: object) -> str:
    if query == "length":
        return f"It has {_plain(value)} entries."
    if query != "keys":
        return f"The value of {query} is {_plain(value)}." if query else f"The value is {_plain(value)}."
    if not isinstance(value, list):
        return f"The keys are {_plain(value)}."
    keys = [_plain(key) for key in cast("list[object]", value)]
    if not keys:
        return "It has no keys."
    return f"The key is {keys[0]}." if len(keys) == 1 else f"The keys are {listed(keys)}."


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_RESULT else f"{text[:_LONGEST_RESULT]}…"

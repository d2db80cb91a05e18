"""What a message asks for, as far as fixed rules can tell."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from backend.adapters.providers.offline.arithmetic import find_sum
from backend.adapters.providers.offline.embedded import find_json, find_quotation
from backend.domain.models.ports import ToolSchema

_LONGEST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A call that a message asks for; ``asked`` is the part of the message that the answer repeats."""

    tool: str
    arguments: dict[str, Any]
    asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a rule found: the arguments, what to repeat, and the rest of the message for the other rules."""

    arguments: dict[str, Any]
    asked: str = ""
    rest: str = ""


def find_tool(tools: Iterable[ToolSchema], suffix: str) -> str:
    """Return the name of the offered tool that ends with ``suffix``; empty when there is none."""
    return next((tool.name for tool in tools if tool.name == suffix or tool.name.endswith(f"_{suffix}")), "")


def find_intents(text: str, tools: tuple[ToolSchema, ...]) -> tuple[Intent, ...]:
    """Return the calls that a message asks for, each to an offered tool."""
    named = _named_call(text[:_LONGEST], tools)
    if named is not None:
        return (named,)
    found: list[Intent] = []
    rest = text[:_LONGEST]
    for suffix, rule in _RULES:
        request = rule(rest)
        name = find_tool(tools, suffix)
        if request is not None and name:
            found.append(Intent(tool=name, arguments=request.arguments, asked=request.asked))
            rest = request.rest
    return tuple(found)


def _named_call(text: str, tools: tuple[ToolSchema, ...]) -> Intent | None:
    """``Call dev_autoweave_calculator with {"expression": "1 + 1"}``: any tool, by its name."""
    tool = next((tool for tool in tools if re.search(rf"\b{re.escape(tool.name)}\b", text)), None)
    if tool is None:
        return None
    value, _ = find_json(text)
    return Intent(tool=tool.name, arguments=cast("dict[str, Any]", value)) if isinstance(value, dict) else None


_FIELD = re.compile(
    r"""["'`]([\w.\[\]-]+)["'`]|\b(?:of|at|for|under|get|read|is)\s+([\w.\[\]-]+)\s+(?:in|from|of)\b""", re.IGNORECASE
)


def _json_request(text: str) -> Request | None:
    _, source = find_json(text)
    question = text.replace(source, " ")
    asked = _json_question(question) if source else ""
    if not asked:
        return None
    query = {"keys": "keys(@)", "length": "length(@)"}.get(asked, asked)
    return Request(arguments={"json": source, "query": query}, asked=asked, rest=question)


def _json_question(question: str) -> str:
    """``keys``, ``length`` or the path that is asked for; empty for a question that is about something else."""
    if re.search(r"\b(keys?|fields?|properties)\b", question, re.IGNORECASE):
        return "keys"
    if re.search(r"\b(how many|length|count)\b", question, re.IGNORECASE):
        return "length"
    named = _FIELD.search(question)
    return next(filter(None, named.groups())) if named else ""


_COUNTED = re.compile(
    r"\b(?:how many|count|number of|how long)\b.{0,40}?\b(?:words?|characters?|letters?|sentences?|lines?|text)\b",
    re.IGNORECASE | re.DOTALL,
)
_TEXT = re.compile(r"(?:\b(?:in|of|has|have|does)\b\s*:?|:)\s*(.+)$", re.IGNORECASE | re.DOTALL)


def _stats_request(text: str) -> Request | None:
    counted = _COUNTED.search(text)
    named = _TEXT.search(text, counted.end()) if counted else None
    if named is None:
        return None
    whole = named[1].strip("?.! \t\n")
    quoted, with_marks = find_quotation(whole)
    return Request(arguments={"text": quoted or whole}, rest=text.replace(with_marks, " ") if quoted else "")


def _calculation(text: str) -> Request | None:
    found = find_sum(text)
    return Request(arguments={"expression": found.expression}, asked=found.asked, rest=text) if found else None


# The order matters: what is quoted or JSON is data, not a sum to work out.
_RULES: tuple[tuple[str, Callable[[str], Request | None]], ...] = (
    ("json_query", _json_request),
    ("text_stats", _stats_request),
    ("calculator", _calculation),
)

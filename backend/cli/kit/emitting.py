"""Writes Python that a formatter would leave as it is: what may grow long is broken up from the start."""

from collections.abc import Iterable, Mapping
from typing import Any

INDENT = "    "


def quoted(text: str) -> str:
    """Return a string literal with the quotes that need fewer escapes, double ones by default."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n").replace("\t", "\\t")
    return f"{quote}{''.join(_printable(one) for one in escaped)}{quote}"


def literal(value: Any) -> str:
    """Return a scalar as Python writes it."""
    return quoted(value) if isinstance(value, str) else repr(value)


def words(text: str) -> str:
    """Return text for a comment or docstring: one line, with nothing in it that could end it."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line.replace("\\", "/").replace('"', "'")


def docstring(text: str, otherwise: str) -> str:
    """Return a docstring of one line."""
    line = words(text) or otherwise
    return f'"""{line if line[-1] in ".!?" else f"{line}."}"""'


def block(opening: str, parts: Iterable[str], closing: str, indent: str = "") -> str:
    """Return parts one a line, each with a comma: the formatter leaves a list that ends with one broken up."""
    lines = [f"{INDENT}{line}" for part in parts for line in f"{part},".split("\n")]
    return "\n".join(f"{indent}{line}" if n else line for n, line in enumerate([opening, *lines, closing]))


def call(name: str, arguments: Mapping[str, str]) -> str:
    """Return a call with named arguments."""
    return block(f"{name}(", [f"{key}={value}" for key, value in arguments.items()], ")") if arguments else f"{name}()"


def indented(text: str, levels: int = 1) -> str:
    """Return lines further to the right."""
    return "\n".join(f"{INDENT * levels}{line}" if line else "" for line in text.split("\n"))


def _printable(one: str) -> str:
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"

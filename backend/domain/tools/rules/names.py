"""Ids and versions of tools, and the names under which models call them."""

import re

_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.[a-z][a-z0-9]*(?:-[a-z0-9]+)*)+")
_ID_MAX = 120
_VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
_VERSION_MAX = 40
_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")
# OpenAI takes 64 characters of this alphabet, Anthropic 128 of the same: the narrower one fits both.
_CALL_NAME_MAX = 64


def is_tool_id(text: str) -> bool:
    """Whether it is an id such as ``dev.example.echo``: at least two parts, small letters, digits and dashes."""
    return len(text) <= _ID_MAX and _ID.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Whether it is a semantic version such as ``1.2.0`` or ``1.2.0-rc.1``."""
    return len(text) <= _VERSION_MAX and _VERSION.fullmatch(text) is not None


def call_name(tool_id: str) -> str:
    """Return the id as models accept it: ``dev.example.text-stats`` becomes ``dev_example_text_stats``.

    Of a longer id the end is kept, because there the tool's own name stands.
    """
    return _UNSAFE.sub("_", tool_id)[-_CALL_NAME_MAX:]

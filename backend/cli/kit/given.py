"""Reads files that a person names: no more of them than is of use, and nothing that a few lines could stand for."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml

from backend.foundation.kernel.errors import Invalid

_MOST_BYTES = 8 * 1024 * 1024
_MOST_DEPTH, _MOST_VALUES = 100, 500_000
# libyaml's own loader, which is ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def given(file: Path, most: int) -> bytes:
    """Return the first bytes of a file, at most ``most``; a pipe or a device is not waited for. Raises `Invalid`."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise Invalid(f"{file} is no regular file.", hint="Give a file.")
            return opened.read(most)
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no path"
        raise Invalid(f"{file} cannot be read: {told}.", hint="Check the path.") from error


def document(file: Path) -> object:
    """Return what a YAML or JSON file of anybody says; raise `Invalid`."""
    text = given(file, _MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise Invalid(f"{file} has more than {_MOST_BYTES // 1024 // 1024} MiB.", hint="Give a smaller document.")
    try:
        # JSON is YAML, but its own parser is faster and takes the tabs that YAML refuses.
        if text.lstrip()[:1] == b"{":
            value: object = msgspec.json.decode(text)
            _check_depth(value)
            return value
        # Before anything is made of it: the loader of YAML ends the process at ten thousands of open brackets.
        for _ in _weighed(cast("Any", yaml).parse(text, Loader=_LOADER)):
            pass
        return msgspec.yaml.decode(text)
    except _TooMuchError as error:
        raise Invalid(f"{file} {error}.", hint="Write the values out, and refer by $ref instead of nesting.") from error
    except (msgspec.MsgspecError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"{file} is neither YAML nor JSON: {error}", hint="Correct it, or give another file.") from error


class _TooMuchError(Exception):
    """A document that is not worth its reading; the message goes on after the file's name."""


def _check_depth(value: object) -> None:
    level: list[object] = [value]
    for _ in range(_MOST_DEPTH):
        level = [inner for one in level for inner in _members(one)]
        if not level:
            return
    raise _TooMuchError(f"nests values more than {_MOST_DEPTH} deep")


def _members(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []


def _weighed(events: Iterator[yaml.Event]) -> Iterator[None]:
    """Count what each anchor stands for, and so what the whole document does."""
    anchors: dict[str, int] = {}
    opened: list[tuple[str, int]] = [("", 0)]
    for event in events:
        anchor, weight = getattr(event, "anchor", None) or "", 1
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((anchor, 1))
            # Until it is closed nothing may refer to it: it would hold itself.
            anchors.pop(anchor, None)
            if len(opened) > _MOST_DEPTH:
                raise _TooMuchError(f"nests values more than {_MOST_DEPTH} deep")
            continue
        if isinstance(event, yaml.AliasEvent):
            if anchor not in anchors:
                raise _TooMuchError(f"has an alias, {anchor[:60]!a}, that stands for what holds it, or for nothing")
            weight = anchors[anchor]
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, weight = opened.pop()
            anchors[anchor] = weight
        elif isinstance(event, yaml.ScalarEvent):
            anchors[anchor] = 1
        else:
            continue
        name, before = opened.pop()
        opened.append((name, before + weight))
        if before + weight > _MOST_VALUES:
            raise _TooMuchError(f"stands for more than {_MOST_VALUES} values")
        yield None

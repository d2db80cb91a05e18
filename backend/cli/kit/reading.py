"""Reads the text of a spec: YAML, or Markdown with YAML front matter. It comes from anybody, so much is refused.

Only what JSON has is taken: mappings with text as keys, lists, texts, numbers, true, false and null. Anchors, aliases,
tags and merge keys are refused, since a few lines of them stand for gigabytes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

MOST_BYTES = 256 * 1024
MOST_DEPTH = 24
_MOST_FINDINGS = 50
_MARK = "---"
_HEADING = re.compile(r"^##[ \t]+`?([A-Za-z0-9_-]+)`?[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,17}\.[0-9]{1,17}|[0-9]{1,17}(?:\.[0-9]{1,17})?[eE][-+]?[0-9]{1,3})")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something wrong with a spec: where, what, and what to write instead."""

    line: int
    cause: str
    fix: str


@dataclass(slots=True)
class Findings:
    """What has been found so far."""

    lines: dict[Path, int] = field(default_factory=dict[Path, int])
    found: list[Finding] = field(default_factory=list[Finding])

    def add(self, path: Path, cause: str, fix: str) -> None:
        """Add one, at the line of a value, or of what holds it where there is no such value."""
        while path and path not in self.lines:
            path = path[:-1]
        self.at(self.lines.get(path, 1), cause, fix)

    def at(self, line: int, cause: str, fix: str) -> None:
        """Add one at a line; those beyond the fiftieth are dropped, since nobody reads them."""
        one = Finding(line, cause, fix)
        if len(self.found) < _MOST_FINDINGS and one not in self.found:
            self.found.append(one)


@dataclass(frozen=True, slots=True)
class Written:
    """A spec as it was written.

    Attributes:
        values: the front matter, or the whole YAML.
        sections: of the Markdown below it, by their headings (``## name``), with the line of each.
    """

    values: dict[str, Any]
    sections: dict[str, tuple[int, str]]


def read(data: bytes, findings: Findings) -> Written | None:
    """Return what the text says; ``None`` where it cannot be read at all. Findings say why."""
    text = _text(data, findings)
    if text is None:
        return None
    front, first, body, body_line = _parts(text, findings)
    values = _Yaml(first, findings).read(front)
    return None if values is None else Written(values, _sections(body, body_line, findings))


def shown(value: object) -> str:
    """Return what somebody wrote, short enough and harmless enough for a message."""
    text = value if isinstance(value, str) else repr(value)
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def _text(data: bytes, findings: Findings) -> str | None:
    if len(data) > MOST_BYTES:
        findings.at(1, f"The spec has more than {MOST_BYTES // 1024} KiB.", "Split it into several meshes.")
        return None
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.at(line, f"Byte {error.start + 1} is no UTF-8.", "Save the file as UTF-8.")
        return None
    odd = _CONTROL.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start()) + 1
        findings.at(line, f"There is a control character (U+{ord(odd[0]):04X}).", "Remove it.")
        return None
    return text


def _parts(text: str, findings: Findings) -> tuple[str, int, str, int]:
    """Return the YAML, its first line, the Markdown and its first line."""
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)
    if lines[start].rstrip() != _MARK:
        return text, 1, "", 1
    end = next((n for n in range(start + 1, len(lines)) if lines[n].rstrip() == _MARK), None)
    if end is None:
        return "\n".join(lines[start + 1 :]), start + 2, "", 1
    return "\n".join(lines[start + 1 : end]), start + 2, "\n".join(lines[end + 1 :]), end + 2


def _sections(body: str, first: int, findings: Findings) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, list[str]]] = {}
    current: list[str] | None = None
    fence = ""
    for number, line in enumerate(body.split("\n"), first):
        fenced = _FENCE.match(line)
        if fenced is not None and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else fenced[1]
        heading = None if fence else _HEADING.match(line)
        if heading is not None:
            if heading[1] in found:
                findings.at(number, f"The section {heading[1]!r} is there twice.", "Put both texts under one heading.")
            current = found.setdefault(heading[1], (number, []))[1]
        elif not fence and re.match(r"^#{1,2}[ \t]", line):
            current = None
        elif current is not None:
            current.append(line)
    return {name: (line, "\n".join(words).strip()) for name, (line, words) in found.items()}


class _Yaml:
    def __init__(self, first_line: int, findings: Findings) -> None:
        self._offset = first_line
        self._findings = findings

    def read(self, text: str) -> dict[str, Any] | None:
        before = len(self._findings.found)
        try:
            if not self._is_plain(text):
                return None
            node = cast("Any", yaml).compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._refuse(mark, f"This is no YAML: {error.problem or error.context}.", "Correct the line.")
            return None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self._refuse(None, f"This is no YAML: {error}", "Correct it.")
            return None
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node and node.start_mark, "The spec is no mapping.", "Begin with `name: my-mesh`.")
            return None
        values = self._value(node, ())
        return cast("dict[str, Any]", values) if len(self._findings.found) == before else None

    def _is_plain(self, text: str) -> bool:
        """Look at the stream before anything is made of it."""
        depth = documents = 0
        for event in cast("Any", yaml).parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            refused = _refused(event, depth, documents)
            if refused is not None:
                self._refuse(event.start_mark, *refused)
                return False
        return True

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._findings.lines[path] = node.start_mark.line + self._offset
        if isinstance(node, yaml.MappingNode):
            return dict(self._members(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(one, (*path, index)) for index, one in enumerate(node.value)]
        value = _scalar(cast("yaml.ScalarNode", node))
        if isinstance(value, str) and _UNFIT.search(value):
            self._refuse(node.start_mark, "There is an escaped control character in the text.", "Remove it.")
        return value

    def _members(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        known: dict[str, int] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name == "<<":
                self._refuse(key.start_mark, "A key is no text.", "Write a name before the colon.")
                continue
            line = key.start_mark.line + self._offset
            if name in known:
                cause = f"{shown(name)} is there twice, first in line {known[name]}."
                self._refuse(key.start_mark, cause, "Remove or rename one of them.")
                continue
            known[name] = line
            yield name, self._value(value, (*path, name))
            # What is said of a member stands best where its name is.
            self._findings.lines[(*path, name)] = line

    def _refuse(self, mark: Any, cause: str, fix: str) -> None:
        self._findings.at((mark.line if mark is not None else 0) + self._offset, " ".join(cause.split()), fix)


def _refused(event: yaml.Event, depth: int, documents: int) -> tuple[str, str] | None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "Anchors and aliases (& and *) are refused.", "Write the value out; put text that begins so in quotes."
    if isinstance(event, yaml.NodeEvent) and (tag := getattr(event, "tag", None)):
        return f"The tag {shown(tag)} is refused.", "Write the value without a tag; put text that begins so in quotes."
    if depth > MOST_DEPTH:
        return f"Values are nested more than {MOST_DEPTH} deep.", "Put inner objects under `schemas` and refer to them."
    if documents > 1:
        return "There is a second document.", "Keep one; a second `---` line ends the front matter of Markdown."
    return None


def _scalar(node: yaml.ScalarNode) -> Any:
    """Return a value as JSON would have it: no dates, no `yes`, no octal numbers, no infinity."""
    text = str(node.value)
    if node.style is not None:
        return text
    plain = {"": None, "null": None, "~": None, "true": True, "false": False}
    if text in plain:
        return plain[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text

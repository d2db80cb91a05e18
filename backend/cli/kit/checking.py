"""Turns what was written into a mesh, or says everything that is wrong with it."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from backend.cli.kit import names
from backend.cli.kit.mesh import SPEC_CHANGED, Agent, Kind, Mesh, Topic
from backend.cli.kit.reading import Finding, Findings, Path, Written, read, shown
from backend.cli.kit.schemas import check_schemas
from backend.cli.kit.wiring import check_wiring

_MOST_AGENTS, _MOST_TOPICS, _MOST_SCHEMAS, _MOST_PARTITIONS, _LONGEST_TEXT = 50, 200, 200, 256, 4000
_TOP = {"name", "version", "description", "topics", "agents", "schemas"}
_OF_TOPIC = {"description", "schema", "key", "partitions"}
_OF_AGENT: Mapping[Kind, set[str]] = {
    Kind.PRODUCER: {"path", "publishes"},
    Kind.REASONER: {"consumes", "publishes", "instructions", "fallback"},
    Kind.WORKER: {"consumes", "publishes"},
    Kind.DISCOVERY: {"publishes"},
}
_CHANGED = Topic(SPEC_CHANGED, "SpecChanged", "document", "The AsyncAPI document has changed.", 1)
SPEC_CHANGED_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "Tells that the AsyncAPI document has changed.",
    "required": ["document", "previous", "current"],
    "properties": {
        "document": {"type": "string", "description": "The name of the document."},
        "previous": {"type": "string", "description": "SHA-256 of the document before."},
        "current": {"type": "string", "description": "SHA-256 of the document now."},
        "version": {"type": "string", "description": "What the document calls its version.", "default": ""},
        "added": {"type": "array", "items": {"type": "string"}, "description": "Places that are new."},
        "changed": {"type": "array", "items": {"type": "string"}, "description": "Places that differ."},
        "removed": {"type": "array", "items": {"type": "string"}, "description": "Places that are gone."},
    },
}


def load(data: bytes) -> tuple[Mesh | None, list[Finding]]:
    """Return the mesh of a spec, or ``None`` and what is wrong, in the order of its lines."""
    findings = Findings()
    written = read(data, findings)
    mesh = None if written is None else _Checks(written, findings).mesh()
    return (None if findings.found else mesh), sorted(findings.found)


class _Checks:
    def __init__(self, written: Written, findings: Findings) -> None:
        self._values = written.values
        self._sections = written.sections
        self._findings = findings

    def mesh(self) -> Mesh:
        """Return what can be made of it; of use only where nothing was found."""
        self._unknown((), self._values, _TOP, "the spec")
        name = self._named()
        version = self._text((), self._values, "version") or "1.0.0"
        if not names.VERSION.fullmatch(version):
            self._findings.add(("version",), f"The version {shown(version)} is none.", "Write it like `1.0.0`.")
        schemas = self._group("schemas", _MOST_SCHEMAS)
        check_schemas(schemas, self._findings)
        topics = {name: self._topic(name, value) for name, value in self._group("topics", _MOST_TOPICS).items()}
        agents = {name: self._agent(name, value) for name, value in self._group("agents", _MOST_AGENTS).items()}
        made = {name: agent for name, agent in agents.items() if agent is not None}
        if any(agent.kind is Kind.DISCOVERY for agent in made.values()):
            topics[SPEC_CHANGED], schemas = _CHANGED, {**schemas, "SpecChanged": SPEC_CHANGED_SCHEMA}
        mesh = Mesh(name, version, self._text((), self._values, "description"), topics, made, schemas)
        for section, (line, _) in self._sections.items():
            if section in made and made[section].kind is not Kind.REASONER:
                self._findings.at(line, f"The section is about {section!r}, which has no model.",
                                  "Only a reasoner has instructions; give the section another heading.")  # fmt: skip
        if not self._findings.found:
            check_wiring(mesh, self._findings)
        return mesh

    def _named(self) -> str:
        name = self._values.get("name")
        if not isinstance(name, str):
            self._findings.add(("name",), "The mesh has no name.", "Write `name: order-mesh`.")
            return "mesh"
        if (wrong := names.of_project(name)) != "":
            self._findings.add(("name",), f"The name {shown(name)} {wrong}.", "Name it like `order-mesh`.")
        return name

    def _topic(self, name: str, value: Any) -> Topic:
        path: Path = ("topics", name)
        if (wrong := names.of_topic(name)) != "":
            self._findings.add(path, f"The topic name {shown(name)} {wrong}.", "Name it like `order.placed`.")
        elif name == SPEC_CHANGED:
            self._findings.add(path, f"The topic {SPEC_CHANGED!r} is there by itself.", "Remove it here.")
        told = self._mapping(path, value)
        self._unknown(path, told, _OF_TOPIC, "a topic")
        partitions = told.get("partitions", 6)
        if type(partitions) is not int or not 1 <= partitions <= _MOST_PARTITIONS:
            self._findings.add((*path, "partitions"), "`partitions` is no number of partitions.",
                               f"Write a whole number from 1 to {_MOST_PARTITIONS}.")  # fmt: skip
        schema = self._needed(path, told, "schema", "Name one of `schemas`.")
        key = self._needed(path, told, "key", "Name a property: events that have it alike keep their order.")
        if schema and schema not in self._values.get("schemas", {}):
            known = ", ".join(sorted(self._values.get("schemas") or {})[:5]) or "none"
            self._findings.add((*path, "schema"), f"There is no schema {shown(schema)}.", f"Use one of: {known}.")
        return Topic(name, schema, key, self._text(path, told, "description"),
                     partitions if type(partitions) is int else 1)  # fmt: skip

    def _agent(self, name: str, value: Any) -> Agent | None:
        path: Path = ("agents", name)
        if (wrong := names.of_agent(name)) != "":
            self._findings.add(path, f"The agent name {shown(name)} {wrong}.", "Name it like `reviewer`.")
        told = self._mapping(path, value)
        kind = told.get("kind")
        if kind not in list(Kind):
            self._findings.add((*path, "kind"), f"The kind {shown(kind)} is none.", f"Use one of {', '.join(Kind)}.")
            return None
        kind = Kind(kind)
        self._unknown(path, told, {"kind", "description", *_OF_AGENT[kind]}, f"a {kind}")
        agent = Agent(
            name, kind, self._text(path, told, "description"), self._text(path, told, "path"),
            self._topics_of(path, told, "consumes"), self._topics_of(path, told, "publishes"),
            self._instructions(path, name, told), self._mapping((*path, "fallback"), told.get("fallback", {})),
        )  # fmt: skip
        return self._complete(path, agent)

    def _instructions(self, path: Path, name: str, told: Mapping[str, Any]) -> str:
        line, section = self._sections.get(name, (0, ""))
        if section and "instructions" in told:
            self._findings.at(line, f"{name} is told what to do here and by `instructions`.", "Keep one of them.")
        if len(section) > _LONGEST_TEXT:
            self._findings.at(line, f"The section has more than {_LONGEST_TEXT} characters.", "Shorten it.")
        return self._text(path, told, "instructions") or section

    def _complete(self, path: Path, agent: Agent) -> Agent:
        """Check what an agent of its kind needs."""
        if agent.kind is Kind.DISCOVERY:
            if set(agent.publishes) - {SPEC_CHANGED}:
                self._findings.add((*path, "publishes"), "A discovery agent publishes only `spec.changed`.",
                                   "Leave `publishes` out.")  # fmt: skip
            return Agent(agent.name, agent.kind, agent.description, publishes=(SPEC_CHANGED,))
        if agent.kind is Kind.PRODUCER:
            if (wrong := names.of_route(agent.path)) != "":
                self._findings.add((*path, "path"), f"The path {shown(agent.path)} {wrong}.",
                                   "Write for instance `path: /order`.")  # fmt: skip
        elif not agent.consumes:
            self._findings.add(path, f"The {agent.kind} {agent.name!r} consumes nothing, so it would never run.",
                               "Name topics in `consumes`.")  # fmt: skip
        if len(agent.publishes) != 1 and agent.kind in (Kind.PRODUCER, Kind.REASONER):
            self._findings.add(path, f"A {agent.kind} publishes exactly one topic.", "Write `publishes: [topic]`.")
        return agent

    def _topics_of(self, path: Path, told: Mapping[str, Any], word: str) -> tuple[str, ...]:
        value = told.get(word, [])
        listed = cast("list[Any]", value) if isinstance(value, list) else [value]
        known: dict[str, Any] = {**(self._values.get("topics") or {}), SPEC_CHANGED: None}
        for index, name in enumerate(listed):
            if not isinstance(name, str) or name not in known:
                near = ", ".join(sorted(known)[:5])
                self._findings.add((*path, word, index), f"There is no topic {shown(name)}.", f"Use one of: {near}.")
            elif name in listed[:index]:
                self._findings.add((*path, word, index), f"The topic {name!r} is there twice.", "Remove one.")
        return tuple(name for name in listed if isinstance(name, str))

    def _group(self, word: str, most: int) -> dict[str, Any]:
        found = self._mapping((word,), self._values.get(word))
        if not found:
            self._findings.add((word,), f"There are no {word}.", f"Add `{word}:` with at least one.")
        if len(found) > most:
            self._findings.add((word,), f"There are more than {most} {word}.", "Split the mesh.")
        self._values[word] = found
        return found

    def _mapping(self, path: Path, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
        if value is not None:
            self._findings.add(path, f"{path[-1]} is no mapping.", "Write members as `name: value` below it.")
        return {}

    def _needed(self, path: Path, told: Mapping[str, Any], word: str, fix: str) -> str:
        value = told.get(word)
        if not isinstance(value, str) or not value:
            self._findings.add((*path, word), f"{path[-1]} has no `{word}`.", fix)
            return ""
        return value

    def _text(self, path: Path, told: Mapping[str, Any], word: str) -> str:
        value = told.get(word)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            self._findings.add((*path, word), f"`{word}` is no text of up to {_LONGEST_TEXT} characters.",
                               "Write a text, in quotes if it looks like a number.")  # fmt: skip
            return ""
        return value.strip()

    def _unknown(self, path: Path, told: Mapping[str, Any], known: Iterable[str], of: str) -> None:
        for word in told:
            if word not in set(known):
                self._findings.add((*path, word), f"{shown(word)} says nothing to {of}.",
                                   f"Use only {', '.join(sorted(known))}.")  # fmt: skip

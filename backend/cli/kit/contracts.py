"""Writes the typed Python of a mesh: a class for each schema, a constant for each topic."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from backend.cli.kit.emitting import block, call, docstring, indented, literal, quoted, words
from backend.cli.kit.mesh import DECIDED_BY, Agent, Kind, Mesh, Topic
from backend.cli.kit.schemas import target

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_LIMITS = {
    "minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt",
    "minLength": "min_length", "maxLength": "max_length", "minItems": "min_length", "maxItems": "max_length",
}  # fmt: skip


def contracts(mesh: Mesh) -> str:
    """Return the body of the module, below its imports."""
    classes = [_class(mesh, name) for name in _in_order(mesh)]
    topics = [_topic(mesh, topic) for topic in mesh.topics.values()]
    every = block("TOPICS: tuple[AnyTopic, ...] = (", [topic.constant for topic in mesh.topics.values()], ")")
    return "\n\n\n".join([*classes, "\n".join([*topics, every])]) + "\n"


def imports(mesh: Mesh) -> str:
    """Return the line that imports what the classes need from typing; nothing where they need nothing."""
    body = contracts(mesh)
    names = [name for name in ("Annotated", "Literal") if f"{name}[" in body]
    return f"from typing import {', '.join(names)}\n\n" if names else ""


def field_import(mesh: Mesh) -> str:
    """Return the line that imports pydantic's Field, where it is used."""
    return "from pydantic import Field\n\n" if "Field(" in contracts(mesh) else ""


def constructed(mesh: Mesh, schema: str, given: Mapping[str, str]) -> str:
    """Return the expression that makes a payload; values are Python already."""
    members = cast("dict[str, Any]", mesh.schemas[schema]["properties"])
    return call(schema, {name: given[name] for name in members if name in given})


def rule_of(mesh: Mesh, agent: Agent) -> str:
    """Return the expression of a reasoner's decision by its fallback."""
    topic = mesh.topics[agent.publishes[0]]
    members = cast("dict[str, Any]", mesh.schemas[topic.schema]["properties"])
    values = {name: _value(mesh, members[name], value) for name, value in agent.fallback.items()}
    key = f"payload.{topic.key}"
    return constructed(mesh, topic.schema, {**values, topic.key: key, DECIDED_BY: quoted("rule")})


def groups(mesh: Mesh, topic: Topic) -> list[str]:
    """Return the agents that read a topic, those that tell its story at a door among them."""
    doors = [agent.name for agent in mesh.of_kind(Kind.PRODUCER) if topic.name in mesh.story(agent)]
    return sorted({agent.name for agent in mesh.listeners(topic.name)} | set(doors))


def _in_order(mesh: Mesh) -> Iterator[str]:
    """Yield the schemas so that each comes after those that it refers to."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name not in done:
            done.add(name)
            for further in _referred(mesh.schemas[name]):
                yield from visit(further)
            yield name

    for name in mesh.schemas:
        yield from visit(name)


def _referred(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        members = cast("dict[str, Any]", schema)
        if target(members):
            yield target(members)
        for part in members.values():
            yield from _referred(part)


def _class(mesh: Mesh, name: str) -> str:
    schema = mesh.schemas[name]
    required = set(schema.get("required", []))
    strict = ', extra="forbid"' if schema.get("additionalProperties") is False else ""
    about = docstring(schema.get("description", ""), f"The payload {name}.")
    lines = [f"class {name}(Contract{strict}):", indented(about), ""]
    for key, part in schema["properties"].items():
        lines.append(indented(_field(key, part, needed=key in required)))
    return "\n".join(lines)


def _field(name: str, part: Mapping[str, Any], *, needed: bool) -> str:
    arguments = _arguments(part)
    kind = _type(part)
    if "default" in part and not needed:
        arguments = {"default": literal(_as_declared(part, part["default"])), **arguments}
    elif not needed:
        kind, arguments = _optional(kind), {"default": "None", **arguments}
    if part.get("description"):
        arguments["description"] = quoted(words(part["description"]))
    if not arguments:
        return f"{name}: {kind}"
    if arguments.keys() == {"default"}:
        return f"{name}: {kind} = {arguments['default']}"
    return f"{name}: {kind} = {call('Field', arguments)}"


def _as_declared(part: Mapping[str, Any], value: Any) -> Any:
    return float(value) if part.get("type") == "number" and not isinstance(value, bool) else value


def _arguments(part: Mapping[str, Any]) -> dict[str, str]:
    found = {ours: literal(part[theirs]) for theirs, ours in _LIMITS.items() if theirs in part}
    return found | ({"pattern": quoted(part["pattern"])} if "pattern" in part else {})


def _type(part: Mapping[str, Any]) -> str:
    if target(part):
        return target(part)
    if part.get("type") == "array":
        inner, limits = part["items"], _arguments(part["items"])
        kind = _type(inner)
        return _list_of(block("Annotated[", [kind, call("Field", limits)], "]") if limits else kind)
    if "enum" in part:
        values = [quoted(one) for one in part["enum"]]
        # A comma after a single one would mean a tuple.
        return block("Literal[", values, "]") if len(values) > 1 else f"Literal[{values[0]}]"
    return _TYPES[part["type"]]


def _optional(kind: str) -> str:
    return f"{kind} | None" if "\n" not in kind else f"(\n{indented(kind)}\n{indented('| None')}\n)"


def _list_of(kind: str) -> str:
    return f"list[{kind}]" if "\n" not in kind else f"list[\n{indented(kind)}\n]"


def _value(mesh: Mesh, part: Mapping[str, Any], value: Any) -> str:
    if isinstance(value, dict) and target(part):
        members = cast("dict[str, Any]", mesh.schemas[target(part)]["properties"])
        told = cast("dict[str, Any]", value)
        given = {name: _value(mesh, members[name], one) for name, one in told.items() if name in members}
        return constructed(mesh, target(part), given)
    if isinstance(value, list):
        return (
            block("[", [_value(mesh, part["items"], one) for one in cast("list[Any]", value)], "]") if value else "[]"
        )
    return literal(_as_declared(part, value))


def _topic(mesh: Mesh, topic: Topic) -> str:
    readers = groups(mesh, topic)
    arguments = {
        "name": quoted(topic.name),
        "payload": topic.schema,
        "key": quoted(topic.key),
        "partitions": str(topic.partitions),
    }
    if readers:
        arguments["groups"] = block("[", [quoted(one) for one in readers], "]")
    return call(f"{topic.constant} = Topic", arguments)

"""Checks how the parts of a mesh go together: keys, circles, doors, and what a reasoner must decide on."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from backend.cli.kit.draft import fits
from backend.cli.kit.examples import example, weights
from backend.cli.kit.mesh import DECIDED_BY, SPEC_CHANGED, Agent, Kind, Mesh, Topic
from backend.cli.kit.reading import Findings, shown
from backend.cli.kit.schemas import first_circle

_LONGEST_ID = 64
_MOST_DEPTH, _MOST_VALUES = 24, 10_000


def check_wiring(mesh: Mesh, findings: Findings) -> None:
    """Check a mesh whose parts are good by themselves."""
    _same_names(mesh, findings)
    _keys(mesh, findings)
    _sizes(mesh, findings)
    if findings.found:
        return
    for name, schema in mesh.schemas.items():
        if not fits(example(mesh, name), schema, mesh.schemas):
            findings.add(("schemas", name), f"No example of {name} can be made up.",
                         "Add `examples: [...]` to the properties with narrow limits.")  # fmt: skip
    if findings.found:
        return
    _circles(mesh, findings)
    paths = Counter(agent.path for agent in mesh.of_kind(Kind.PRODUCER))
    for agent in mesh.agents.values() if _is_heard(mesh, findings) else ():
        if agent.kind is Kind.PRODUCER:
            _producer(mesh, agent, paths, findings)
        if agent.kind is Kind.REASONER:
            check_reasoner(mesh, agent, findings)
    if len(mesh.of_kind(Kind.DISCOVERY)) > 1:
        findings.add(("agents", mesh.of_kind(Kind.DISCOVERY)[1].name), "There is a second discovery agent.",
                     "Keep one: both would tell the same.")  # fmt: skip


def _sizes(mesh: Mesh, findings: Findings) -> None:
    for name, (depth, values) in weights(mesh).items():
        if depth > _MOST_DEPTH:
            findings.add(("schemas", name), f"Its references lead more than {_MOST_DEPTH} schemas deep.",
                         "Refer by an id instead at one of these places.")  # fmt: skip
        if values > _MOST_VALUES:
            findings.add(("schemas", name), f"Whole, it has more than {_MOST_VALUES} values at the least.",
                         "Refer by an id instead of by `$ref`, or lower `minItems`.")  # fmt: skip


def _keys(mesh: Mesh, findings: Findings) -> None:
    for topic in mesh.topics.values():
        kind = _properties(mesh, topic.schema).get(topic.key, {}).get("type")
        if kind != "string" or topic.key not in _required(mesh, topic.schema):
            findings.add(("topics", topic.name, "key"), f"The key {shown(topic.key)} is no required text of "
                         f"{topic.schema}.", "Name a property of type string that `required` lists.")  # fmt: skip


def check_reasoner(mesh: Mesh, agent: Agent, findings: Findings) -> None:
    """Check that what a reasoner publishes says who decided, and that its fallback is such a decision."""
    path = ("agents", agent.name)
    topic = mesh.topics[agent.publishes[0]]
    told = _properties(mesh, topic.schema).get(DECIDED_BY, {})
    if told.get("enum") != ["model", "rule"] or DECIDED_BY not in _required(mesh, topic.schema):
        findings.add((*path, "publishes"), f"{topic.schema} does not say whether the model or the rule decided.",
                     f"Add the required property `{DECIDED_BY}: {{type: string, enum: [model, rule]}}`.")  # fmt: skip
    for name in agent.consumes:
        source = mesh.topics[name]
        if source.key != topic.key:
            findings.add((*path, "consumes"), f"{name!r} has the key {source.key!r}, {topic.name!r} {topic.key!r}.",
                         "Give both the same key: a decision bears that of its event.")  # fmt: skip
    if len(agent.consumes) != 1:
        findings.add((*path, "consumes"), "A reasoner consumes exactly one topic.", "Make a reasoner for each.")
    if not agent.instructions:
        findings.add(path, f"Nothing tells the model of {agent.name!r} what to do.",
                     f"Add `instructions`, or a section `## {agent.name}` below the front matter.")  # fmt: skip
    _fallback(mesh, agent, topic, findings)


def _fallback(mesh: Mesh, agent: Agent, topic: Topic, findings: Findings) -> None:
    path = ("agents", agent.name, "fallback")
    known, fixed = _properties(mesh, topic.schema), {topic.key, DECIDED_BY}
    for name in _required(mesh, topic.schema) - agent.fallback.keys() - fixed:
        findings.add(path, f"The fallback does not say {name!r}.", f"Add `{name}` to it.")
    for name, value in agent.fallback.items():
        if name in fixed or name not in known:
            cause = "is filled in by itself" if name in fixed else f"is no property of {topic.schema}"
            findings.add((*path, name), f"{shown(name)} {cause}.", "Remove it.")
        elif not fits(value, known[name], mesh.schemas):
            findings.add((*path, name), f"{shown(value)} does not fit the schema of {name!r}.", "Correct it.")


def _producer(mesh: Mesh, agent: Agent, paths: Mapping[str, int], findings: Findings) -> None:
    if paths[agent.path] > 1:
        findings.add(("agents", agent.name, "path"), f"Another producer has the path {agent.path!r}.", "Change one.")
    topic = mesh.topics[agent.publishes[0]]
    key = _properties(mesh, topic.schema)[topic.key]
    if key.keys() & {"enum", "pattern"} or key.get("maxLength", _LONGEST_ID) < _LONGEST_ID or key.get(
        "minLength", 0) > 1:  # fmt: skip
        findings.add(("schemas", topic.schema, "properties", topic.key),
                     f"Ids of the door, 36 characters, may not fit {topic.key!r}.",
                     f"Leave enum, pattern and minLength out; let maxLength be {_LONGEST_ID} or more.")  # fmt: skip


def _same_names(mesh: Mesh, findings: Findings) -> None:
    for name in mesh.agents:
        if f"run_{name}" in mesh.agents:
            findings.add(("agents", f"run_{name}"), f"Its name in Python is taken by the function that runs {name!r}.",
                         "Rename it.")  # fmt: skip
    seen: dict[str, str] = {}
    for topic in mesh.topics.values():
        if topic.constant in {*mesh.schemas, "TOPICS"}:
            findings.add(("topics", topic.name), f"Its name in Python, {topic.constant}, is taken.", "Rename it.")
        other = seen.setdefault(topic.constant, topic.name)
        if other != topic.name:
            findings.add(("topics", topic.name), f"The topics {other!r} and {topic.name!r} would have one name in "
                         "Python and in Kafka's metrics.", "Rename one.")  # fmt: skip


def _circles(mesh: Mesh, findings: Findings) -> None:
    ahead = {agent.name: [one.name for topic in agent.publishes for one in mesh.listeners(topic)]
             for agent in mesh.agents.values()}  # fmt: skip
    circle = first_circle(ahead)
    if circle:
        findings.add(("agents", circle[0]), f"Events would go round for ever: {' -> '.join(circle)}.",
                     "Let one of them publish a topic that none of the others consumes.")  # fmt: skip


def _is_heard(mesh: Mesh, findings: Findings) -> bool:
    # Any other topic may be written by somebody outside the mesh.
    for agent in mesh.agents.values():
        if SPEC_CHANGED in agent.consumes and not mesh.of_kind(Kind.DISCOVERY):
            findings.add(("agents", agent.name, "consumes"), f"Nobody publishes {SPEC_CHANGED!r}.",
                         "Add an agent of the kind discovery.")  # fmt: skip
            return False
    return True


def _properties(mesh: Mesh, schema: str) -> dict[str, Any]:
    return cast("dict[str, Any]", mesh.schemas[schema].get("properties", {}))


def _required(mesh: Mesh, schema: str) -> set[str]:
    return set(mesh.schemas[schema].get("required", []))

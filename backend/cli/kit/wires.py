"""Writes what joins a mesh's topics with the code of its agents."""

from backend.cli.kit.emitting import block, call, docstring, indented, quoted, words
from backend.cli.kit.mesh import DECIDED_BY, SPEC_CHANGED, Agent, Kind, Mesh


def imports_of(mesh: Mesh) -> str:
    """Return the imports of the module of the wiring."""
    own = sorted(agent.name for agent in mesh.of_kind(Kind.REASONER, Kind.WORKER))
    kinds = {agent.kind for agent in mesh.agents.values()}
    lines: list[str] = []
    if Kind.REASONER in kinds:
        lines += ["from pathlib import Path", ""]
    lines.append("from . import contracts")
    if own:
        lines.append(block("from .agents import (", own, ")"))
    consumers = [name for name, wanted in (("Consumer", {Kind.REASONER, Kind.WORKER}), ("on", {Kind.WORKER}))
                 if kinds & wanted]  # fmt: skip
    lines.append("from .runtime.bus import Bus")
    lines.append("from .runtime.command import Work")
    if consumers:
        lines.append(f"from .runtime.consumer import {', '.join(consumers)}")
    if Kind.DISCOVERY in kinds:
        lines.append("from .runtime.discovery import Discovery")
    lines.append("from .runtime.door import Door")
    if Kind.REASONER in kinds:
        lines.append("from .runtime.model import Model, Reasoner")
    lines.append("from .runtime.settings import Settings")
    return "\n".join(lines)


def door_of(mesh: Mesh) -> str:
    """Return the list of doors."""
    made = [_door(mesh, agent) for agent in mesh.of_kind(Kind.PRODUCER)]
    return f"DOORS: list[Door] = {block('[', made, ']') if made else '[]'}"


def _door(mesh: Mesh, agent: Agent) -> str:
    arguments = {
        "agent": quoted(agent.name),
        "path": quoted(agent.path),
        "topic": _constant(mesh, agent.publishes[0]),
        "story": block("[", [_constant(mesh, name) for name in mesh.story(agent)], "]"),
        "final": block("[", [quoted(name) for name in mesh.final(agent)], "]"),
    }
    return call("Door", arguments)


def runs_of(mesh: Mesh) -> str:
    """Return a function for each agent that is a process of its own, and the table of them."""
    functions: list[str] = []
    table: list[str] = []
    for agent in mesh.agents.values():
        body = _body(mesh, agent)
        if body:
            told = docstring(agent.description, f"Run {agent.name} until it is cancelled.")
            head = f"async def run_{agent.name}(settings: Settings, bus: Bus) -> None:"
            functions.append(f"{head}\n{indented(told)}\n{indented(body)}")
            table.append(f"{quoted(agent.name)}: run_{agent.name}")
    agents = f"AGENTS: dict[str, Work] = {block('{', table, '}') if table else '{}'}"
    return "\n\n\n".join([*functions, agents])


def worker_code(mesh: Mesh, agent: Agent) -> str:
    """Return the file of a worker, which belongs to the person once it is written."""
    topics = [mesh.topics[name] for name in agent.consumes]
    schemas = "".join(f"    {name},\n" for name in sorted({topic.schema for topic in topics}))
    lines = [
        docstring(agent.description, f"What {agent.name} does. This file is yours: it is written once."),
        "",
        "from collections.abc import Sequence",
        "",
        f"from ..contracts import (\n{schemas})",
        "from ..runtime.events import Message",
    ]
    publishes = ", ".join(agent.publishes)
    hint = f"    # Return for instance [contracts.{_name(mesh, agent.publishes[0])}.message(...)]." if publishes else ""
    for topic in topics:
        lines += [
            "",
            "",
            f"async def on_{topic.constant.lower()}(payload: {topic.schema}) -> Sequence[Message]:",
            f'    """Handle {words(topic.name)}; called again for the same event after a crash."""',
            *([hint] if hint else []),
            "    return []",
        ]
    return "\n".join(lines) + "\n"


def compose_services(mesh: Mesh) -> str:
    """Return the services of Docker Compose for the mesh's own processes."""
    services = [_COMPOSED_DOOR] if mesh.of_kind(Kind.PRODUCER) else []
    for agent in mesh.agents.values():
        if agent.kind is not Kind.PRODUCER:
            service = f'  {agent.name}:\n    <<: *mesh\n    command: ["run", "{agent.name}"]\n'
            if agent.kind is Kind.DISCOVERY:
                # The document of the image never changes, and what it has told is to outlive the container.
                service += f"    volumes: [{_volume(agent)}:/app/data, ./asyncapi:/app/asyncapi:ro]\n"
            services.append(service)
    return "\n".join(services)


def compose_volumes(mesh: Mesh) -> str:
    """Return the volumes of Docker Compose for the mesh's own processes."""
    doors = ["door"] if mesh.of_kind(Kind.PRODUCER) else []
    return "\n".join(f"  {name}:" for name in [*doors, *map(_volume, mesh.of_kind(Kind.DISCOVERY))])


_COMPOSED_DOOR = """\
  api:
    <<: *mesh
    command: ["api"]
    # Reached from this machine alone: the door asks nobody who he is.
    ports: ["127.0.0.1:${PORT:-8080}:8080"]
    environment: {<<: *environment, HOST: 0.0.0.0, PORT: 8080}
    volumes: [door:/app/data]
    healthcheck:
      test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/ready', timeout=5)"]
      interval: 10s
      timeout: 10s
      retries: 6
      start_period: 20s
"""


def _volume(agent: Agent) -> str:
    # No agent has a hyphen in its name, so that no other volume is called so.
    return f"{agent.name}-data"


def _body(mesh: Mesh, agent: Agent) -> str:
    if agent.kind is Kind.DISCOVERY:
        return f"await Discovery(settings, bus, {quoted(agent.name)}, {_constant(mesh, SPEC_CHANGED)}).run()"
    if agent.kind is Kind.WORKER:
        topics = [mesh.topics[name] for name in agent.consumes]
        entries = [
            f"{_constant(mesh, topic.name)}.name: "
            + block("on(", [_constant(mesh, topic.name), f"{agent.name}.on_{topic.constant.lower()}"], ")")
            for topic in topics
        ]
        handlers = f"handlers = {block('{', entries, '}')}"
        return f"{handlers}\nawait Consumer(settings, bus, {quoted(agent.name)}, handlers).run()"
    if agent.kind is Kind.REASONER:
        source, made = _constant(mesh, agent.consumes[0]), _constant(mesh, agent.publishes[0])
        reasoner = call(
            "reasoner = Reasoner",
            {
                "model": "model",
                "instructions": "told",
                "source": source,
                "target": made,
                "rule": f"{agent.name}.rule",
                "decided_by": quoted(DECIDED_BY),
            },
        )
        return "\n".join([
            f"told = (Path(__file__).parent / {quoted(f'agents/{agent.name}.md')}).read_text()",
            "model = Model(settings)",
            reasoner,
            "handlers = {",
            f"    {source}.name: (",
            f"        {source},",
            "        reasoner.handle,",
            "    ),",
            "}",
            "try:",
            f"    await Consumer(settings, bus, {quoted(agent.name)}, handlers).run()",
            "finally:",
            "    await model.close()",
        ])  # fmt: skip
    return ""


def _constant(mesh: Mesh, topic: str) -> str:
    return f"contracts.{_name(mesh, topic)}"


def _name(mesh: Mesh, topic: str) -> str:
    return mesh.topics[topic].constant

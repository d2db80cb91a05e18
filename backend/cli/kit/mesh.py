"""A mesh as a spec describes it, checked: what everything is generated from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What an agent is."""

    PRODUCER = "producer"
    """A door: what is posted to its path becomes an event."""
    REASONER = "reasoner"
    """Lets a model decide on each event; a rule decides when the model cannot."""
    WORKER = "worker"
    """Code of one's own."""
    DISCOVERY = "discovery"
    """Watches the AsyncAPI document and emits `spec.changed`."""


SPEC_CHANGED = "spec.changed"
DECIDED_BY = "decided_by"
DEAD = "dead."


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, which carries events of one type: that of its name."""

    name: str
    schema: str
    key: str
    description: str = ""
    partitions: int = 6

    @property
    def constant(self) -> str:
        """Its name in Python."""
        return self.name.upper().replace(".", "_").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent.

    Attributes:
        instructions: what a reasoner's model is told.
        fallback: the values that a reasoner's rule gives at first.
    """

    name: str
    kind: Kind
    description: str = ""
    path: str = ""
    consumes: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    instructions: str = ""
    fallback: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def dead(self) -> str:
        """The topic of the events that it gave up."""
        return f"{DEAD}{self.name}"


@dataclass(frozen=True, slots=True)
class Mesh:
    """The whole; the parts in the order of the spec."""

    name: str
    version: str
    description: str
    topics: Mapping[str, Topic]
    agents: Mapping[str, Agent]
    schemas: Mapping[str, Mapping[str, Any]]

    @property
    def package(self) -> str:
        """Its name as a Python package."""
        return self.name.replace("-", "_")

    def of_kind(self, *kinds: Kind) -> list[Agent]:
        """Return the agents of some kinds."""
        return [agent for agent in self.agents.values() if agent.kind in kinds]

    def listeners(self, topic: str) -> list[Agent]:
        """Return the agents that consume a topic."""
        return [agent for agent in self.agents.values() if topic in agent.consumes]

    def downstream(self, agent: Agent) -> Iterator[str]:
        """Yield the topics that an agent's events lead to, its own first, each once."""
        seen: dict[str, None] = {}
        ahead = list(agent.publishes)
        while ahead:
            topic = ahead.pop(0)
            if topic not in seen:
                seen[topic] = None
                ahead += [further for one in self.listeners(topic) for further in one.publishes]
        yield from seen

    def story(self, producer: Agent) -> list[str]:
        """Return the topics that tell what became of what was posted: those downstream with the same key."""
        key = self.topics[producer.publishes[0]].key
        return [name for name in self.downstream(producer) if self.topics[name].key == key]

    def decided(self, producer: Agent) -> list[str]:
        """Return the topics of its story that are reached without any code of a person."""
        reached = list(producer.publishes)
        for name in reached:
            for agent in self.listeners(name):
                reached += [topic for topic in agent.publishes if agent.kind is Kind.REASONER]
        return reached

    def final(self, producer: Agent) -> list[str]:
        """Return the topics of its story after which none of the story comes."""
        story = self.story(producer)
        return [name for name in story if not any(
            further in story for agent in self.listeners(name) for further in agent.publishes)]  # fmt: skip

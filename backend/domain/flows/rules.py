"""Pure decisions of the engine: keys, paths, waits and the graph's shape."""

import hashlib
import random
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from backend.domain.flows.errors import GraphInvalid
from backend.foundation.kernel.errors import Invalid

_RUN = re.compile(r"run_[0-9a-z]{1,36}")

OPEN = ("QUEUED", "RUNNING", "WAITING")
"""The statuses of a run that is not finished."""

MAX_CLAIMS = 5
"""Claims without a new step after which a run is a crash loop."""


class RunsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which of an agent's runs to list; empty filters let all pass.

    Attributes:
        thread, statuses: of the runs.
        since_ms: when they came to their status at the earliest.
        after: `RunsPage.next` of the page before.
        most: how many, 1 to 100.
        inputs, outputs: whether these texts are wanted. A page of more than a million characters is cut short.
    """

    agent: str
    thread: str = ""
    statuses: tuple[str, ...] = ()
    since_ms: int | None = None
    after: str = ""
    most: int = 50
    inputs: bool = True
    outputs: bool = True


class Place(NamedTuple):
    """A run's place in a list: when it came to its status, and its id."""

    at_ms: int
    run: str

    def __str__(self) -> str:
        return f"{self.at_ms}.{self.run}"


def parse_place(text: str) -> Place:
    """Return the place that `str` wrote; raise `Invalid` for another text."""
    at_ms, _, run = text.partition(".")
    if not (at_ms.isascii() and at_ms.isdecimal() and len(at_ms) <= 15 and _RUN.fullmatch(run)):
        raise Invalid("The place in the list cannot be read.", hint="Use it as it came.", field="after")
    return Place(int(at_ms), run)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node of a graph: its type's stable id, the schema version of its config, and the config."""

    id: str
    type: str
    version: int = 1
    config: dict[str, Any] = {}


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """An edge from a node's output to another's input."""

    source: str
    target: str


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent runs. The engine runs chains; each node's tool loop is inside it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def chain(graph: Graph) -> tuple[Node, ...]:
    """Return the nodes in the order of their edges; raise `GraphInvalid` for anything but one chain."""
    by_id = {node.id: node for node in graph.nodes}
    following = _following(graph, by_id)
    starts = set(by_id) - set(following.values())
    if len(starts) != 1:
        raise GraphInvalid(f"The flow has {len(starts)} first nodes.", hint="Connect the nodes to one chain.")
    order: list[Node] = []
    current: str | None = starts.pop()
    while current is not None:
        order.append(by_id[current])
        current = following.get(current)
    if len(order) != len(by_id):
        missing = sorted(set(by_id) - {node.id for node in order})
        raise GraphInvalid(f"Node {missing[0]!r} is not reached.", hint="Connect it, or delete it.")
    return tuple(order)


def _following(graph: Graph, by_id: Mapping[str, Node]) -> dict[str, str]:
    following: dict[str, str] = {}
    targets: set[str] = set()
    for edge in graph.edges:
        for end in (edge.source, edge.target):
            if end not in by_id:
                raise GraphInvalid(f"An edge names {end!r}, which is no node.", hint="Delete the edge.")
        if edge.source in following or edge.target in targets:
            raise GraphInvalid(f"Node {edge.source!r} has a branch.", hint="Connect the nodes to one chain.")
        following[edge.source] = edge.target
        targets.add(edge.target)
    return following


def effect_key(run: str, path: str) -> str:
    """Return the key under which an effect is the same effect in every attempt: 32 hex digits of a hash."""
    return hashlib.blake2b(f"{run}\x00{path}".encode(), digest_size=16).hexdigest()


def retry_wait_ms(attempt: int, *, asked_s: float | None, roll: float | None = None) -> int:
    """Return the wait before the next attempt: what the provider asked for, else 0.5 s doubled, with full jitter.

    Args:
        attempt: the attempt that failed, from 1.
        asked_s: seconds of a ``Retry-After``, honoured to at most 60 s.
        roll: the random number of the jitter, in [0, 1); drawn when absent.
    """
    if asked_s is not None:
        return int(min(max(asked_s, 0.1), 60.0) * 1000)
    ceiling = min(500 * 2 ** (attempt - 1), 30_000)
    return int(ceiling * (0.5 + 0.5 * (random.random() if roll is None else roll)))  # noqa: S311 - jitter, no secret

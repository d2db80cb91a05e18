"""Pure decisions of agents, and the starter agent that each tenant begins with."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Row

from backend.domain.agents.errors import InputInvalid
from backend.domain.directory.rules.cards import AgentFacts, Skill
from backend.domain.flows.rules import Edge, Graph, Node

MAX_INPUT = 200_000
MAX_THREAD = 80
MAX_SUBJECT = 80

_SYSTEM = """\
You are Concierge, the first agent of this AutoWeave workspace. Answer briefly and plainly.
Use your tools for counting text, for arithmetic and for looking into JSON instead of working it out yourself.
When a tool reports an error, say what it said and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What a starter agent is made of."""

    slug: str
    name: str
    description: str
    tools: tuple[str, ...]
    prompts: tuple[str, ...]
    system: str


CONCIERGE = Starter(
    slug="concierge",
    name="Concierge",
    description="I count words, do exact sums and look into JSON, each with a tool that runs in a sandbox.",
    tools=("dev.autoweave.text-stats", "dev.autoweave.calculator", "dev.autoweave.json-query"),
    prompts=(
        "How many words are in 'The quick brown fox jumps over the lazy dog'?",
        "What is 17% of 2,431?",
        'Which keys has this JSON? {"name": "Ada", "born": 1815, "fields": ["mathematics"]}',
    ),
    system=_SYSTEM,
)


def starter_graph(starter: Starter) -> Graph:
    """Return the chain input, prompt, model with tools, output."""
    nodes = (
        Node(id="input", type="input"),
        Node(id="prompt", type="prompt", config={"system": starter.system, "history": 20}),
        Node(id="llm", type="llm", config={"tools": list(starter.tools)}),
        Node(id="output", type="output"),
    )
    edges = tuple(Edge(source=left.id, target=right.id) for left, right in pairwise(nodes))
    return Graph(nodes=nodes, edges=edges)


def facts_of(row: Row[Any], tools: Mapping[str, tuple[str, str]]) -> AgentFacts:
    """Return what an agent's card is made of: it answers messages, and each of its tools is a skill.

    Args:
        row: the agent's.
        tools: name and description by id; a tool that is not there is no skill.
    """
    answers = Skill(id="ask", name=f"Ask {row.name}", description=row.description, tags=("chat",), examples=row.prompts)
    uses = (
        Skill(id=tool, name=name, description=description, tags=("tool",))
        for tool in row.tools
        for name, description in (tools.get(tool, ("", "")),)
        if name
    )
    return AgentFacts(
        tenant=row.tenant, agent=row.id, name=row.name, description=row.description, version=row.snapshot,
        status=row.status, skills=(answers, *uses),
    )  # fmt: skip


def checked_input(text: str, thread: str) -> str:
    """Return the input; raise `InputInvalid` for an empty or too long one, or a thread that is no name."""
    text = text.replace("\x00", "")
    if not text.strip():
        raise InputInvalid("The input is empty.", field="input")
    if len(text) > MAX_INPUT:
        raise InputInvalid(f"The input has {len(text):,} of at most {MAX_INPUT:,} characters.", field="input")
    if len(thread) > MAX_THREAD or not thread.isprintable():
        raise InputInvalid(f"A thread is a name of at most {MAX_THREAD} printable characters.", field="thread")
    return text


def key_trigger(subject: str, idempotency_key: str) -> str:
    """Return the trigger of an idempotency key: one for each caller and key, of fixed length."""
    digest = hashlib.blake2b(f"{subject}\x00{idempotency_key}".encode(), digest_size=20).hexdigest()
    return f"key_{digest}"

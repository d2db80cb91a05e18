"""What a card says: the A2A 1.0 agent card of an agent, and what it is in the mesh as an extension of ours."""

from dataclasses import dataclass
from typing import Any

import msgspec

from backend.domain.directory.rules.keys import TenantKey
from backend.foundation.events.types import CATALOGUE, EventType

MESH = "https://autoweave.dev/a2a/mesh/v1"
"""The URI of the extension that carries tenant, sequence, status, topics and schemas."""

A2A_VERSION = "1.0"
VALID_S = 7 * 24 * 3_600
"""Seconds for which a card is believed; it is signed again long before."""

MOST_BYTES = 64 * 1024
MOST_SKILLS = 100
_LONGEST = 2_000
_MOST_EXAMPLES = 10
_ABOUT_AGENTS = frozenset({"agents", "directory", "flows"})
_NEEDED = ["agents:read", "agents:run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One thing that an agent can do, in words for people and models."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What an agent is at the moment: all that its card is made of, but for when."""

    tenant: str
    agent: str
    name: str
    description: str
    version: str
    status: str
    skills: tuple[Skill, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a card says beyond the agent itself; times are milliseconds since 1970.

    Attributes:
        sequence: grows with each change.
        since_ms: since when the agent has its status.
        public: whether the card is shown to anybody who asks.
    """

    sequence: int
    since_ms: int
    public: bool


class Mesh(msgspec.Struct, kw_only=True, rename="camel"):
    """The parameters of our extension, as they are read."""

    tenant: str
    agent: str
    sequence: int
    valid_seconds: int
    status: str
    since: int
    public: bool
    consumes: list[dict[str, str]] = []
    produces: list[dict[str, str]] = []


def card_of(facts: AgentFacts, standing: Standing, base: str) -> dict[str, Any]:
    """Return the unsigned card; ``base`` is the installation's address without a slash at its end."""
    return _filled({
        "name": _plain(facts.name) or facts.agent,
        "description": _plain(facts.description) or _plain(facts.name) or facts.agent,
        "version": facts.version,
        "supportedInterfaces": [
            {"url": f"{base}/a2a/{facts.agent}", "protocolBinding": "JSONRPC", "protocolVersion": A2A_VERSION}
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "extendedAgentCard": False,
            "extensions": [
                {"uri": MESH, "description": "What the agent is in its mesh.", "params": _mesh(facts, standing, base)}
            ],
        },
        "securitySchemes": {
            "key": {"httpAuthSecurityScheme": {"scheme": "Bearer", "description": "An API key of the agent's tenant."}}
        },
        "securityRequirements": [{"schemes": {"key": {"list": _NEEDED}}}],
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [_skill(skill) for skill in facts.skills[:MOST_SKILLS]],
    })  # fmt: skip


def sign_card(card: dict[str, Any], key: TenantKey) -> dict[str, Any]:
    """Return the card with the signature of a tenant's key."""
    protected, signature = key.sign(unsigned(card))
    return card | {"signatures": [{"protected": protected, "signature": signature}]}


def unsigned(card: dict[str, Any]) -> dict[str, Any]:
    """Return what a signature covers, as A2A says: all but the signatures, and nothing that is empty."""
    return _filled({name: value for name, value in card.items() if name != "signatures"})


def withdrawal(tenant: str, agent: str, sequence: int) -> dict[str, Any]:
    """Return what the proof of a withdrawal says."""
    return {"agent": agent, "sequence": sequence, "tenant": tenant, "withdrawn": True}


def mesh_of(card: dict[str, Any]) -> Mesh:
    """Return what a card says in our extension; raise ``ValueError`` where it has none, or a wrong one."""
    try:
        extensions = card["capabilities"]["extensions"]
        [found] = [each for each in extensions if each["uri"] == MESH]
        return msgspec.convert(found["params"], Mesh)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise ValueError("The card has no usable extension of ours.") from error


def _mesh(facts: AgentFacts, standing: Standing, base: str) -> dict[str, Any]:
    entries = [entry for _, entry in sorted(CATALOGUE.items()) if "agent" in entry.data.__struct_fields__]
    return {
        "tenant": facts.tenant,
        "agent": facts.agent,
        "sequence": standing.sequence,
        "validSeconds": VALID_S,
        "status": facts.status,
        "since": standing.since_ms,
        "public": standing.public,
        "consumes": [_flow(entry, base) for entry in entries if _ABOUT_AGENTS & {*entry.handled_by}],
        "produces": [_flow(entry, base) for entry in entries if _ABOUT_AGENTS & {*entry.published_by}],
    }


def _flow(entry: EventType, base: str) -> dict[str, str]:
    schema = f"{base}/asyncapi.yaml#/components/messages/{entry.name}"
    return {"topic": entry.topic, "type": entry.name, "schema": schema}


def _skill(skill: Skill) -> dict[str, Any]:
    return {
        "id": skill.id,
        "name": _plain(skill.name) or skill.id,
        "description": _plain(skill.description) or skill.id,
        "tags": list(skill.tags),
        "examples": [_plain(example) for example in skill.examples[:_MOST_EXAMPLES]],
    }


def _plain(text: str) -> str:
    """Return text of a bounded length that JSON, and whoever prints it, can take."""
    short = text[:_LONGEST].encode("utf-8", "replace").decode()
    return "".join(one if one.isprintable() or one == "\n" else " " for one in short).strip()


def _filled(value: Any) -> Any:
    """Leave out what is empty: A2A signs cards without it, so that absent and empty are the same."""
    if isinstance(value, dict):
        found = {name: filled for name, each in value.items() if (filled := _filled(each)) is not None}  # pyright: ignore[reportUnknownVariableType]
        return found or None  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        items = [filled for each in value if (filled := _filled(each)) is not None]  # pyright: ignore[reportUnknownVariableType]
        return items or None
    return None if value == "" else value

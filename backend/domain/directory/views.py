"""What pages and doors read of agents' cards."""

from dataclasses import dataclass
from typing import Literal

Liveness = Literal["alive", "stopped", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillView:
    """One thing that an agent can do."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """A type of event that an agent takes or tells, the topic it travels on, and where its schema is."""

    topic: str
    type: str
    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """A card that is believed, and whether the agent lives; times are milliseconds since 1970.

    Attributes:
        status: ``alive`` (it runs, and a worker serves it), ``stopped`` (on purpose), or
            ``dead`` (it should run, but no worker serves it).
        since_ms: since when, 0 where nobody knows.
        url: where it speaks A2A.
        public: whether anybody may read the card.
        kid: the key that signed it.
        sequence: when it last changed.
        valid_until_ms: until when it is believed.
        card: the whole card as JSON text, with its signature.
    """

    agent: str
    name: str
    description: str
    version: str
    status: Liveness
    since_ms: int
    skills: tuple[SkillView, ...]
    consumes: tuple[FlowView, ...]
    produces: tuple[FlowView, ...]
    url: str
    public: bool
    kid: str
    sequence: int
    valid_until_ms: int
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryView:
    """The agents of a tenant by name; ``refused`` counts stored cards that are not believed."""

    agents: tuple[CardView, ...]
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysView:
    """The public keys of a tenant as a JSON Web Key Set, as JSON text."""

    jwks: bytes

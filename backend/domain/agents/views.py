"""What pages and doors read of agents."""

from dataclasses import dataclass

from backend.foundation.kernel.ids import AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """An agent; ``prompts`` are questions that an empty chat offers, ``tools`` the ids of what it may call."""

    id: AgentId
    slug: str
    name: str
    description: str
    status: str
    model: str
    tools: tuple[str, ...]
    prompts: tuple[str, ...]
    created_ms: int

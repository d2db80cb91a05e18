"""The table of agents."""

from typing import Any

from sqlalchemy import BigInteger, Column, Text, UniqueConstraint
from sqlmodel import Field

from backend.foundation.kernel.tables import Json, TenantRow


class AgentRow(TenantRow, table=True):
    """An agent; ``snapshot`` points to the graph that is deployed. An archived one is there for its chats alone."""

    __tablename__ = "agents_agent"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("tenant", "slug"),)

    id: str = Field(primary_key=True, max_length=40)
    slug: str = Field(max_length=80)
    name: str = Field(max_length=200)
    description: str = Field(sa_type=Text)
    status: str = Field(max_length=16)
    reason: str = Field(default="", sa_type=Text)
    model: str = Field(default="", max_length=200)
    tools: list[Any] = Field(sa_column=Column(Json, nullable=False))
    prompts: list[Any] = Field(sa_column=Column(Json, nullable=False))
    limits: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    snapshot: str = Field(max_length=40)
    created_ms: int = Field(sa_type=BigInteger)
    updated_ms: int = Field(sa_type=BigInteger)
    archived_ms: int = Field(default=0, sa_type=BigInteger)

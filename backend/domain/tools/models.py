"""The tables of installed tools and their code."""

from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, String, Text, UniqueConstraint
from sqlmodel import Field

from backend.foundation.kernel.tables import Json, TenantRow


class ToolRow(TenantRow, table=True):
    """An installed tool. ``sha256`` points to its code; ``call_name`` is the id as models write it."""

    __tablename__ = "tools_tool"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("tenant", "call_name"),)

    tenant: str = Field(sa_type=String(40), primary_key=True)
    id: str = Field(primary_key=True, max_length=120)
    call_name: str = Field(max_length=64)
    version: str = Field(max_length=40)
    name: str = Field(max_length=80)
    description: str = Field(sa_type=Text)
    input_schema: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    output_schema: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    security: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    sha256: str = Field(max_length=64)
    installed_ms: int = Field(sa_type=BigInteger)


class CodeRow(TenantRow, table=True):
    """A module's bytes under their own SHA-256: never changed, only added."""

    __tablename__ = "tools_code"  # pyright: ignore[reportAssignmentType]

    tenant: str = Field(sa_type=String(40), primary_key=True)
    sha256: str = Field(primary_key=True, max_length=64)
    code: bytes = Field(sa_type=LargeBinary)

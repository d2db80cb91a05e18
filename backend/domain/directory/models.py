"""The table of cards."""

from sqlalchemy import BigInteger, Index, String, Text
from sqlmodel import Field

from backend.foundation.kernel.tables import TenantRow


class CardRow(TenantRow, table=True):
    """The latest card of an agent, as it was announced, or that it was withdrawn (an empty ``card``).

    ``content`` is the digest of what it was made of, ``kid`` the key that signed it, ``since_ms`` since when the agent
    has its ``status``.
    """

    __tablename__ = "directory_card"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_directory_card_tenant", "tenant", "agent", "sequence"),)

    agent: str = Field(primary_key=True, sa_type=String(40))
    sequence: int = Field(sa_type=BigInteger)
    status: str = Field(sa_type=String(16))
    since_ms: int = Field(sa_type=BigInteger)
    public: bool
    content: str = Field(sa_type=String(64))
    kid: str = Field(sa_type=String(64))
    card: str = Field(sa_type=Text)

"""Tables of chat: threads and messages."""

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint
from sqlmodel import Field

from backend.foundation.kernel.tables import TenantRow


class ThreadRow(TenantRow, table=True):
    """A conversation of one person with one agent; deleted ones stay until retention removes them."""

    __tablename__ = "chat_thread"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_chat_thread_mine", "tenant", "owner", "updated_ms"),)

    id: str = Field(primary_key=True, max_length=40)
    owner: str = Field(max_length=80)
    agent: str = Field(max_length=80)
    title: str = Field(max_length=200)
    created_ms: int = Field(sa_type=BigInteger)
    updated_ms: int = Field(sa_type=BigInteger)
    deleted_ms: int = Field(default=0, sa_type=BigInteger)


class MessageRow(TenantRow, table=True):
    """A message; ``client_id`` is what makes storing idempotent: the sender and its own id, or a reply's run."""

    __tablename__ = "chat_message"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("tenant", "role", "client_id"),
        Index("ix_chat_message_thread", "thread", "created_ms", "id"),
    )

    id: str = Field(primary_key=True, max_length=40)
    thread: str = Field(max_length=40)
    role: str = Field(max_length=16)
    text: str = Field(sa_type=Text)
    client_id: str = Field(max_length=200)
    trigger: str = Field(default="", max_length=80)
    run: str = Field(default="", max_length=40)
    status: str = Field(default="done", max_length=16)
    error_code: str = Field(default="", max_length=64)
    error_message: str = Field(default="", sa_type=Text)
    error_hint: str = Field(default="", sa_type=Text)
    created_ms: int = Field(sa_type=BigInteger)

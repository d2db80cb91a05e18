"""Tables of identity. Times are milliseconds since 1970 by the database's clock; 0 means never."""

from sqlalchemy import BigInteger, Index, String
from sqlmodel import Field, SQLModel

from backend.foundation.kernel.tables import Json, TenantRow


class TenantRecord(SQLModel, table=True):
    """An isolation unit. Its own id is the tenant of everything in it."""

    __tablename__ = "identity_tenant"  # pyright: ignore[reportAssignmentType]

    id: str = Field(sa_type=String(40), primary_key=True)
    name: str = Field(sa_type=String(100), unique=True)
    created_ms: int = Field(sa_type=BigInteger)


class UserRecord(TenantRow, table=True):
    """A person with a local account; an e-mail (normalised) belongs to one account of the whole installation."""

    __tablename__ = "identity_user"  # pyright: ignore[reportAssignmentType]

    id: str = Field(sa_type=String(40), primary_key=True)
    email: str = Field(sa_type=String(254), unique=True)
    name: str = Field(sa_type=String(100))
    role: str = Field(sa_type=String(20), index=True)
    password_hash: str = Field(sa_type=String(255))
    created_ms: int = Field(sa_type=BigInteger)
    disabled_ms: int = Field(sa_type=BigInteger, default=0)


class SessionRecord(TenantRow, table=True):
    """A signed-in browser; only the SHA-256 of its cookie is stored."""

    __tablename__ = "identity_session"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_identity_session_person", "tenant", "user", "seen_ms"),)

    id: str = Field(sa_type=String(40), primary_key=True)
    user: str = Field(sa_type=String(40))
    token_hash: str = Field(sa_type=String(64), unique=True)
    client: str = Field(sa_type=String(200))
    address: str = Field(sa_type=String(64))
    created_ms: int = Field(sa_type=BigInteger)
    seen_ms: int = Field(sa_type=BigInteger)
    expires_ms: int = Field(sa_type=BigInteger, index=True)
    revoked_ms: int = Field(sa_type=BigInteger, default=0)


class ApiKeyRecord(TenantRow, table=True):
    """An API key; ``user`` is who made it (empty for one made on the command line), its secret only a SHA-256."""

    __tablename__ = "identity_api_key"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_identity_api_key_person", "tenant", "user", "id"),)

    id: str = Field(sa_type=String(40), primary_key=True)
    user: str = Field(sa_type=String(40))
    name: str = Field(sa_type=String(100))
    start: str = Field(sa_type=String(24))
    secret_hash: str = Field(sa_type=String(64))
    scopes: list[str] = Field(sa_type=Json)
    created_ms: int = Field(sa_type=BigInteger)
    used_ms: int = Field(sa_type=BigInteger, default=0)
    expires_ms: int = Field(sa_type=BigInteger, default=0)
    revoked_ms: int = Field(sa_type=BigInteger, default=0)


class SetupRecord(SQLModel, table=True):
    """The one row that setup locks; it holds the hash of the setup link that is good now, or nothing."""

    __tablename__ = "identity_setup_token"  # pyright: ignore[reportAssignmentType]

    id: int = Field(primary_key=True)
    token_hash: str = Field(sa_type=String(64), default="")
    expires_ms: int = Field(sa_type=BigInteger, default=0)


class AttemptRecord(SQLModel, table=True):
    """The sign-ins tried for an e-mail or from an address: the times that are still inside the window."""

    __tablename__ = "identity_attempt"  # pyright: ignore[reportAssignmentType]

    subject: str = Field(sa_type=String(80), primary_key=True)
    times: list[int] = Field(sa_type=Json)
    last_ms: int = Field(sa_type=BigInteger, index=True)

"""Who asks: each verb of each room takes a `Caller` and checks it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from backend.foundation.kernel.errors import Forbidden
from backend.foundation.kernel.ids import TenantId


class Permission(StrEnum):
    """What may be granted. A permission that is not listed here does not exist."""

    CHAT_USE = "chat:use"
    AGENTS_READ = "agents:read"
    AGENTS_RUN = "agents:run"
    AGENTS_MANAGE = "agents:manage"
    AGENTS_PUBLISH = "agents:publish"
    TOOLS_READ = "tools:read"
    TOOLS_RUN = "tools:run"
    EVENTS_PUBLISH = "events:publish"
    BUS_READ = "bus:read"
    BUS_REPAIR = "bus:repair"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    HEALTH_READ = "health:read"
    TRACES_READ = "traces:read"
    AUDIT_READ = "audit:read"
    KEYS_MANAGE = "keys:manage"
    TENANT_ADMIN = "tenant:admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A tenant, a subject in it (user, key or part of the system) and what that subject may do.

    Args:
        tenant: the isolation unit; each query of the call is confined to it.
        subject: a user's, key's or system part's id, as it stands in the audit log.
        permissions: what was granted; nothing is implied.
        kind: how the subject proved who it is.
        session: the session that a user's request came by, so that it can revoke itself.
    """

    tenant: TenantId
    subject: str
    permissions: frozenset[Permission] = field(default_factory=frozenset[Permission])
    kind: Literal["user", "key", "system"] = "user"
    session: str | None = None

    def may(self, permission: Permission) -> bool:
        """Return whether the permission was granted."""
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raise `Forbidden` unless the permission was granted."""
        if permission not in self.permissions:
            raise Forbidden(f"This needs the permission {permission.value!r}.")


def system_caller(tenant: TenantId, part: str) -> Caller:
    """Return the caller of a worker's own work in a tenant; ``part`` names the room for the audit log."""
    return Caller(tenant=tenant, subject=f"system:{part}", permissions=frozenset(Permission), kind="system")

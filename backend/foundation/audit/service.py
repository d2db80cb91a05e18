"""The audit log: written with the action itself, read page by page, never changed."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.foundation.audit.models import AuditEntry
from backend.foundation.audit.repository import newest
from backend.foundation.audit.rules import safe_detail
from backend.foundation.audit.views import AuditView
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.ids import new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.tables import now_ms

_MOST = 200


class Audit:
    """Append-only record of privileged actions; there is no verb that changes or removes an entry."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(self, session: AsyncSession, caller: Caller, action: str, target: str, **detail: Any) -> None:
        """Write an entry in the caller's own unit of work, so that neither exists without the other.

        Args:
            session: the transaction of the action.
            caller: who acts; the entry belongs to this caller's tenant.
            action: ``<room>.<verb in the past tense>``, such as ``identity.key_created``.
            target: the id of what was acted on.
            detail: JSON facts; values whose name sounds like a secret are masked.
        """
        await session.execute(
            insert(AuditEntry).values(
                id=new_id("aud"),
                tenant=caller.tenant,
                at_ms=now_ms(),
                actor=caller.subject,
                actor_kind=caller.kind,
                action=action,
                target=target,
                detail=safe_detail(detail),
            )
        )

    async def entries(
        self, caller: Caller, *, actor: str = "", action: str = "", target: str = "", before: str = "", limit: int = 50
    ) -> list[AuditView]:
        """Return the newest entries of the caller's tenant first, at most 200; needs ``audit:read``.

        Args:
            caller: whose tenant is read.
            actor, action, target: exact filters; empty means any. An action that ends in ``.`` matches its room.
            before: the id of an entry; only older ones are returned.
            limit: 1 to 200.
        """
        caller.require(Permission.AUDIT_READ)
        async with self._db.read(caller.tenant) as session:
            rows = await newest(
                session,
                caller.tenant,
                actor=actor,
                action=action,
                target=target,
                before=before,
                limit=max(1, min(limit, _MOST)),
            )
        return [_view(row) for row in rows]


def _view(row: AuditEntry) -> AuditView:
    return AuditView(
        id=row.id,
        at_ms=row.at_ms,
        actor=row.actor,
        actor_kind=row.actor_kind,
        action=row.action,
        target=row.target,
        detail=row.detail,
    )

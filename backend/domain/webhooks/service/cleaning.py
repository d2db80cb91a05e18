"""Deliveries that have ended are kept for a week, then deleted in small steps; those of deleted webhooks at once."""

import asyncio

from backend.domain.webhooks.repository import deliveries
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ports import Database

_ROWS = 500
_PAUSE_S = 0.05


async def clean(db: Database) -> int:
    """Delete what is past its time or number; return how many deliveries were."""
    async with db.system_read() as session:
        webhooks = await deliveries.all_subscriptions(session)
    deleted = 0
    for webhook, gone in webhooks:
        while ids := await _past(db, webhook):
            async with db.system_write() as session:
                await deliveries.remove(session, ids)
            hit("webhooks.clean.after")
            deleted += len(ids)
            await asyncio.sleep(_PAUSE_S)
        if gone:
            async with db.system_write() as session:
                await deliveries.forget(session, webhook)
    return deleted


async def _past(db: Database, webhook: str) -> list[str]:
    async with db.system_read() as session:
        return await deliveries.past(session, webhook, limit=_ROWS)

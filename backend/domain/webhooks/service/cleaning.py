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
    for webhook in webhooks:
        step = _ROWS
        while step == _ROWS:
            async with db.system_write() as session:
                step = await deliveries.clean(session, webhook, limit=_ROWS)
                await deliveries.forget(session, webhook)
            hit("webhooks.clean.after")
            deleted += step
            await asyncio.sleep(_PAUSE_S)
    return deleted

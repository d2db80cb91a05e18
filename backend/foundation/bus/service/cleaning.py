"""Outbox and inbox rows are kept for a window, then deleted in small steps."""

import asyncio

from backend.foundation.bus import repository
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry.logs import get_logger

log = get_logger("bus")

KEEP_SENT_MS = 3_600_000
KEEP_SENT_ROWS = 500_000
KEEP_SEEN_MS = 6 * 3_600_000

# A machine that was off for long has old rows that still guard against what is read again after its start.
_FIRST_S = 600.0
_EVERY_S = 60.0
_ROWS = 1_000
_PAUSE_S = 0.05


async def clean_forever(db: Database) -> None:
    """Delete what is past its window, once a minute, beginning ten minutes after the start."""
    await asyncio.sleep(_FIRST_S)
    while True:
        try:
            await clean(db, sent_ms=KEEP_SENT_MS, seen_ms=KEEP_SEEN_MS)
        except Unavailable as error:
            log.warning("old rows not deleted", error=error.message)
        await asyncio.sleep(_EVERY_S)


async def clean(db: Database, *, sent_ms: int, seen_ms: int, sent_rows: int = KEEP_SENT_ROWS) -> tuple[int, int]:
    """Delete outbox rows sent, and inbox rows written, longer ago than these ages, and more than so many outbox rows.

    Returns how many of each were deleted.
    """
    sent = seen = 0
    hit("bus.clean.before")
    while True:
        async with db.system_write() as session:
            step = await repository.delete_sent(session, age_ms=sent_ms, keep=sent_rows, limit=_ROWS)
        hit("bus.clean.sent")
        sent += step
        if step < _ROWS:
            break
        await asyncio.sleep(_PAUSE_S)
    while True:
        async with db.system_write() as session:
            step = await repository.delete_seen(session, age_ms=seen_ms, limit=_ROWS)
        hit("bus.clean.seen")
        seen += step
        if step < _ROWS:
            return sent, seen
        await asyncio.sleep(_PAUSE_S)

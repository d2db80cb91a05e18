"""What an attempt means for its delivery and its subscription, recorded in one transaction."""

import time
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.webhooks.repository import claims
from backend.domain.webhooks.rules.retries import GIVE_UP_AFTER_MS, LONGEST_ERROR, Outcome, wait_ms
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import system_caller
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import webhooks_channel
from backend.foundation.live.service import Live
from backend.foundation.telemetry.metrics import WEBHOOK_ATTEMPTS

_GONE = "The receiver answered 410 Gone: it wants nothing more."


class Outcomes:
    """Records attempts, plans the next, and turns subscriptions off that fail for a day."""

    def __init__(self, db: Database, live: Live, audit: Audit) -> None:
        self._db = db
        self._live = live
        self._audit = audit

    async def record(self, claimed: claims.Claimed, outcome: Outcome) -> bool:
        """Record an attempt; return False when the delivery is somebody else's by now, and nothing was recorded."""
        wait = None if outcome.ok else wait_ms(outcome, claimed.step, now_s=time.time())
        status = "DELIVERED" if outcome.ok else "FAILED" if wait is None else "WAITING"
        words = outcome.words[:LONGEST_ERROR]
        values: dict[str, Any] = {"status": status, "step": claimed.step + 1, "due_ms": wait or 0}
        figures = {"code": outcome.code, "duration_ms": outcome.duration_ms}
        attempt: dict[str, Any] = {**figures, "error": words, "answer": outcome.answer}
        async with self._db.system_write() as session:
            if not await claims.end_attempt(session, claimed, values | figures, attempt):
                return False
            if outcome.ok:
                await claims.succeeded(session, claimed.subscription)
            else:
                await self._failed(session, claimed, outcome, words)
            after_commit(session, lambda: self._live.notify_soon(webhooks_channel(claimed.tenant)))
        WEBHOOK_ATTEMPTS.labels("delivered" if outcome.ok else "failed").inc()
        return True

    async def _failed(self, session: AsyncSession, claimed: claims.Claimed, outcome: Outcome, words: str) -> None:
        failing = await claims.failed(session, claimed.subscription, words)
        if failing is None or not failing.enabled:
            return
        a_day = failing.now_ms - failing.since_ms >= GIVE_UP_AFTER_MS
        if not (outcome.gone or a_day):
            return
        reason = _GONE if outcome.gone else f"Nothing was taken for a day; the last attempt: {words}"
        if await claims.turn_off(session, claimed.subscription, reason):
            caller = system_caller(TenantId(claimed.tenant), "webhooks")
            await self._audit.record(
                session, caller, "webhooks.gave_up", claimed.subscription, reason=reason, failures=failing.failures
            )

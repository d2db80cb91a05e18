"""`DeliveryWorker`: the `jobs` role's loop that sends what is due, outside of any transaction."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from backend.domain.webhooks.errors import AddressRefused, NotDelivered
from backend.domain.webhooks.ports import WebhookSender
from backend.domain.webhooks.repository import claims
from backend.domain.webhooks.rules.retries import Outcome, readable
from backend.domain.webhooks.rules.signing import headers_of
from backend.domain.webhooks.service.cleaning import clean
from backend.domain.webhooks.service.outcomes import Outcomes
from backend.domain.webhooks.service.webhooks import place_of
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.errors import AutoWeaveError, Unavailable
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.sealing import SealBroken, Sealer
from backend.foundation.live.rules import deliveries_channel
from backend.foundation.live.service import Live
from backend.foundation.telemetry.logs import get_logger

_POLL_S = 5.0
_CLEAN_S = 60.0
_log = get_logger("webhooks")


class DeliveryWorker:
    """Sends deliveries under one owner's name.

    Args:
        owner: this process's id, unique for each start.
        capacity: how many requests are under way at once.
        each: how many of them to one subscription, so that a slow receiver holds up its own deliveries alone.
    """

    def __init__(
        self,
        db: Database,
        live: Live,
        audit: Audit,
        sender: WebhookSender,
        sealer: Sealer,
        *,
        owner: str,
        capacity: int = 128,
        each: int = 4,
    ) -> None:
        self._db = db
        self._live = live
        self._sender = sender
        self._sealer = sealer
        self._outcomes = Outcomes(db, live, audit)
        self._owner = owner
        self._capacity = capacity
        self._each = each
        self._sending: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def active(self) -> int:
        """How many requests are under way."""
        return len(self._sending)

    async def start(self, *, replaces: str = "") -> None:
        """Begin. ``replaces`` is a dead worker whose deliveries are due again at once."""
        if replaces:
            async with self._db.system_write() as session:
                await claims.give_back(session, replaces)
        loops = (self._send_loop, self._listen_loop, self._clean_loop)
        self._tasks = [asyncio.create_task(_forever(loop), name=f"webhooks{loop.__name__}") for loop in loops]

    async def stop(self, grace_s: float = 5.0) -> None:
        """Take nothing more, let requests end for ``grace_s`` seconds, give the others back."""
        await _end(self._tasks)
        if self._sending:
            await asyncio.wait(self._sending, timeout=grace_s)
        await _end(list(self._sending))
        async with self._db.system_write() as session:
            await claims.give_back(session, self._owner)

    def wake(self) -> None:
        """Look at once for what is due."""
        self._wake.set()

    async def _send_loop(self) -> None:
        while True:
            self._wake.clear()
            wait_s = await self._take_due()
            # Not `wait_for`: before Python 3.12 it forgets that it was cancelled when it is woken in the same moment.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _take_due(self) -> float:
        """Begin what is due and has a free place; return the seconds until it is worth looking again."""
        async with self._db.system_read() as session:
            found = await claims.first_due(session)
        ready = [due for due in found if due.in_ms == 0 and self._busy[due.subscription] < self._each]
        # Who has nothing under way comes first, so that many slow receivers do not keep the others waiting.
        ready.sort(key=lambda due: self._busy[due.subscription])
        for due in ready:
            free = min(self._capacity - len(self._sending), self._each - self._busy[due.subscription])
            if free <= 0:
                break
            await self._take(due.subscription, free)
        later = [due.in_ms / 1_000 for due in found if due.in_ms > 0]
        return min([*later, _POLL_S * random.uniform(0.75, 1.0)])  # noqa: S311 - jitter, no secret

    async def _take(self, webhook: str, most: int) -> None:
        hit("webhooks.claim.before")
        async with self._db.system_write() as session:
            taken = await claims.claim(session, webhook, self._owner, most)
        hit("webhooks.claim.after")
        for claimed in taken:
            task = asyncio.create_task(self._deliver(claimed), name=f"webhook {claimed.id}")
            # By task: one whose lease ended while it was sent is sent again beside it.
            self._sending.add(task)
            self._busy[webhook] += 1
            task.add_done_callback(partial(self._ended, claimed))

    def _ended(self, claimed: claims.Claimed, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._busy[claimed.subscription] -= 1
        if not self._busy[claimed.subscription]:
            del self._busy[claimed.subscription]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease runs out, and it is sent again.
            reason = error.message if isinstance(error, AutoWeaveError) else type(error).__name__
            _log.warning("delivery_not_recorded", delivery=claimed.id, reason=reason)
        self._wake.set()

    async def _deliver(self, claimed: claims.Claimed) -> None:
        async with self._db.system_read() as session:
            target = await claims.target(session, claimed.subscription)
        if target is None or not target.enabled:
            async with self._db.system_write() as session:
                await claims.put_down(session, claimed)
            return
        hit("webhooks.send.before")
        outcome = await self._send(claimed, target)
        hit("webhooks.send.after")
        await self._outcomes.record(claimed, outcome)
        hit("webhooks.record.after")

    async def _send(self, claimed: claims.Claimed, target: claims.Target) -> Outcome:
        """Make the request. Its time is the machine's own: receivers compare it with theirs."""
        began = time.monotonic()
        try:
            body = claimed.body.encode()
            headers = headers_of(self._secrets(claimed, target), claimed.id, int(time.time()), body)
            answer = await self._sender.post(target.url, headers, body)
        except (AddressRefused, NotDelivered, SealBroken) as error:
            return Outcome(error=error.message, duration_ms=_since(began))
        return Outcome(
            code=answer.status,
            answer=readable(answer.body),
            retry_after=answer.retry_after,
            duration_ms=_since(began),
        )

    def _secrets(self, claimed: claims.Claimed, target: claims.Target) -> list[str]:
        sealed = [target.secret]
        if target.old_secret and target.old_until_ms > claimed.now_ms:
            sealed.append(target.old_secret)
        return [self._sealer.unseal(one, place_of(claimed.tenant, claimed.subscription)) for one in sealed]

    async def _listen_loop(self) -> None:
        async with self._live.listen(deliveries_channel()) as notices:
            self._wake.set()
            async for _ in notices:
                self._wake.set()

    async def _clean_loop(self) -> None:
        while True:
            await asyncio.sleep(_CLEAN_S)
            await clean(self._db)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1_000)


async def _forever(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: what fails is logged and begun again."""
    while True:
        try:
            await loop()
        except Unavailable as error:
            _log.warning("webhooks_wait", loop=loop.__name__, reason=error.message)
        except AutoWeaveError as error:
            _log.warning("worker_loop_failed", loop=loop.__name__, code=error.code, reason=error.message)
        except Exception:  # noqa: BLE001 - the edge of a process loop
            _log.exception("worker_loop_failed", loop=loop.__name__)
        await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret

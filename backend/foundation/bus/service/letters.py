"""`DeadLetters`: what consumers gave up, for a person to look at, mend, send again or discard."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from backend.foundation.audit.service import Audit
from backend.foundation.bus import repository
from backend.foundation.bus.models import DeadLetterRow
from backend.foundation.bus.rules import ONLY_FOR, REPLAY_OF
from backend.foundation.bus.service.bus import BusService
from backend.foundation.bus.service.work import key_of
from backend.foundation.bus.views import DeadLetterCount, DeadLetterSummary, DeadLetterView, Progress, ReplayPlan
from backend.foundation.events.codec import Undecodable, decode, entry_of, readable
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import AutoWeaveError, Conflict, Invalid, NotFound
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ports import Database

_MOST = 200
_AT_ONCE = 20
_LONGEST_REASON = 500
_HINT = "Dead letters belong to one workspace; check the number."


class DeadLetters:
    """The repair of events; every verb needs ``bus:repair``, and those that change something are audited."""

    def __init__(self, db: Database, bus: BusService, audit: Audit) -> None:
        self._db = db
        self._bus = bus
        self._audit = audit

    async def letters(
        self,
        caller: Caller,
        *,
        consumer: str = "",
        type: str = "",
        status: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> list[DeadLetterSummary]:
        """Return the caller's tenant's letters that fit, the newest first, of ids below ``before``, at most 200."""
        caller.require(Permission.BUS_REPAIR)
        async with self._db.read(caller.tenant) as session:
            rows = await repository.dead_letters(
                session,
                caller.tenant,
                consumer=consumer,
                type=type,
                status=status,
                before=before,
                limit=max(1, min(limit, _MOST)),
            )
            return [DeadLetterSummary(**row) for row in rows]

    async def one(self, caller: Caller, letter: int) -> DeadLetterView:
        """Return a letter; raise `NotFound` for none of this tenant."""
        caller.require(Permission.BUS_REPAIR)
        async with self._db.read(caller.tenant) as session:
            return _view(await _row(session, caller, letter))

    async def counts(self, caller: Caller) -> list[DeadLetterCount]:
        """Return how many letters there are of each consumer, type and status."""
        caller.require(Permission.BUS_REPAIR)
        async with self._db.read(caller.tenant) as session:
            found = await repository.dead_letter_counts(session, caller.tenant)
        return [DeadLetterCount(*row) for row in found]

    async def plan(self, caller: Caller, letter: int, *, payload: str | None = None) -> ReplayPlan:
        """Say what a replay would do, with another payload if one is given; sends and calls nothing."""
        caller.require(Permission.BUS_REPAIR)
        async with self._db.read(caller.tenant) as session:
            row = await _row(session, caller, letter)
        try:
            event = _event(row, payload)
            [sent] = self._bus.outbox_values([event])
        except AutoWeaveError as error:
            return ReplayPlan(problem=error.message, hint=error.hint, type=row.type, topic=row.topic, key=row.key)
        consumers = (row.consumer,) if row.direct else entry_of(event.type).handled_by
        return ReplayPlan(type=event.type, topic=sent["topic"], key=sent["key"], consumers=consumers)

    async def replay(self, caller: Caller, letter: int, *, payload: str | None = None) -> None:
        """Send a letter that waits again, to the consumer that gave it up; if that fails again, it waits again.

        Args:
            payload: other data for the event, as JSON text.

        Raises:
            NotFound: there is none of that number for the tenant.
            Conflict: it was replayed or discarded before.
            Undecodable: it does not fit the catalogue, and would fail again.
        """
        caller.require(Permission.BUS_REPAIR)
        await self._replay(caller, [letter], payload)

    async def replay_all(
        self, caller: Caller, *, consumer: str = "", type: str = "", per_s: float = 50.0
    ) -> AsyncGenerator[Progress]:
        """Replay all that wait now and fit, the oldest first, and yield how far it is; whoever stops asking stops it.

        What cannot be sent keeps waiting, and is counted as failed.
        """
        caller.require(Permission.BUS_REPAIR)
        if not 0 < per_s <= 1_000:
            raise Invalid("The rate is from 1 to 1,000 a second.", field="rate")
        newest = [row.id for row in await self.letters(caller, consumer=consumer, type=type, status="WAITING", limit=1)]
        counted = [row for row in await self.counts(caller) if row.status == "WAITING"]
        total = sum(row.count for row in counted if consumer in ("", row.consumer) and type in ("", row.type))
        progress, last, began = Progress(total=total), 0, time.monotonic()
        while newest and (letters := await self._waiting(caller, consumer, type, last, newest[0], per_s)):
            last = letters[-1]
            failed = await self._replay_together(caller, letters)
            done, failures = progress.done + len(letters) - failed, progress.failed + failed
            progress = Progress(total=max(total, done + failures), done=done, failed=failures)
            yield progress
            await asyncio.sleep(max(0.0, began + (done + failures) / per_s - time.monotonic()))

    async def replay_these(self, caller: Caller, letters: Sequence[int]) -> Progress:
        """Replay these, at most 200, the oldest first; what cannot be sent, or waits no more, is counted as failed."""
        caller.require(Permission.BUS_REPAIR)
        wanted = sorted(set(letters))
        if len(wanted) > _MOST:
            raise Invalid(f"At most {_MOST} are replayed together.", field="letters")
        failed = await self._replay_together(caller, wanted) if wanted else 0
        return Progress(total=len(wanted), done=len(wanted) - failed, failed=failed)

    async def discard(self, caller: Caller, letters: Sequence[int], *, reason: str) -> None:
        """Give letters that wait up for good; they stay in the list with who did it and why.

        Raises:
            Invalid: the reason is empty or longer than 500 characters.
            NotFound, Conflict: as with `replay`; then none of them is discarded.
        """
        caller.require(Permission.BUS_REPAIR)
        reason = reason.strip()
        if not reason or len(reason) > _LONGEST_REASON:
            raise Invalid(f"Say why, in at most {_LONGEST_REASON} characters.", field="reason")
        hit("bus.discard.before")
        async with self._db.write(caller.tenant) as session:
            for letter in letters:
                row = await self._decide(session, caller, letter, "DISCARDED", reason=reason)
                await self._record(session, caller, "bus.dead_letter_discarded", row, reason=reason)
        hit("bus.discard.after")

    async def _waiting(
        self, caller: Caller, consumer: str, type: str, after: int, until: int, per_s: float
    ) -> Sequence[int]:
        limit = max(1, min(_AT_ONCE, int(per_s)))
        async with self._db.read(caller.tenant) as session:
            return await repository.waiting_letters(
                session, caller.tenant, consumer=consumer, type=type, after=after, until=until, limit=limit
            )

    async def _replay_together(self, caller: Caller, letters: Sequence[int]) -> int:
        """Replay in one transaction, or one by one when one of them cannot be; return how many could not."""
        failed = 0
        try:
            await self._replay(caller, letters, None)
        except (Undecodable, Conflict, NotFound):
            for letter in letters:
                try:
                    await self._replay(caller, [letter], None)
                except (Undecodable, Conflict, NotFound):
                    failed += 1
        return failed

    async def _replay(self, caller: Caller, letters: Sequence[int], payload: str | None) -> None:
        hit("bus.replay.before")
        async with self._db.write(caller.tenant) as session:
            for letter in letters:
                row = await self._decide(session, caller, letter, "REPLAYED", replays=1)
                event = _event(row, payload)
                # A consumer that gives up records that, too.
                await repository.forget_seen(session, row.consumer, key_of(event))
                await self._bus.publish_again(session, event, _headers(row))
                await self._record(session, caller, "bus.dead_letter_replayed", row, edited=payload is not None)
        hit("bus.replay.after")

    async def _decide(
        self, session: AsyncSession, caller: Caller, letter: int, status: str, *, reason: str = "", replays: int = 0
    ) -> DeadLetterRow:
        decided = await repository.decide_letter(
            session, caller.tenant, letter, status=status, by=caller.subject, reason=reason, replays=replays
        )
        row = await _row(session, caller, letter)
        if not decided:
            raise Conflict(f"The dead letter {letter} was {row.status.lower()} already.")
        return row

    async def _record(
        self, session: AsyncSession, caller: Caller, action: str, row: DeadLetterRow, **detail: object
    ) -> None:
        await self._audit.record(
            session, caller, action, str(row.id), consumer=row.consumer, type=row.type, event=row.event, **detail
        )


async def _row(session: AsyncSession, caller: Caller, letter: int) -> DeadLetterRow:
    found = select(DeadLetterRow).where(col(DeadLetterRow.tenant) == caller.tenant, col(DeadLetterRow.id) == letter)
    row = (await session.execute(found)).scalar_one_or_none()
    if row is None:
        raise NotFound(f"There is no dead letter {letter}.", hint=_HINT)
    return row


def _event(row: DeadLetterRow, payload: str | None) -> Event:
    event = decode(row.headers, row.value, row.key) if payload is None else _edited(row, payload.encode())
    if event.tenant != row.tenant:
        raise Undecodable("The event names another workspace than the one whose letter it is.")
    return event


def _edited(row: DeadLetterRow, payload: bytes) -> Event:
    """Return the event with other data: that of a structured message is a part of its value."""
    if "ce_type" in row.headers:
        return decode(row.headers, payload, row.key)
    try:
        attributes: dict[str, object] = msgspec.json.decode(row.value, type=dict[str, object])
        value = msgspec.json.encode(attributes | {"data": msgspec.Raw(payload), "data_base64": ""})
    except msgspec.MsgspecError as error:
        raise Undecodable(f"The structured CloudEvent cannot be read: {error}.") from error
    return decode(row.headers, value, row.key)


def _payload(row: DeadLetterRow) -> bytes:
    if "ce_type" in row.headers:
        return row.value
    try:
        return bytes(msgspec.json.decode(row.value, type=dict[str, msgspec.Raw])["data"])
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        # No structured event, or one in base64: it is shown as it came.
        return row.value


def _headers(row: DeadLetterRow) -> dict[str, str]:
    return {ONLY_FOR: row.consumer, REPLAY_OF: str(row.id)} if row.direct else {}


def _view(row: DeadLetterRow) -> DeadLetterView:
    return DeadLetterView(
        id=row.id or 0,
        consumer=row.consumer,
        event=row.event,
        type=row.type,
        topic=row.topic,
        position=f"{row.topic}[{row.partition}]@{row.offset}",
        key=row.key,
        payload=readable(_payload(row)),
        cause=row.cause,
        stack=row.stack,
        attempts=row.attempts,
        created_ms=row.created_ms,
        trace=row.headers.get("ce_traceparent", "")[3:35],
        status=row.status,
        replays=row.replays,
        decided_by=row.decided_by,
        decided_ms=row.decided_ms,
        reason=row.reason,
    )

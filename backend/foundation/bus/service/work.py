"""What consumers do with events: in one transaction with the record that it was done, or slowly and recorded after."""

import asyncio
import base64
import time
import traceback
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from backend.foundation.bus.ports import Delivery
from backend.foundation.bus.repository import EventKey, first_seen, insert_dead, insert_returned, is_seen
from backend.foundation.bus.rules import ONLY_FOR, REPLAY_OF
from backend.foundation.bus.service.dispatch import HandlerFailed
from backend.foundation.events.codec import UnknownEventType, decode, type_of
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE, EventGivenUp
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry import span
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.metrics import BUS_EVENTS, BUS_SECONDS

log = get_logger("bus")

Handler = Callable[[AsyncSession, Event], Awaitable[None]]
"""Reacts inside the transaction that also records the event as done; uses the event's tenant in every predicate."""

SlowHandler = Callable[[Event], Awaitable[None]]
"""Reacts without a transaction; may be called again for an event whose end was not recorded."""

Wants = Callable[[Event], bool]
"""Whether a consumer has anything to do with an event of one of its types: what it has not costs it no transaction."""

Publish = Callable[..., Awaitable[None]]
"""`BusService.publish`: a session, and events."""

_BATCH = 400
_TRANSACTION_S = 30.0
_STACK_CHARACTERS, _CAUSE_CHARACTERS = 8_000, 2_000
_PAYLOAD_BYTES = 256 * 1024
_MOST_HEADERS, _WORD, _HEADER = 50, 1_000, 8_000
"""As much of what was given up is told; its data is kept whole in the row."""

_DIGITS, _TENANT_CHARACTERS, _TYPE_CHARACTERS, _TRACE_CHARACTERS = 18, 40, 120, 64
"""What the columns hold."""


class _Consumer:
    """What both kinds share: which events are wanted, and where those go that cannot be done."""

    def __init__(
        self, consumer: str, types: Mapping[str, object], db: Database, publish: Publish, wants: Wants | None
    ) -> None:
        self._consumer = consumer
        self._publish = publish
        self._wants = wants
        self._types = types
        self._names = {name.rpartition(".")[0] for name in types}
        self._db = db
        self._handled = BUS_EVENTS.labels(consumer, "handled")
        self._duplicates = BUS_EVENTS.labels(consumer, "duplicate")
        self._seconds = BUS_SECONDS.labels(consumer)

    def event_of(self, delivery: Delivery) -> Event | None:
        headers = delivery.message.headers
        if headers.get(ONLY_FOR, self._consumer) != self._consumer:
            return None
        type_name = type_of(headers)
        if type_name and type_name not in self._types:
            if type_name not in CATALOGUE and type_name.rpartition(".")[0] in self._names:
                # Of a newer version of the product: after the update it can be sent again from where it is kept.
                raise UnknownEventType(f"The version {type_name!r} is not in the catalogue.", field="type")
            return None
        event = decode(headers, delivery.message.value, delivery.message.key)
        wanted = event.type in self._types and (self._wants is None or self._wants(event))
        return event if wanted else None

    async def bury(self, delivery: Delivery, event: Event | None, error: Exception, attempts: int) -> None:
        row = dead_letter(self._consumer, delivery, event, error, attempts) | {"direct": True}
        letter = _letter_of(delivery)
        hit("bus.bury.before")
        async with self._db.system_write() as session:
            # Read again after a crash, it is in the list already.
            if await first_seen(session, self._consumer, [key_of(event) if event else _place_of(delivery)]):
                if letter and await insert_returned(session, letter, row):
                    log.info("a replayed event failed again", letter=letter, consumer=self._consumer)
                else:
                    await insert_dead(session, [row])
                await self._publish(session, *given_up(row))
        hit("bus.bury.after")

    def _count(self, events: Sequence[Event], handled: int) -> None:
        self._handled.inc(handled)
        self._duplicates.inc(len(events) - handled)
        now_ms = time.time_ns() // 1_000_000
        for event in events:
            self._seconds.observe(max(0, now_ms - event.time_ms) / 1000)


class Transactional(_Consumer):
    """Handles a batch of events in one transaction together with their inbox rows."""

    batch = _BATCH

    def __init__(
        self, consumer: str, handlers: Mapping[str, Handler], db: Database, publish: Publish, wants: Wants | None
    ) -> None:
        super().__init__(consumer, handlers, db, publish, wants)
        self._handlers = handlers

    async def do(self, events: Sequence[Event]) -> None:
        begun: list[Event] = []
        hit("bus.handle.before")
        try:
            async with asyncio.timeout(_TRANSACTION_S), self._db.system_write() as session:
                fresh = await first_seen(session, self._consumer, [key_of(event) for event in events])
                for event in events:
                    key = key_of(event)
                    if key in fresh:
                        fresh.discard(key)
                        begun.append(event)
                        await self._handle(session, event)
                hit("bus.handle.done")
        except TimeoutError as error:
            late = TimeoutError(f"The transaction took more than {_TRANSACTION_S:g} s.")
            if not begun:
                raise Unavailable("The database is too slow.", hint="See what else is writing to it.") from error
            raise HandlerFailed(begun[-1], late) from error
        hit("bus.handle.after")
        self._count(events, len(begun))

    async def _handle(self, session: AsyncSession, event: Event) -> None:
        try:
            with span(
                f"{self._consumer} {event.type}",
                tenant=event.tenant,
                parent=event.traceparent,
                kind="consumer",
                bulk=True,
            ):
                await self._handlers[event.type](session, event)
        except Exception as error:
            raise HandlerFailed(event, error) from error


class Slow(_Consumer):
    """Handles one event of a key at a time, and records it once that succeeded."""

    batch = 1

    def __init__(self, consumer: str, handlers: Mapping[str, SlowHandler], db: Database, publish: Publish) -> None:
        super().__init__(consumer, handlers, db, publish, None)
        self._handlers = handlers

    async def do(self, events: Sequence[Event]) -> None:
        for event in events:
            async with self._db.system_read() as session:
                if await is_seen(session, self._consumer, key_of(event)):
                    self._count([event], 0)
                    continue
            hit("bus.slow.before")
            await self._handle(event)
            hit("bus.slow.effect")
            async with self._db.system_write() as session:
                await first_seen(session, self._consumer, [key_of(event)])
            hit("bus.slow.after")
            self._count([event], 1)

    async def _handle(self, event: Event) -> None:
        try:
            with span(f"{self._consumer} {event.type}", tenant=event.tenant, parent=event.traceparent, kind="consumer"):
                await self._handlers[event.type](event)
        except Exception as error:
            raise HandlerFailed(event, error) from error


def key_of(event: Event) -> EventKey:
    """Return what names an event within a consumer: an id alone is only unique for its source and tenant."""
    return event.tenant, f"{event.source} {event.id}"


def _place_of(delivery: Delivery) -> EventKey:
    """Return what names a message that is no event: where it stands, and what it holds if places are used again."""
    number, checksum = delivery.partition.number, zlib.crc32(delivery.message.value)
    return "", f"{delivery.partition.topic}[{number}]@{delivery.offset} {checksum:08x}"


def _letter_of(delivery: Delivery) -> int:
    """Return the number of the dead letter that was sent again; 0 for what is no replay, whatever it says."""
    number = delivery.message.headers.get(REPLAY_OF, "")
    return int(number) if number.isascii() and number.isdecimal() and len(number) <= _DIGITS else 0


def _storable(text: str, most: int) -> str:
    """Return foreign text as every database holds it: without NUL and lone surrogates, so long at the most."""
    return text[:most].replace("\x00", "\ufffd").encode(errors="replace").decode()


def _tenant_of(headers: Mapping[str, str]) -> str:
    """Return whose a message says it is, nobody's where that can be no tenant: half an id might be another's."""
    said = headers.get("ce_tenantid", "")
    return said if len(said) <= _TENANT_CHARACTERS and said.isascii() and said.isprintable() else ""


def dead_letter(
    consumer: str, delivery: Delivery, event: Event | None, error: Exception, attempts: int
) -> dict[str, Any]:
    """Return the row of an event that is given up; of one that cannot be decoded as much as its headers tell."""
    message = delivery.message
    stack = "".join(traceback.format_exception(error))
    return {
        "tenant": event.tenant if event else _tenant_of(message.headers),
        "consumer": consumer,
        "event": event.id if event else _storable(message.headers.get("ce_id", ""), _WORD),
        "type": event.type if event else _storable(message.headers.get("ce_type", ""), _TYPE_CHARACTERS),
        "topic": message.topic,
        "partition": delivery.partition.number,
        "offset": delivery.offset,
        "key": _storable(message.key, _WORD),
        "headers": {_storable(name, _WORD): _storable(text, _HEADER) for name, text in message.headers.items()},
        "value": message.value,
        "cause": _storable(f"{type(error).__name__}: {error}", _CAUSE_CHARACTERS),
        "stack": _storable(stack[-_STACK_CHARACTERS:], _STACK_CHARACTERS),
        "attempts": attempts,
    }


def given_up(row: Mapping[str, Any]) -> list[Event]:
    """Return the event that tells of a dead letter's row, for the dead-letter topic of its consumer.

    There is none where nobody knows whose it is, nor for a consumer that has no such topic.
    """
    name = f"{row['consumer']}.event_given_up.v1"
    if not row["tenant"] or name not in CATALOGUE:
        return []
    value = row["value"] if len(row["value"]) <= _PAYLOAD_BYTES else b""
    try:
        payload, payload_base64 = value.decode(), ""
    except UnicodeDecodeError:
        payload, payload_base64 = "", base64.b64encode(value).decode()
    copied = {field: row[field] for field in _COPIED}
    # Foreign messages may have any.
    headers = {name[:_WORD]: text[:_WORD] for name, text in list(row["headers"].items())[:_MOST_HEADERS]}
    data = EventGivenUp(
        **copied, key=row["key"][:_WORD], headers=headers, payload=payload, payload_base64=payload_base64
    )
    return [
        Event(
            type=name,
            tenant=TenantId(row["tenant"]),
            key=row["key"],
            data=data,
            source=f"/{row['consumer']}",
            subject=row["event"],
            traceparent=row["headers"].get("ce_traceparent", "")[:_TRACE_CHARACTERS],
        )
    ]


_COPIED = ("event", "type", "topic", "partition", "offset", "cause", "stack", "attempts")

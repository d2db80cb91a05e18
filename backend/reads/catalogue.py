"""The event types as people look them up: who sends and who listens, the fields, an example, and what flows now."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import readable
from backend.foundation.events.types import CATALOGUE, EventType
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import NotFound
from backend.reads.protobuf import message_of
from backend.reads.topics import tenant_of
from backend.reads.views import ConsumerLag, EventTypeView, FieldView, FlowView

_TICK_S = 2.0
_TICKS = 5
_TYPES: Mapping[str, str] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "nothing",
}


class Catalogue:
    """Looks at the catalogue and at the bus; every verb needs ``bus:read``."""

    def __init__(self, bus: BusService) -> None:
        self._bus = bus

    def types(self, caller: Caller, *, text: str = "", room: str = "") -> list[EventTypeView]:
        """Return the types, by name.

        Args:
            text: what name, summary, topic, a field or a room must contain, in any case.
            room: who must send it or listen to it; empty for any.
        """
        caller.require(Permission.BUS_READ)
        views = [_view(entry) for _, entry in sorted(CATALOGUE.items())]
        return [view for view in views if _has(view, text) and room in ("", *view.published_by, *view.handled_by)]

    def one(self, caller: Caller, name: str) -> EventTypeView:
        """Return a type; raise `NotFound`."""
        caller.require(Permission.BUS_READ)
        return _view(_entry(name))

    async def flow(self, caller: Caller, name: str) -> AsyncGenerator[FlowView]:
        """Yield every two seconds how many events of the type come in the caller's tenant, and how many wait.

        Raises:
            NotFound: there is no such type.
            Unavailable: the bus is away.
        """
        caller.require(Permission.BUS_READ)
        entry, counts = _entry(name), deque([0], maxlen=_TICKS)
        async with self._bus.watch(name) as seen:

            async def count() -> None:
                async for delivery in seen:
                    if delivery.message.headers.get("ce_type", name) == name and tenant_of(delivery) == caller.tenant:
                        counts[-1] += 1

            counting, known = asyncio.create_task(count(), name="catalogue-flow"), False
            try:
                while not counting.done():
                    per_s = sum(counts) / (len(counts) * _TICK_S) if known else None
                    yield FlowView(per_s=per_s, waiting=await self._waiting(entry))
                    if known:
                        counts.append(0)
                    await asyncio.sleep(_TICK_S)
                    known = True
                counting.result()
            finally:
                counting.cancel()

    async def _waiting(self, entry: EventType) -> tuple[ConsumerLag, ...]:
        lags = await self._bus.lag(*entry.handled_by) if entry.handled_by else {}
        return tuple(ConsumerLag(name=name, lag=lags[name].get(entry.topic, 0)) for name in entry.handled_by)


def _entry(name: str) -> EventType:
    entry = CATALOGUE.get(name)
    if entry is None:
        raise NotFound(f"There is no event type {name!r}.", hint="Admin, Event types lists them.")
    return entry


def _view(entry: EventType) -> EventTypeView:
    return EventTypeView(
        name=entry.name,
        title=entry.data.__name__,
        summary=entry.summary,
        about=" ".join((entry.data.__doc__ or "").split()).replace("``", ""),
        topic=entry.topic,
        key=entry.key,
        published_by=entry.published_by,
        handled_by=entry.handled_by,
        public=entry.public,
        fields=_fields(entry),
        example=readable(msgspec.json.encode(entry.example)),
        protobuf=message_of(entry.data),
    )


def _fields(entry: EventType) -> tuple[FieldView, ...]:
    _, schemas = msgspec.json.schema_components([entry.data])
    schema = schemas[entry.data.__name__]
    required = schema.get("required", [])
    return tuple(
        FieldView(
            name=name,
            type=_words(field),
            required=name in required,
            default=msgspec.json.encode(field["default"]).decode() if "default" in field else "",
        )
        for name, field in schema["properties"].items()
    )


def _words(schema: Mapping[str, Any]) -> str:
    """Return a field's JSON Schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_words(each) for each in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(str(each) for each in schema["enum"])
    kind = _TYPES.get(str(schema.get("type", "")), "anything")
    if isinstance(inner := schema.get("items") or schema.get("additionalProperties"), Mapping):
        return f"{kind} of {_words(inner)}"  # pyright: ignore[reportUnknownArgumentType] - it is JSON
    return kind


def _has(view: EventTypeView, text: str) -> bool:
    words = (view.name, view.title, view.summary, view.topic, *view.published_by, *view.handled_by)
    return text.strip().lower() in "\n".join((*words, *(field.name for field in view.fields))).lower()

"""``POST /events/{topic}``: CloudEvents over HTTP, in binary, structured and batch mode (BUS-9)."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from backend.app import current
from backend.foundation.events.codec import STRUCTURED, Undecodable, decode, entry_of
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE, StartRun
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid, NotFound, TooLarge
from backend.foundation.kernel.ids import TenantId
from backend.foundation.telemetry.tracing import current_traceparent
from backend.gateway.http.bodies import UnsupportedMediaType, decode_json, media_type, read_body
from backend.gateway.http.callers import caller_of
from backend.gateway.http.rates import rate_headers
from backend.gateway.http.runs import json_response
from backend.gateway.http.shapes import Accepted
from backend.governance.budgets.views import Quota

BATCH = "application/cloudevents-batch+json"
_MOST_EVENTS = 500
_LONGEST_ATTRIBUTE = 256
_MODES = f"Send `ce-` headers with JSON data, or `Content-Type: {STRUCTURED}` or `{BATCH}`."
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "partitionkey", "traceparent")


class TopicNotFound(NotFound):
    """Programs may publish nothing on this topic."""

    code = "topic_not_found"
    hint = "See /openapi.json for the topics that take events."


class TypeNotTaken(Invalid):
    """The event's type does not go on this topic, or not from outside."""

    code = "event_type_not_taken"
    hint = "See /openapi.json for the event types of each topic."


class EventHopeless(Invalid):
    """The event is well formed, but what it asks for cannot be done as things are."""

    code = "event_hopeless"
    hint = "See what it asks for, then send it again."


async def publish(request: Request) -> Response:
    """Take one event or a batch, all or none; they belong to the caller's tenant, whatever they say."""
    caller = await caller_of(request)
    caller.require(Permission.EVENTS_PUBLISH)
    topic = request.path_params["topic"]
    if not any(entry.public and entry.topic == topic for entry in CATALOGUE.values()):
        raise TopicNotFound(f"There is no topic {topic!r} for events.")
    # One is counted before anything is read, so that who is over the limit costs next to nothing.
    quotas = await current().budgets.admit_events(caller)
    sent, counted = await _read(request, caller, topic)
    await _refuse_hopeless(caller, sent, in_batch=media_type(request.headers) == BATCH)
    events = [_ours(event, caller) for event in sent]
    await current().bus.emit(*events)
    answer = Accepted([event.id for event in sent], [event.id for event in events])
    response = json_response(answer, HTTPStatus.ACCEPTED)
    response.headers.update(rate_headers(counted or quotas))
    return response


async def _read(request: Request, caller: Caller, topic: str) -> tuple[list[Event], tuple[Quota, ...]]:
    """Return the events, and where the limits stand if there are more than the one that is counted already."""
    kind = media_type(request.headers)
    body = await read_body(request)
    if kind == BATCH:
        parts = _parts(body)
        quotas = await current().budgets.admit_events(caller, len(parts) - 1, batch=len(parts))
        return _read_batch(parts, caller.tenant, topic), quotas
    if kind == STRUCTURED:
        return [_read_structured(body, caller.tenant, topic)], ()
    if "ce-type" in request.headers or "ce-specversion" in request.headers:
        return [_read_binary(request.headers, body, caller.tenant, topic)], ()
    raise UnsupportedMediaType("This is no CloudEvent.", hint=_MODES)


def _read_binary(headers: Mapping[str, str], body: bytes, tenant: TenantId, topic: str) -> Event:
    # The binding writes header values percent-encoded.
    told = {f"ce_{name}": unquote(headers[f"ce-{name}"]) for name in _ATTRIBUTES if f"ce-{name}" in headers}
    told |= {"ce_tenantid": tenant, "content-type": headers.get("content-type", "")}
    return _checked(decode(told, body), topic)


def _read_structured(body: bytes, tenant: TenantId, topic: str) -> Event:
    attributes = decode_json(body, dict[str, msgspec.Raw])
    attributes["tenantid"] = msgspec.Raw(msgspec.json.encode(tenant))
    return _checked(decode({"content-type": STRUCTURED}, msgspec.json.encode(attributes)), topic)


def _parts(body: bytes) -> list[msgspec.Raw]:
    parts = decode_json(body, list[msgspec.Raw])
    if not parts:
        raise Invalid("The batch is empty.", field="$")
    if len(parts) > _MOST_EVENTS:
        raise TooLarge(f"The batch has {len(parts):,} of at most {_MOST_EVENTS} events.")
    return parts


def _read_batch(parts: Sequence[msgspec.Raw], tenant: TenantId, topic: str) -> list[Event]:
    events: list[Event] = []
    for index, part in enumerate(parts):
        try:
            events.append(_read_structured(bytes(part), tenant, topic))
        except Invalid as error:
            raise _in_batch(error, index) from error
    return events


def _in_batch(error: Invalid, index: int) -> Invalid:
    place = (error.field or "$").removeprefix("$").lstrip(".")
    field = f"$[{index}].{place}" if place else f"$[{index}]"
    kind = EventHopeless if isinstance(error, EventHopeless) else Undecodable
    return kind(f"Event {index} of the batch: {error.message}", hint=error.hint, field=field)


def _checked(event: Event, topic: str) -> Event:
    entry = entry_of(event.type)
    if entry.topic != topic or not entry.public:
        raise TypeNotTaken(f"Topic {topic!r} takes no events of type {event.type!r} from outside.", field="type")
    told = {"id": event.id, "source": event.source, "subject": event.subject, "partitionkey": event.key}
    for name, value in told.items():
        if len(value) > _LONGEST_ATTRIBUTE or not value.isprintable():
            raise Undecodable(f"The attribute {name!r} is not a text of at most 256 characters.", field=name)
    return event


async def _refuse_hopeless(caller: Caller, events: Sequence[Event], *, in_batch: bool) -> None:
    """Refuse what is known to end as a dead letter: now its sender can mend it, later only an administrator."""
    commands = [(index, event.data) for index, event in enumerate(events) if isinstance(event.data, StartRun)]
    refusals = await current().agents.refusals(caller, [data for _, data in commands])
    for (index, _), error in zip(commands, refusals, strict=True):
        if error is not None:
            refused = EventHopeless(error.message, hint=error.hint, field=f"data.{error.field or 'agent'}")
            raise _in_batch(refused, index) if in_batch else refused


def _ours(event: Event, caller: Caller) -> Event:
    """Return the event as the mesh carries it.

    Receivers deduplicate by id over all tenants, so the id is made of the tenant, the source and the sender's id: the
    same event sent twice is one, and nobody can take another tenant's id first.
    """
    digest = hashlib.sha256("\0".join((caller.tenant, event.source, event.id)).encode()).hexdigest()
    return msgspec.structs.replace(
        event,
        id=f"evt_{digest[:32]}",
        tenant=caller.tenant,
        key=event.key or event.subject or event.id,
        # One that is none is as good as none (W3C Trace Context), and would travel on with all that follows.
        traceparent=event.traceparent if _TRACEPARENT.fullmatch(event.traceparent) else current_traceparent(),
    )

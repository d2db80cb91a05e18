"""The envelope that every fact and command travels in: a CloudEvent 1.0 with three extensions."""

import time

import msgspec

from backend.foundation.kernel.ids import TenantId, new_id


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """Base of each event's payload. A field is only ever added, with a default; anything else is a new version."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the catalogue.

    Attributes:
        type: ``<room>.<fact>.v1``, a name of the catalogue.
        tenant: the CloudEvents extension ``tenantid``.
        key: the extension ``partitionkey``; events of one key are handled in the order of their publication.
        data: the payload, an instance of the type's data model.
        source: the URI reference of the part that tells it, such as ``/chat``.
        subject: what it is about, such as a run's id; may be empty.
        time_ms: when it happened, in milliseconds since 1970.
        traceparent: W3C trace context of the sender, empty when there is none.
    """

    type: str
    tenant: TenantId
    key: str
    data: EventData
    source: str
    subject: str = ""
    id: str = msgspec.field(default_factory=lambda: new_id("evt"))
    time_ms: int = msgspec.field(default_factory=lambda: time.time_ns() // 1_000_000)
    traceparent: str = ""

"""What is sent and how it is signed: a CloudEvent by the Standard Webhooks convention (standardwebhooks.com, 1.0.0)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

import msgspec

from backend.foundation.events.codec import STRUCTURED, encode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE, EventGivenUp

OFFERED = tuple(sorted(entry.name for entry in CATALOGUE.values() if entry.outgoing))
"""The event types that may be subscribed to."""

TEST_TYPE = "webhooks.test.v1"
"""The type of what "Send test" sends; it is no event of the bus."""

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_INTERNAL = ("ce_traceparent",)


def new_secret() -> str:
    """Return a random secret as receivers take it: ``whsec_`` and base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, message: str, second: int, body: bytes) -> str:
    """Return ``v1,<base64>``: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message}.{second}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def headers_of(secrets_of: Sequence[str], message: str, second: int, body: bytes) -> dict[str, str]:
    """Return the headers of an attempt, signed with each secret."""
    return {
        "content-type": f"{STRUCTURED}; charset=utf-8",
        "user-agent": "AutoWeave-Webhooks/1",
        "webhook-id": message,
        "webhook-timestamp": str(second),
        "webhook-signature": " ".join(signature(secret, message, second, body) for secret in secrets_of),
    }


def body_of(event: Event) -> str:
    """Return an event as it is sent: a structured CloudEvent, with ``timestamp`` for who reads Standard Webhooks."""
    wire = encode(_public(event))
    told = {name[3:]: text for name, text in wire.headers.items() if name.startswith("ce_") and name not in _INTERNAL}
    told |= {"datacontenttype": "application/json", "timestamp": told["time"]}
    return msgspec.json.encode({**told, "data": msgspec.Raw(wire.value)}).decode()


def body_of_test(message: str, tenant: str, time: str) -> str:
    """Return what "Send test" sends."""
    body = {
        "specversion": "1.0",
        "id": message,
        "source": "/webhooks",
        "type": TEST_TYPE,
        "time": time,
        "timestamp": time,
        "tenantid": tenant,
        "datacontenttype": "application/json",
        "data": {"message": "This is a test from AutoWeave."},
    }
    return msgspec.json.encode(body).decode()


def _public(event: Event) -> Event:
    """Leave out what is for those who look after the installation: stacks and headers of the bus."""
    if isinstance(event.data, EventGivenUp):
        data = msgspec.structs.replace(event.data, stack="", headers={})
        return msgspec.structs.replace(event, data=data)
    return event

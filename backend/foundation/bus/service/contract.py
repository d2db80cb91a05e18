"""`Contract`: tells, once, that the document of the installation's events is another one."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.foundation.bus import repository
from backend.foundation.bus.service.bus import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.rules.changes import NotAsyncApi, compare
from backend.foundation.events.rules.places import places
from backend.foundation.events.types import SpecChanged
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry.logs import get_logger

log = get_logger("bus")

_NAME = "asyncapi"
_MOST = 100
_LONGEST = 300


class Contract:
    """Knows the document as it was last told.

    Args:
        db: where that is.
        bus: what tells of a change.
    """

    def __init__(self, db: Database, bus: BusService) -> None:
        self._db = db
        self._bus = bus

    async def tell(self, document: Mapping[str, Any], tenants: Sequence[TenantId]) -> bool:
        """Tell each tenant if the document is not the one that was told last; return whether this call did.

        Of all processes that call it at the same time one does. The first document that an installation ever has is no
        change.

        Args:
            document: as it is served, as JSON values.
            tenants: all of the installation: its events are everybody's.
        """
        text = msgspec.json.encode(document, order="deterministic")
        digest = hashlib.sha256(text).hexdigest()
        async with self._db.system_read() as session:
            known = await repository.known_spec(session, _NAME)
        if known is not None and known.digest == digest:
            return False
        sequence = known.sequence + 1 if known else 1
        data = _change(known.document, known.digest, document, digest, sequence) if known else None
        async with self._db.system_write() as session:
            first = await repository.remember_spec(
                session, name=_NAME, sequence=sequence, digest=digest, document=text.decode()
            )
            if first and data is not None:
                await self._bus.publish(session, *(_event(data, tenant) for tenant in tenants))
        if not first or data is None:
            return False
        log.info("spec changed", sequence=sequence, compatible=data.compatible, digest=digest)
        return True


def _event(data: SpecChanged, tenant: TenantId) -> Event:
    return Event(
        type="spec.changed.v1", tenant=tenant, key=data.document, source="/bus", subject=data.document, data=data
    )


def _change(before: str, previous: str, document: Mapping[str, Any], current: str, sequence: int) -> SpecChanged:
    old = msgspec.json.decode(before)
    found = places(old, document)
    try:
        breaking = [f"{one.place}: {one.change}" for one in compare(old, document) if one.breaking]
    except NotAsyncApi as error:
        # One of them is of another major version of AsyncAPI: nothing is known to go on as it was.
        breaking = [error.message]
    return SpecChanged(
        document=_NAME,
        sequence=sequence,
        version=str(document["info"]["version"]),
        previous=previous,
        current=current,
        added=_some(found.added),
        changed=_some(found.changed),
        removed=_some(found.removed),
        compatible=not breaking,
        breaking=_some(breaking),
    )


def _some(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line[:_LONGEST] for line in lines[:_MOST])

"""Who tries, with which ids, and what he must not be able to tell apart."""

import re
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import col

from backend.domain.webhooks.repository import deliveries, subscriptions
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.ids import new_id
from backend.foundation.telemetry import repository
from backend.foundation.telemetry.ports import SpanRecord
from backend.governance.identity.models import UserRecord
from backend.governance.identity.rules import Role
from tests.fixtures.door import Installation
from tests.fixtures.people import PASSWORD

SECRET = "Adas-secret"
_ID = re.compile(r"(?:\b|(?<=%3D))(?:thr|run|agt|key|ses|msg|usr|tnt|evt|whs|whd)_\w+|\b[0-9a-f]{16,}\b|0x[0-9a-f]+")


@dataclass(frozen=True)
class Ids:
    """The names under which something of somebody's may be asked for."""

    thread: str
    run: str
    agent: str
    key: str
    session: str
    trace: str
    letter: str
    webhook: str
    delivery: str


NONE = Ids(
    thread="thr_00000000000000000000000000",
    run="run_00000000000000000000000000",
    agent="agt_00000000000000000000000000",
    key="key_00000000000000000000000000",
    session="ses_00000000000000000000000000",
    trace="0" * 31 + "1",
    letter="999999",
    webhook="whs_00000000000000000000000000",
    delivery="whd_00000000000000000000000000",
)
"""Ids of nothing."""


@dataclass(frozen=True)
class Person:
    """Somebody who tries: a session's cookie and an API key, each empty for none."""

    name: str
    cookie: str = ""
    key: str = ""


NOBODY = Person("nobody")


async def things_of_ada(house: Installation) -> Ids:
    """Make one of each kind in Ada's tenant, all of which carry the secret."""
    backend, ada = house.backend, house.ada
    sent = await backend.chat.send(ada, thread=None, agent="concierge", text=SECRET, client_id="a1")
    run = await backend.agents.run(ada, "concierge", input=SECRET)
    key = await backend.identity.create_api_key(ada, name=SECRET, scopes=["agents:run"], expires_days=1)
    (agent,) = await backend.agents.list(ada)
    (session, *_) = await backend.identity.sessions(ada)
    trace = await _trace(house)
    webhook, delivery = await _webhook(house)
    return Ids(sent.thread, run.id, agent.id, key.view.id, session.id, trace, await _letter(house), webhook, delivery)


async def _webhook(house: Installation) -> tuple[str, str]:
    """Subscribe for Ada, and queue a delivery; return the ids of both. The verb would wait until all know of it."""
    webhook, delivery = new_id("whs"), new_id("whd")
    mine = {"tenant": house.ada.tenant}
    async with house.backend.database.write(house.ada.tenant) as session:
        row = {"id": webhook, "url": f"https://example.org/{SECRET}", "types": [], "secret": SECRET}
        await subscriptions.add(session, mine | row)
        sent = {"id": delivery, "subscription": webhook, "event": SECRET, "type": "x", "body": f'"{SECRET}"'}
        await deliveries.queue(session, [mine | sent])
    return webhook, delivery


async def _letter(house: Installation) -> str:
    """Give an event of Ada's up; return the number of its letter."""
    data = StartRun(agent="concierge", input=SECRET)
    event = Event(type="agents.start_run.v1", tenant=house.ada.tenant, key="k", source="/test", data=data)
    async with house.backend.database.system_write() as session:
        await house.backend.bus.give_up(session, "flows", event, ValueError(SECRET), 5)
    (letter, *_) = await house.backend.dead_letters.letters(house.ada)
    return str(letter.id)


async def _trace(house: Installation) -> str:
    """Store a trace of Ada's; return its id."""
    trace = secrets.token_hex(16)
    span = SpanRecord(
        tenant=house.ada.tenant, trace_id=trace, span_id=secrets.token_hex(8), parent="", name=SECRET, service="web",
        kind="server", start_us=time.time_ns() // 1_000, duration_us=1_000, status="ok", attributes={"what": SECRET},
    )  # fmt: skip
    async with house.backend.database.system_write() as session:
        await repository.insert_spans(session, [span])
    return trace


async def others(house: Installation) -> list[Person]:
    """A stranger from another tenant, a colleague who may do nothing, and nobody."""
    identity = house.backend.identity
    await identity.create_user(house.ada, email="carol@example.org", password=PASSWORD, name="Carol", role=Role.MEMBER)
    async with house.backend.database.write(house.ada.tenant) as session:
        await session.execute(update(UserRecord).where(col(UserRecord.name) == "Carol").values(role="none"))
    carol = await identity.sign_in("carol@example.org", PASSWORD, client="tests", address="203.0.113.10")
    assert not carol.caller.permissions
    return [Person("stranger", house.bob_cookie, house.bob_key), Person("colleague", carol.cookie), NOBODY]


def masked(words: object) -> str:
    """Return a text in which ids and numbers look all alike."""
    return re.sub(r"\d+(?:\.\d+)?", "#", _ID.sub("<id>", str(words)))

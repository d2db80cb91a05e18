"""BUS-4: processes are killed in the middle of the repair of a dead letter."""

import pytest

from backend.app import Backend
from backend.bootstrap.outside import open_bus
from backend.bootstrap.settings import load
from backend.foundation.bus.ports import Message
from backend.foundation.events.codec import encode
from backend.foundation.kernel.ids import TenantId
from tests.crash.door import asked
from tests.crash.ledger import exact
from tests.crash.stand import Stand, person
from tests.crash.test_failpoints_of_the_bus import succeeded
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

REPLAYED = {"bus.replay.before": "WAITING", "database.commit.before": "WAITING", "bus.replay.after": "REPLAYED"}
"""The status of a letter whose replay was killed there."""
DISCARDED = {"bus.discard.before": "WAITING", "bus.discard.after": "DISCARDED"}
MENDED = '{"agent": "concierge", "input": "hello"}'


@pytest.mark.parametrize("failpoint", REPLAYED)
async def test_a_letter_whose_replay_was_killed_is_sent_once_or_can_be_replayed(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        await stand.worker()
        letter = await poisoned(stand, backend, tenant)
        mended = f"{letter} {MENDED}"
        assert await stand.door(tenant, "replay", mended, failpoints=f"{failpoint}=kill") == -9
        assert await status(backend, tenant) == REPLAYED[failpoint]
        again = await stand.door(tenant, "replay", mended)
        assert (again == 0) is (REPLAYED[failpoint] == "WAITING")
        await until(lambda: succeeded(backend, 1), 60)
        await exact(backend, model_stub)
        assert await status(backend, tenant) == "REPLAYED"


@pytest.mark.parametrize("failpoint", DISCARDED)
async def test_a_letter_whose_discarding_was_killed_is_discarded_or_waits(stand: Stand, failpoint: str) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        await stand.worker()
        letter = await poisoned(stand, backend, tenant)
        assert await stand.door(tenant, "discard", str(letter), failpoints=f"{failpoint}=kill") == -9
        assert await status(backend, tenant) == DISCARDED[failpoint]


async def poisoned(stand: Stand, backend: Backend, tenant: TenantId) -> int:
    """Send an event that nobody can read; return the number of its letter."""
    await backend.bus.start()
    topic, key, headers, _ = encode(asked(tenant))
    bus = open_bus(load({}, environ=stand.variables(), file=stand.folder / "none.toml"))
    await bus.start()
    assert await bus.publish([Message(topic, key, headers, b"no json at all")]) == [None]
    await bus.close()
    await until(lambda: _given_up(backend, tenant), 30)
    [letter] = await backend.dead_letters.letters(person(tenant))
    return letter.id


async def _given_up(backend: Backend, tenant: TenantId) -> bool:
    return bool(await backend.dead_letters.letters(person(tenant)))


async def status(backend: Backend, tenant: TenantId) -> str:
    [letter] = await backend.dead_letters.letters(person(tenant))
    return letter.status

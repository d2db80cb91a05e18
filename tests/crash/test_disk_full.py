"""FLW-3, OPS-1: the disk under SQLite is full: said, nothing corrupted, and work goes on when there is room."""

import asyncio
import resource
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from backend.app import Backend
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import DiskFull
from tests.crash.ledger import exact
from tests.crash.on_a_small_disk import sound
from tests.crash.stand import ROOT, Stand, person
from tests.crash.test_failpoints_of_the_bus import count_of_ended, talk
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.runs import finished
from tests.fixtures.small_disk import on_small_disk
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.only_on("sqlite"), pytest.mark.timeout(120)]

QUESTION = "Tell me something. #tokens 20 #slow 50"


@pytest.fixture
def sqlite_file(stand: Stand) -> Path:
    return Path(make_url(stand.database_url).database or "")


async def test_who_asks_is_told_that_the_disk_is_full_and_asks_again_when_there_is_room(
    stand: Stand, sqlite_file: Path
) -> None:
    """CHT-1."""
    async with stand.open() as backend:
        caller = person(await tenant_of(backend))
        async with backend.database.system_write() as session:
            pages = (await session.execute(text("PRAGMA page_count"))).scalar_one()
            # The writer's one connection may use these pages and no more: the error is that of a full disk.
            await session.execute(text(f"PRAGMA max_page_count = {pages + 8}"))
        with pytest.raises(DiskFull) as told:
            await send_many(backend, caller, 50)
        sent = len(await backend.chat.threads(caller, limit=200))
        assert (told.value.code, told.value.status, told.value.retry) == ("disk_full", 503, True)
        assert "Free space" in told.value.hint
        with pytest.raises(DiskFull):
            await backend.agents.run(caller, "concierge", input="x" * 5_000)
        for thread in await backend.chat.threads(caller, limit=200):
            assert [message.text for message in await backend.chat.messages(caller, thread.id)] == ["x" * 5_000]
        assert sound(sqlite_file) == "ok"
        async with backend.database.system_write() as session:
            await session.execute(text("PRAGMA max_page_count = 1000000"))
        await send_many(backend, caller, 1)
        assert len(await backend.chat.threads(caller, limit=200)) == sent + 1


async def test_a_run_whose_worker_can_store_nothing_more_ends_when_there_is_room_again(
    stand: Stand, sqlite_file: Path, model_stub: ModelStub
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        worker = await stand.worker()
        await talk(backend, tenant)
        model_stub.reset()
        run = await backend.agents.run(person(tenant), "concierge", input=QUESTION)
        await model_stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        # No file of the worker may grow beyond this: what the kernel refuses is the next page of the log.
        log = sqlite_file.with_name(f"{sqlite_file.name}-wal").stat().st_size
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (log, resource.RLIM_INFINITY))
        await until(lambda: "run_not_stored" in worker.said(), 20)
        assert "takes nothing more" in worker.said()
        assert (await backend.flows.get(person(tenant), run.id)).status == "RUNNING"
        assert sound(sqlite_file) == "ok"
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        ended = await finished(backend, person(tenant), run.id, 30)
        assert ended.status == "SUCCEEDED", worker.said()
        assert await count_of_ended(backend) == 2
        await exact(backend, model_stub)
        assert sound(sqlite_file) == "ok"
    assert "Traceback" not in worker.said()


@pytest.mark.on_small_disk
async def test_on_a_disk_without_a_byte_left_everybody_is_told_and_all_goes_on_when_there_is_room(
    sqlite_template: Path, private_valkey: PrivateValkey, model_stub: ModelStub, tmp_path: Path
) -> None:
    """CHT-1: this time the file system itself says no, to all processes and all files at once."""
    disk, logs = tmp_path / "disk", tmp_path / "logs"
    for folder in (disk, logs):
        folder.mkdir()
    command = [sys.executable, "-m", "tests.crash.on_a_small_disk", str(disk), str(logs), str(sqlite_template)]
    command = on_small_disk(disk, 16, [*command, private_valkey.url, model_stub.url])
    inside = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    told, _ = await inside.communicate()
    assert inside.returncode == 0, told.decode()


async def send_many(backend: Backend, caller: Caller, count: int) -> None:
    for _ in range(count):
        await backend.chat.send(caller, thread=None, agent="concierge", text="x" * 5_000)

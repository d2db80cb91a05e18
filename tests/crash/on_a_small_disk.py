"""What goes on where the file system of the database is full, run inside of a small one: exits with 0 when it is right.

``python -m tests.crash.on_a_small_disk <the disk> <folder of logs> <migrated file> <URL of Valkey> <URL of the model>``
"""

import asyncio
import shutil
import sqlite3
import sys
from pathlib import Path

from backend.app import Backend
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import DiskFull
from tests.crash.ledger import exact
from tests.crash.stand import Stand, person
from tests.crash.test_failpoints_of_the_bus import talk
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.runs import finished
from tests.fixtures.small_disk import Ballast
from tests.fixtures.waiting import until

QUESTION = "Tell me something. #tokens 20 #slow 50"


async def main(disk: Path, folder: Path, migrated: Path, redis: str, model: str) -> None:
    """Fill the disk in the middle of an answer and free it again."""
    file = disk / "autoweave.db"
    shutil.copyfile(migrated, file)
    stand = Stand(folder=folder, database_url=f"sqlite:///{file}", redis_url=redis, model_url=model)
    try:
        await answer_on(stand, Ballast(disk / "ballast"), ModelStub(model))
    finally:
        stand.close()
    assert sound(file) == "ok"
    assert all("Traceback" not in worker.said() for worker in stand.workers)


async def answer_on(stand: Stand, ballast: Ballast, stub: ModelStub) -> None:
    async with stand.open() as backend:
        caller = person(await tenant_of(backend))
        worker = await stand.worker()
        await talk(backend, caller.tenant)
        stub.reset()
        run = await backend.agents.run(caller, "concierge", input=QUESTION)
        await stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        ballast.fill()
        assert await refused(backend, caller, 50), "all was stored on a full disk"
        await until(lambda: "run_not_stored" in worker.said(), 20)
        assert "takes nothing more" in worker.said()
        assert (await backend.flows.get(caller, run.id)).status == "RUNNING"
        ballast.free()
        ended = await finished(backend, caller, run.id, 30)
        assert ended.status == "SUCCEEDED", worker.said()
        await until(lambda: all_answered(backend, caller), 30)
        await exact(backend, stub)


async def refused(backend: Backend, caller: Caller, count: int) -> bool:
    """Whether one of so many messages is refused because the disk is full: the log of SQLite may have had some room."""
    for _ in range(count):
        try:
            await backend.chat.send(caller, thread=None, agent="concierge", text="x" * 5_000)
        except DiskFull:
            return True
    return False


async def all_answered(backend: Backend, caller: Caller) -> bool:
    """Whether each message that was taken has a reply."""
    threads = await backend.chat.threads(caller, limit=200)
    told = [await backend.chat.messages(caller, thread.id) for thread in threads]
    return all([message.role for message in messages] == ["user", "assistant"] for messages in told)


def sound(file: Path) -> str:
    """What SQLite's own check says."""
    with sqlite3.connect(file) as connection:
        [said] = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return said


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:4]), *sys.argv[4:]))

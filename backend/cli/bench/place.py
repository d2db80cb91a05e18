"""Where a load runs: a name space, a database and, unless Redis is set, a Valkey that nobody else uses."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from backend.adapters.database.beside import database_beside
from backend.bootstrap import embedded
from backend.bootstrap.parent import die_with_parent
from backend.bootstrap.prepare import migrate
from backend.bootstrap.settings import Settings
from backend.foundation.bus.ports import Bus
from backend.foundation.bus.rules import group_of
from backend.foundation.kernel.errors import Conflict, Unavailable

_START_S = 20.0
_LOOK_AGAIN_S = 0.02
_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """Settings that lead to nothing but what was made here; ``valkey`` is the process id of its own server, or 0."""

    settings: Settings
    valkey: int


@contextmanager
def own_place(settings: Settings) -> Generator[Place]:
    """Make a place on the broker of the settings; folder, database and own server are gone afterwards.

    Topics and groups begin with the place's name, so that no event of an installation on the same broker is met; they
    go by `clear`. The database is new too: an installation's relay would send what it finds in its outbox.
    """
    name = f"bench{secrets.token_hex(4)}"
    with TemporaryDirectory(prefix="autoweave-bench-") as folder, ExitStack() as stack:
        data = Path(folder)
        own = replace(
            settings,
            data=data,
            namespace=name,
            database_url=stack.enter_context(database_beside(settings.database_url, name, data)),
            redis_url=embedded.url(data) if settings.embedded_redis else settings.redis_url,
        )
        migrate(own)
        yield Place(own, stack.enter_context(_valkey(data)) if settings.embedded_redis else 0)


async def clear(bus: Bus, *consumers: str) -> None:
    """Delete the topics of the bus's name space, and the groups of the consumers."""
    for consumer in consumers:
        try:
            await bus.delete_group(group_of(consumer))
        except Conflict as error:
            # Of a process that was killed; the broker forgets it in time, as it has no topic any more.
            print(error.message, file=sys.stderr)
    for topic in await bus.topics():
        await bus.delete_topic(topic.name)


def seconds_of(process: int) -> float:
    """Return the processor time of a process so far, in seconds; 0 where it cannot be told."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _valkey(data: Path) -> Generator[int]:
    # In a group of its own: a Ctrl-C at the terminal must not end it before what waits is handled.
    process = subprocess.Popen(
        embedded.command(data), stdin=subprocess.DEVNULL, process_group=0, preexec_fn=die_with_parent
    )
    try:
        deadline = time.monotonic() + _START_S
        while not embedded.answers(data):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"Valkey does not start: {embedded.last_words(data)}", hint="Run `autoweave doctor`.")
            time.sleep(_LOOK_AGAIN_S)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

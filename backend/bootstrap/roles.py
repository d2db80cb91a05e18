"""What a worker process does for each of its roles, from start to drain."""

import asyncio
import os
import signal
from collections.abc import Callable, Collection

import structlog

from backend.bootstrap.collector import spare_what_stays
from backend.bootstrap.settings import Settings
from backend.bootstrap.wiring import open_built

ROLES = ("agents", "jobs", "relay", "hotplug")
_log = structlog.get_logger("worker")


async def run_worker(
    settings: Settings,
    roles: Collection[str],
    worker_id: str,
    *,
    member: str = "",
    replaces: str = "",
    ready: Callable[[], None],
) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Args:
        roles: some of `ROLES`; ``hotplug`` is accepted and idle until something is given to it.
        worker_id: names the owner of leases; unique for each start.
        member: its name on the bus; a restarted worker that has its predecessor's goes on where that one stopped.
        replaces: a dead worker whose leases are given back at once.
        ready: called when the process takes work.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with open_built(settings, roles, worker_id, member) as built:
        await built.prepare_tenants()
        await built.tell_of_the_document()
        await built.start(roles, replaces, loaded=spare_what_stays)
        ready()
        _log.info("worker_ready", roles=sorted(roles), worker=worker_id, pid=os.getpid())
        await stopped.wait()
        _log.info("worker_drains", worker=worker_id)
        await built.stop()

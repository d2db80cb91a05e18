"""`autoweave run …`: the processes that stay. Standard library only, until a process knows that it needs more."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from backend.bootstrap.entrance import check_address
from backend.bootstrap.settings import FLAGS, Settings, load
from backend.bootstrap.supervisor.plan import ROLES
from backend.cli.report import report
from backend.foundation.kernel.errors import AutoWeaveError, Invalid
from backend.foundation.kernel.ids import new_id

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def main(arguments: list[str]) -> int:
    """Run the process that the arguments name; return its exit code."""
    given = parser().parse_args(arguments)
    try:
        return given.start(load({setting.key: getattr(given, setting.key) for setting in FLAGS}), given)
    except AutoWeaveError as error:
        return report(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def parser() -> argparse.ArgumentParser:
    """The command line of `autoweave run`."""
    top = argparse.ArgumentParser(prog="autoweave run", description="Start AutoWeave, or one of its roles.")
    roles = top.add_subparsers(required=True, metavar="all|web|worker")
    words = "everything on this machine: Valkey, web, workers; restarts what crashes"
    _complete(roles.add_parser("all", help=words, description=words), _all)
    words = "pages and API alone"
    web = _complete(roles.add_parser("web", help=words, description=words), _web)
    words = "agents, jobs, relay and hot-plug, all or some"
    worker = _complete(roles.add_parser("worker", help=words, description=words), _worker)
    worker.add_argument("--roles", default=",".join(ROLES), help="with commas between; all by default")
    worker.add_argument("--worker-id", default="", help="names the owner of leases; made up when not given")
    worker.add_argument("--member", default="", help="its name on the bus, the same over restarts; the id by default")
    worker.add_argument("--replaces", default="", help="a dead worker's id: its leases are given back at once")
    prepare = _complete(roles.add_parser("prepare"), _prepare)
    # Descriptors by which the supervisor and its children talk.
    for child in (worker, prepare):
        child.add_argument("--notice", type=int, default=-1, help=argparse.SUPPRESS)
    for child in (web, worker):
        child.add_argument("--gate", type=int, default=-1, help=argparse.SUPPRESS)
    return top


def _complete(
    made: argparse.ArgumentParser, start: Callable[[Settings, argparse.Namespace], int]
) -> argparse.ArgumentParser:
    made.set_defaults(start=start)
    for setting in FLAGS:
        made.add_argument(setting.flag, dest=setting.key, metavar="VALUE", help=setting.help.replace("%", "%%"))
    return made


def _all(settings: Settings, _given: argparse.Namespace) -> int:
    from backend.bootstrap.supervisor.run import run_all

    return run_all(settings)


def _web(settings: Settings, given: argparse.Namespace) -> int:
    from backend.bootstrap.web import serve

    if not settings.loopback:
        # Only here does this process need the database; the one that serves opens it by itself.
        import asyncio

        from backend.bootstrap.prepare import administrator_exists

        check_address(settings, administrator=asyncio.run(administrator_exists(settings)))
    serve(settings, before=lambda: _wait(given.gate))
    return 0


def _worker(settings: Settings, given: argparse.Namespace) -> int:
    # Models, tools and the database: a second of imports, in workers only.
    import asyncio

    from backend.bootstrap.roles import run_worker
    from backend.foundation.telemetry.logs import configure_logs

    configure_logs(format=settings.log_format, service="worker")
    roles = [role.strip() for role in given.roles.split(",") if role.strip()]
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        raise Invalid(f"--roles names {', '.join(unknown) or 'nothing'}.", hint=f"Use some of {', '.join(ROLES)}.")
    name = given.worker_id or new_id("wrk")
    _wait(given.gate)
    work = run_worker(
        settings,
        roles,
        name,
        member=given.member,
        replaces=given.replaces,
        ready=lambda: _tell(given.notice, b"ready"),
    )
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(work)
    return 0


def fast_loop() -> "Callable[[], AbstractEventLoop] | None":
    """Return what makes the loop that the web process has too; Windows has none of it."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _prepare(settings: Settings, given: argparse.Namespace) -> int:
    from backend.bootstrap.prepare import prepare

    _tell(given.notice, json.dumps(asdict(prepare(settings))).encode())
    return 0


def _tell(notice: int, words: bytes) -> None:
    """Tell the supervisor, if there is one; it may have gone."""
    if notice < 0:
        return
    try:
        os.write(notice, words)
        os.close(notice)
    except OSError as error:
        print(f"The supervisor does not listen any more: {error}", file=sys.stderr)


def _wait(gate: int) -> None:
    """Return when the supervisor has prepared the database: it closes its end then. Without one, at once."""
    if gate >= 0:
        os.read(gate, 1)

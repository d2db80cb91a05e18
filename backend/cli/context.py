"""What commands share: settings, an open backend, passwords and output."""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import typer

from backend.app import Backend
from backend.bootstrap.settings import Settings, load
from backend.cli.terminal import plain
from backend.foundation.kernel.errors import Invalid

DATA_HELP = "Folder of the database, the bundled Valkey and files."
_LONGEST_PASSWORD = 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """The flags before the command's name."""

    flags: Mapping[str, str | None]

    def settings(self) -> Settings:
        """Read all sources; raise `WrongSetting`."""
        return load(self.flags)


def settings_of(context: typer.Context) -> Settings:
    """Return the settings of this command line."""
    given = context.find_object(Given)
    return load() if given is None else given.settings()


def with_backend(context: typer.Context, work: Callable[[Backend], Awaitable[T]]) -> T:
    """Open the rooms, do the work and return its result."""
    return asyncio.run(_work(settings_of(context), work))


async def _work(settings: Settings, work: Callable[[Backend], Awaitable[T]]) -> T:
    # Models, tools and telemetry: a second that `--help` and wrong settings need not wait for.
    from backend.bootstrap.prepare import require_current
    from backend.bootstrap.wiring import open_backend
    from backend.foundation.telemetry.logs import configure_logs

    configure_logs(format=settings.log_format, service="cli", level="error")
    await require_current(settings)
    async with open_backend(settings, roles=()) as backend:
        return await work(backend)


def read_password(*, from_stdin: bool) -> str:
    """Return a password: the first line of stdin, or asked for twice at a terminal. Never from the command line."""
    if from_stdin:
        return _not_empty(sys.stdin.readline(_LONGEST_PASSWORD).rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise Invalid("There is no terminal to ask for the password at.", hint="Pipe it in and add --password-stdin.")
    password = _not_empty(getpass.getpass("Password: "))
    if getpass.getpass("Again: ") != password:
        raise Invalid("The two passwords differ.", hint="Run the command again.")
    return password


def show(value: object, *, as_json: bool, words: str) -> None:
    """Print the value as JSON for programs, or the words for people; either way nothing in it acts on a terminal."""
    print(plain(json.dumps(value, indent=2, ensure_ascii=False) if as_json else words, lines=True))


def _not_empty(password: str) -> str:
    if not password:
        raise Invalid("The password is empty.", hint="Give one line on stdin.")
    return password

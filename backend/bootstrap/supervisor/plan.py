"""Which processes `autoweave run all` keeps alive, and how each is started."""

import hashlib
import os
import socket
import sys
from collections.abc import Callable, Sequence

from backend.bootstrap import embedded
from backend.bootstrap.settings import Settings
from backend.bootstrap.supervisor.child import Child
from backend.bootstrap.supervisor.output import Output
from backend.foundation.kernel.ids import new_id

ROLES = ("agents", "jobs", "relay", "hotplug")
"""What a worker process may do; on one machine each does all of it."""
# -P: a folder that happens to be called `backend` where the command is given is not imported.
_AUTOWEAVE = (sys.executable, "-P", "-m", "backend")

Command = Callable[[int], Sequence[str]]


class Plan:
    """The children for these settings.

    Args:
        lock: the descriptor that keeps the data folder.
    """

    def __init__(self, settings: Settings, lock: int) -> None:
        self._settings = settings
        self._environment = {**os.environ, **settings.environment()}
        # Compiled modules halve the time of the next start.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._lock = lock
        self._gate, self._gatekeeper = os.pipe()

    def open_gate(self) -> None:
        """Let web and workers go on: they load their code at once, but open the database only when it is prepared."""
        os.close(self._gatekeeper)

    def valkey(self) -> Child:
        """The bundled Valkey; it keeps the lock, so that no second one can write its file."""
        return self._child("valkey", lambda _notice: embedded.command(self._settings.data), inherited=(self._lock,))

    def prepare(self) -> Child:
        """Brings the tables to this version and tells, as JSON, whether there is an administrator."""
        return self._child("prepare", lambda notice: [*_AUTOWEAVE, "run", "prepare", "--notice", str(notice)])

    def web(self) -> Child:
        """Pages and API; `/ready` says when they are served."""
        words = [*_AUTOWEAVE, "run", "web", "--gate", str(self._gate)]
        return self._child("web", lambda _notice: words, inherited=(self._gate,))

    def workers(self) -> list[Child]:
        """All that happens behind the pages."""
        count = self._settings.workers
        names = [f"worker-{n}" if count > 1 else "worker" for n in range(1, count + 1)]
        return [
            self._child(name, _worker(self._gate, self._member(number)), inherited=(self._gate,))
            for number, name in enumerate(names)
        ]

    def _member(self, number: int) -> str:
        """Name a worker on the bus; where its partitions wait for it, the name is the same at the next start."""
        if not self._settings.bus_restart:
            return new_id("mbr")
        place = hashlib.sha256(os.fsencode(self._settings.data)).hexdigest()[:8]
        return f"{socket.gethostname()[:100]}-{place}-{number}"

    def _child(self, name: str, command: Command, *, inherited: tuple[int, ...] = ()) -> Child:
        output = Output(name) if self._settings.log_format == "plain" else None
        return Child(name, command, self._environment, inherited=inherited, output=output)


def _worker(gate: int, member: str) -> Command:
    before = ""

    def command(notice: int) -> list[str]:
        # The new process has at once what the old one held, of runs and of the bus, instead of waiting for its leases
        # to run out.
        nonlocal before
        replaced, before = before, new_id("wrk")
        words = [*_AUTOWEAVE, "run", "worker", "--roles", ",".join(ROLES), "--worker-id", before]
        words += ["--member", member]
        words += ["--gate", str(gate), "--notice", str(notice)]
        return [*words, "--replaces", replaced] if replaced else words

    return command

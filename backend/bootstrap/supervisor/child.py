"""One process under the supervisor, in a process group of its own, that dies with it."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from backend.bootstrap.parent import die_with_parent
from backend.bootstrap.supervisor.output import Output


class Child:
    """A process that can be started again and again.

    Args:
        name: how messages call it.
        command: returns the command line of the next start; it gets the descriptor on which the process tells that it
            is ready.
        environment: of the process.
        inherited: descriptors that it keeps open.
        output: where its output goes; without one it has the supervisor's own.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        environment: Mapping[str, str],
        *,
        inherited: tuple[int, ...] = (),
        output: Output | None = None,
    ) -> None:
        self.name = name
        self.output = output
        self.ready = False
        self.started = 0.0
        self.told = b""
        self.out: int | None = None
        self.notice: int | None = None
        self._command = command
        self._environment = environment
        self._inherited = inherited
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 while there is no process."""
        return 0 if self._process is None else self._process.pid

    def start(self, now: float) -> None:
        """Start the process. `out` and `notice` are then what it prints and what it tells when it is ready."""
        self.ready, self.started, self.told = False, now, b""
        self.notice, theirs = os.pipe()
        os.set_blocking(self.notice, False)
        try:
            self._process = subprocess.Popen(
                self._command(theirs),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=None if self.output is None else subprocess.PIPE,
                stderr=None if self.output is None else subprocess.STDOUT,
                pass_fds=(theirs, *self._inherited),
                process_group=0,
                preexec_fn=die_with_parent,
            )
        finally:
            os.close(theirs)
        if self._process.stdout is not None:
            self.out = self._process.stdout.fileno()
            os.set_blocking(self.out, False)

    def exited(self) -> int | None:
        """Return the exit code once the process has ended (negative: the signal), with all of its group gone too."""
        if self._process is None:
            return None
        if hasattr(os, "waitid"):
            # While the leader is not reaped, its group's number cannot belong to anybody else.
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.signal_group(signal.SIGKILL)
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Signal the process alone: it drains its own children."""
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, number)

    def signal_group(self, number: int) -> None:
        """Signal the process and all that it started."""
        if self._process is not None and self._process.returncode is None:
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):
                return

    def forget(self) -> None:
        """Close the descriptors of a process that has ended."""
        if self.notice is not None:
            os.close(self.notice)
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        if self.output is not None:
            self.output.close()
        self.notice = self.out = self._process = None

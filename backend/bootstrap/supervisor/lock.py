"""One AutoWeave on a data folder: the second start is refused and told who holds it."""

import fcntl
import json
import os
import time
from pathlib import Path

from backend.foundation.kernel.errors import Conflict

_PATIENCE_S = 2.0
_NAME = "autoweave.lock"


class AlreadyRunning(Conflict):
    """The data folder is in use."""

    code = "already_running"


class DataLock:
    """Holds the folder until the process and every child that inherited `descriptor` have ended."""

    def __init__(self, folder: Path, url: str) -> None:
        """Take the lock; raise `AlreadyRunning` when another process keeps it.

        Children of a supervisor that was killed end within milliseconds, so a lock without a living holder is waited
        for; Valkey keeps it, so that two of them can never write the same file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._path = folder / _NAME
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._take()
        os.ftruncate(self.descriptor, 0)
        words = {"pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S"), "url": url}
        os.pwrite(self.descriptor, json.dumps(words).encode(), 0)

    def release(self) -> None:
        """Give the folder back."""
        os.close(self.descriptor)

    def _take(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                holder = self._holder()
                if _alive(holder.get("pid")) or time.monotonic() > deadline:
                    os.close(self.descriptor)
                    raise _refusal(self._path.parent, holder) from None
            time.sleep(0.05)

    def _holder(self) -> dict[str, object]:
        try:
            return dict(json.loads(os.pread(self.descriptor, 4096, 0)))
        except ValueError:
            return {}


def _alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refusal(folder: Path, holder: dict[str, object]) -> AlreadyRunning:
    return AlreadyRunning(
        f"AutoWeave already runs on {folder}: process {holder.get('pid', 'unknown')}, "
        f"started {holder.get('started', 'at an unknown time')}, at {holder.get('url', 'an unknown address')}.",
        hint="Use that one, stop it, or give this one another folder and port: --data ./other --port 8001.",
    )

"""Small writes that nobody waits for: when a session was seen, when a key was used, that a sign-in failed."""

import asyncio
from collections.abc import Coroutine

from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.telemetry.logs import get_logger

_MOST = 100
_log = get_logger("identity")


class Later:
    """Runs at most 100 such writes at once; one more is dropped, since none of them may hold up a request."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, write: Coroutine[None, None, None]) -> bool:
        """Start the write, or drop it and return false when too many are at work."""
        if len(self._tasks) >= _MOST:
            write.close()
            return False
        task = asyncio.create_task(_logged(write))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Wait until the writes at work are done."""
        await asyncio.gather(*self._tasks)


async def _logged(write: Coroutine[None, None, None]) -> None:
    try:
        await write
    except AutoWeaveError as error:
        _log.warning("note about a session or key not stored", reason=error.message)
    except Exception:  # noqa: BLE001 - edge of a background task that nobody awaits
        _log.exception("note about a session or key not stored")

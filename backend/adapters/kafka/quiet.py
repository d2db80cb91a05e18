"""The library logs each of its attempts: during an outage that is several lines a second."""

import logging
import time
from collections import deque

_EVERY_S = 30.0
_MOST = 3
"""How many lines of the library pass in that time, whatever they say: what it means for us is said by those who ask."""


class Repeats(logging.Filter):
    """Lets a message of the library pass once in a while, whatever its arguments, and few of all; says what it held."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[object, float] = {}
        self._held: dict[object, int] = {}
        self._passed: deque[float] = deque(maxlen=_MOST)
        self._others = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be logged."""
        if record.levelno >= logging.CRITICAL:
            return True
        message, now = str(record.msg), time.monotonic()
        if now - self._last.get(message, -_EVERY_S) < _EVERY_S:
            self._held[message] = self._held.get(message, 0) + 1
            return False
        if len(self._passed) == _MOST and now - self._passed[0] < _EVERY_S:
            self._others += 1
            return False
        self._passed.append(now)
        self._last[message] = now
        held = self._held.pop(message, 0)
        if held:
            record.msg = f"{message} ({held} more like it)"
        if self._others:
            record.msg = f"{record.msg} ({self._others} other lines of the library left out)"
            self._others = 0
        return True


_repeats = Repeats()


def quieten() -> None:
    """Apply it to all loggers of the library; doing so again is fine."""
    # A logger's filter does not reach its children.
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "aiokafka"]:
        logger = logging.getLogger(name)
        if _repeats not in logger.filters:
            logger.addFilter(_repeats)

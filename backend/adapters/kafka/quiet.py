"""The library logs each of its attempts: during an outage that is several lines a second."""

import logging
import time

_EVERY_S = 30.0


class Repeats(logging.Filter):
    """Lets a message of the library pass once in a while, whatever its arguments, and says how often it came."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[object, float] = {}
        self._held: dict[object, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be logged."""
        if record.levelno >= logging.CRITICAL:
            return True
        message, now = str(record.msg), time.monotonic()
        if now - self._last.get(message, -_EVERY_S) < _EVERY_S:
            self._held[message] = self._held.get(message, 0) + 1
            return False
        self._last[message] = now
        held = self._held.pop(message, 0)
        if held:
            record.msg = f"{message} ({held} more like it)"
        return True


_repeats = Repeats()


def quieten() -> None:
    """Apply it to all loggers of the library; doing so again is fine."""
    # A logger's filter does not reach its children.
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "aiokafka"]:
        logger = logging.getLogger(name)
        if _repeats not in logger.filters:
            logger.addFilter(_repeats)

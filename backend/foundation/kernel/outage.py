"""`Outage`: what the log says while something does not work: that, how long still, and that it is over."""

import time
from typing import Any

_EVERY_S = 30.0


class Outage:
    """Says the first failure at once, one in half a minute of those that follow, and the end.

    Args:
        log: where.
        fails: what is said of a failure. works: what is said of the end.
    """

    def __init__(self, log: Any, *, fails: str, works: str) -> None:
        self._log = log
        self._fails = fails
        self._works = works
        self._since: float | None = None
        self._said = 0.0
        self.failures = 0

    def failed(self, reason: str) -> None:
        """Count a failure."""
        now = time.monotonic()
        self.failures += 1
        if self._since is None or now - self._said >= _EVERY_S:
            self._said = now
            self._log.warning(self._fails, error=reason, failures=self.failures)
        self._since = now if self._since is None else self._since

    def ended(self, **facts: Any) -> None:
        """It works: say so if it did not."""
        if self._since is None:
            return
        self._log.info(self._works, after_s=round(time.monotonic() - self._since, 1), failures=self.failures, **facts)
        self._since, self.failures = None, 0

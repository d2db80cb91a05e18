"""How long a crashed child waits before it starts again, and when it is given up."""

from collections import deque

LIMIT = 6
WINDOW_S = 120.0
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 15.0


class CrashBudget:
    """At most `LIMIT` crashes in `WINDOW_S`, with a delay that doubles from one to the next."""

    def __init__(self) -> None:
        self._crashes: deque[float] = deque()

    def spend(self, now: float) -> float | None:
        """Record a crash at ``now`` (seconds); return the seconds to wait, or ``None`` when the budget is spent."""
        while self._crashes and self._crashes[0] < now - WINDOW_S:
            self._crashes.popleft()
        self._crashes.append(now)
        if len(self._crashes) > LIMIT:
            return None
        return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (len(self._crashes) - 1))

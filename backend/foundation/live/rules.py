"""Names of streams and channels, and how a cursor over a run's stream is written: the one place for both."""

from typing import NamedTuple

from backend.foundation.kernel.errors import Invalid
from backend.foundation.kernel.ids import RunId, TenantId, ThreadId, UserId

_HINT = "Use the cursor of an entry as it came, or 0 for the beginning."


def run_stream(run: RunId | str) -> str:
    """The stream of what a run shows while it works."""
    return f"run:{run}"


def thread_channel(tenant: TenantId, thread: ThreadId | str) -> str:
    """Something in a thread changed."""
    return f"thread:{tenant}:{thread}"


def threads_channel(tenant: TenantId, user: UserId | str) -> str:
    """A user's list of threads changed."""
    return f"threads:{tenant}:{user}"


def runs_channel() -> str:
    """Something is runnable: workers look."""
    return "runs"


def cancel_channel() -> str:
    """A run is to be cancelled; the payload is its id."""
    return "cancel"


def ended_channel() -> str:
    """A run has ended; the payload is its id."""
    return "ended"


def outbox_channel() -> str:
    """Events wait in the outbox: the relay looks."""
    return "outbox"


def deliveries_channel() -> str:
    """Something is to be delivered to a webhook: workers look."""
    return "deliveries"


def webhooks_channel(tenant: TenantId | str) -> str:
    """A tenant's webhooks, or their deliveries, changed."""
    return f"webhooks:{tenant}"


def sessions_channel() -> str:
    """A session or key was revoked; the payload is its id."""
    return "sessions"


def health_channel() -> str:
    """The health of a part changed."""
    return "health"


class RunCursor(NamedTuple):
    """Where a reader of a run's stream stands: the store's cursor, and the epoch and number of the last entry."""

    store: str = "0"
    epoch: int = 0
    seq: int = 0

    def __str__(self) -> str:
        return f"{self.store}.{self.epoch}.{self.seq}"


def parse_cursor(text: str) -> RunCursor:
    """Return the cursor that `str` wrote; a store's own cursor is taken too, ``""`` and ``"0"`` are the beginning.

    Raises:
        Invalid: it is neither.
    """
    store, *numbers = (text or "0").split(".")
    milliseconds, _, number = store.partition("-")
    plain = milliseconds.isdecimal() and (number or "0").isdecimal() and store.isascii() and len(store) <= 40
    if not plain or len(numbers) not in {0, 2} or not all(n.isdecimal() and len(n) <= 20 for n in numbers):
        raise Invalid("The cursor cannot be read.", hint=_HINT, field="cursor")
    return RunCursor(store, *map(int, numbers))

"""What follows an attempt: done, another attempt later, or the end; and when a subscription is turned off."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SCHEDULE_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each failed attempt, as Standard Webhooks proposes; after the last the delivery has failed."""

GIVE_UP_AFTER_MS = 24 * 3_600_000
"""A subscription of which every attempt failed for so long is turned off."""

LONGEST_WISH_S = 6 * 3_600
"""A receiver's ``Retry-After`` is heeded up to this."""

_JITTER = 0.2
_GONE = 410
LONGEST_ERROR, LONGEST_ANSWER = 300, 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: ``code`` is the answer's status, 0 for none; ``error`` says why there is none."""

    code: int = 0
    error: str = ""
    answer: str = ""
    retry_after: str = ""
    duration_ms: int = 0

    @property
    def ok(self) -> bool:
        """Whether the receiver took it."""
        return 200 <= self.code < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more of this subscription."""
        return self.code == _GONE

    @property
    def words(self) -> str:
        """Why it failed, in a line; empty when it did not."""
        return "" if self.ok else self.error or f"The receiver answered {self.code}."


def wait_ms(outcome: Outcome, step: int, *, now_s: float) -> int | None:
    """Return in how many milliseconds to try again after the failure of a step (from 0), ``None`` for not at all."""
    if outcome.gone or step >= len(SCHEDULE_S):
        return None
    wished = min(retry_after_s(outcome.retry_after, now_s=now_s), LONGEST_WISH_S)
    # Never earlier than the schedule says, so that many that failed together do not come back together.
    wait = max(SCHEDULE_S[step], wished) * random.uniform(1, 1 + _JITTER)  # noqa: S311 - jitter, no secret
    return int(wait * 1_000)


def retry_after_s(text: str, *, now_s: float) -> float:
    """Return the seconds that ``Retry-After`` asks for, in either of its forms; 0 for none or nonsense."""
    text = text.strip()[:64]
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now_s)


def rfc3339(ms: int) -> str:
    """Return a time as events tell it."""
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def readable(body: bytes) -> str:
    """Return the start of an answer as text that can be stored and shown, whatever bytes it has."""
    text = body[:LONGEST_ANSWER].decode(errors="replace")
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)

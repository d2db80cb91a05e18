"""From when on messages are asked for, as it is typed."""

import re
from dataclasses import dataclass
from datetime import datetime

from backend.foundation.kernel.errors import Invalid

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})\s*([smhd])", re.ASCII)

_PLACE = re.compile(r"(\d{1,5})\s*@\s*(\S{1,50})", re.ASCII)
"""An offset of a partition, as the screen of a message has it."""


@dataclass(frozen=True, slots=True)
class Since:
    """So many milliseconds ago, a moment, or an offset of a partition; ``words`` is what was typed."""

    words: str
    ago_ms: int = 0
    moment_ms: int = 0
    partition: int | None = None
    offset: str = ""

    def at_ms(self, now_ms: int) -> int:
        """Return the moment, in milliseconds since 1970."""
        return max(0, now_ms - self.ago_ms) if self.ago_ms else self.moment_ms


def since_of(words: str) -> Since:
    """Return what words such as ``15m``, ``7d``, ``2026-01-31 12:00``, ``all`` and ``3@1700`` mean; raise `Invalid`.

    A moment without a zone is one of this machine's.
    """
    words = words.strip().lower()
    if words == "all":
        return Since(words)
    if span := _SPAN.fullmatch(words):
        return Since(words, ago_ms=int(span[1]) * _SECONDS[span[2]] * 1_000)
    if place := _PLACE.fullmatch(words):
        return Since(words, partition=int(place[1]), offset=place[2])
    try:
        return Since(words, moment_ms=max(0, int(datetime.fromisoformat(words).timestamp() * 1_000)))
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid(
            f"{words!r} is no time.", hint="Type 15m, 2h, 7d, 2026-01-31 12:00, all or 3@1700.", field="since"
        ) from error

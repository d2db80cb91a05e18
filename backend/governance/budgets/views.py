"""What doors tell of a rate limit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One limit that a call was counted against.

    Attributes:
        name: ``caller`` or ``tenant``: whose it is.
        most: so many at once. window_s: so many seconds an empty one needs to be full again.
        left: so many are left now. full_s: seconds until it is full again.
    """

    name: str
    most: int
    window_s: int
    left: int
    full_s: int

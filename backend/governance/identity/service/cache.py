"""Who a cookie or a key belongs to, remembered for a few seconds."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from backend.foundation.kernel.caller import Caller

_LIFE_S = 5.0
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    until: float


class CallerCache:
    """At most 10,000 callers by the hash of their secret, none for longer than 5 s.

    A lookup that began before something was dropped must not put back what was dropped: whoever looks up takes
    `generation` first and hands it to `keep`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self.generation = 0

    def find(self, secret_hash: str) -> Caller | None:
        """Return the caller who was kept under the hash in the last 5 s."""
        known = self._known.get(secret_hash)
        if known is None:
            return None
        if known.until <= self._clock():
            del self._known[secret_hash]
            return None
        return known.caller

    def keep(self, secret_hash: str, caller: Caller, generation: int) -> None:
        """Remember the caller, unless something was dropped since ``generation`` was taken."""
        if generation != self.generation:
            return
        self._known[secret_hash] = _Known(caller, self._clock() + _LIFE_S)
        self._known.move_to_end(secret_hash)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)

    def drop(self, owner: str) -> None:
        """Forget a session or key by its id; an empty id forgets all."""
        self.generation += 1
        for secret_hash, known in list(self._known.items()):
            if not owner or owner in (known.caller.session, known.caller.subject):
                del self._known[secret_hash]

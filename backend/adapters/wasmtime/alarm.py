"""Moves the epoch of an engine on when a call's time is over, so that the guest traps and the child lives."""

import threading
import time
from math import inf

from wasmtime import Engine


class Alarm:
    """One thread that sleeps until the earliest deadline it was told; a call that ends in time wakes nobody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._deadline = inf
        self._asleep_until = inf
        threading.Thread(target=self._watch, name="alarm", daemon=True).start()

    def set(self, seconds: float) -> None:
        """Interrupt the guest after ``seconds``."""
        with self._changed:
            self._deadline = time.monotonic() + seconds
            if self._deadline < self._asleep_until:
                self._changed.notify()

    def clear(self) -> None:
        """The call has ended."""
        with self._changed:
            self._deadline = inf

    def _watch(self) -> None:
        with self._changed:
            while True:
                if time.monotonic() >= self._deadline:
                    self._engine.increment_epoch()
                    self._deadline = inf
                self._asleep_until = self._deadline
                self._changed.wait(None if self._deadline == inf else self._deadline - time.monotonic())

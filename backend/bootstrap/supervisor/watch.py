"""Waits for what happens: output, notices and ends of children, and signals to the supervisor itself."""

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Callable
from types import FrameType

from backend.bootstrap.supervisor.child import Child

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PIECE = 64 * 1024
# A child that never stops talking must not keep the supervisor from everything else.
_PIECES = 16


class Watch:
    """One thread, one selector; `stops` counts the requests to stop."""

    def __init__(self) -> None:
        self.stops = 0
        self._selector = selectors.DefaultSelector()
        self._woken, waker = socket.socketpair()
        self._waker = waker
        for end in (self._woken, waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, self._signalled)

    def add(self, child: Child) -> None:
        """Watch a child that has just been started."""
        if child.out is not None:
            self._register(child.out, lambda fd: self._output(fd, child))
        if child.notice is not None:
            self._register(child.notice, lambda fd: self._notice(fd, child))

    def remove(self, child: Child) -> None:
        """Take what a child that has ended still said, then forget it."""
        for descriptor in (child.out, child.notice):
            if descriptor is not None and descriptor in self._selector.get_map():
                self._selector.get_key(descriptor).data(descriptor)
                with contextlib.suppress(KeyError):
                    self._selector.unregister(descriptor)
        child.forget()

    def wait(self, seconds: float) -> None:
        """Handle what has happened; return after the first of it, or when the time is over."""
        for key, _events in self._selector.select(max(0.0, seconds)):
            key.data(key.fd)

    def _register(self, descriptor: int, handler: Callable[[int], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, handler)

    def _output(self, descriptor: int, child: Child) -> None:
        for _ in range(_PIECES):
            piece = self._read(descriptor)
            if not piece:
                return
            if child.output is not None:
                child.output.feed(piece)

    def _notice(self, descriptor: int, child: Child) -> None:
        piece = self._read(descriptor)
        child.told += piece or b""

    def _read(self, descriptor: int) -> bytes | None:
        """Return what is there; ``None`` when there is nothing now, and no more watching at the end."""
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return None
        if not piece:
            self._selector.unregister(descriptor)
        return piece

    def _drain(self, _descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOP_SIGNALS:
            self.stops += 1

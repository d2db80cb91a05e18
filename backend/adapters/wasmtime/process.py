"""One child as its parent sees it: start, exchange a frame, end."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from typing import Any

import backend
from backend.adapters.wasmtime.frames import BadFrame, Frame, encode, read
from backend.foundation.kernel.errors import Unavailable

_ROOT = Path(backend.__file__).resolve().parent.parent
_READY_S = 30.0
_DYING_S = 1.0
_HINT = "Look at the log: what the process said stands there."


class ChildGone(Exception):
    """The child ended in the middle of a request; ``signal`` is what ended it, 0 if it was none."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"the process ended by signal {signal}")
        self.signal = signal


class NotTaken(ChildGone):
    """It ended before it had read the whole request: nothing of it was done."""


class ChildLate(Exception):
    """The child did not answer in time."""


class ChildProcess:
    """A running child. Requests go one after the other."""

    def __init__(self, process: subprocess.Popen[bytes], reader: StreamReader, writer: StreamWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.started = time.monotonic()
        self.calls = 0
        self.resident = 0
        self.loaded: dict[str, int] = {}
        """Bytes of compiled code by digest, least recently used first."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can take a request."""
        return self._process.poll() is None and not self._reader.at_eof()

    @classmethod
    async def start(cls, folder: Path, address_space: int) -> "ChildProcess":
        """Start a child and wait until it is locked down and ready.

        Raises:
            Unavailable: it did not come up; its words are on the standard error of this process.
        """
        ours, theirs = socket.socketpair()
        try:
            process = _spawn(theirs, folder, address_space)
        except OSError as error:
            ours.close()
            raise Unavailable(f"The sandbox could not start a process: {error.strerror}.", hint=_HINT) from error
        finally:
            theirs.close()
        child = cls(process, *await _connected(process, ours))
        try:
            async with asyncio.timeout(_READY_S):
                await read(child._reader, 0)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, BadFrame) as error:
            await child.end()
            raise Unavailable("A process of the sandbox did not start.", hint=_HINT) from error
        except asyncio.CancelledError:
            await child.end()
            raise
        return child

    async def ask(self, header: dict[str, Any], body: bytes, *, answer_max: int, deadline_s: float) -> Frame:
        """Send a request and wait for its answer of at most ``answer_max`` bytes. After any error only `end` is left.

        Raises:
            ChildGone: it died, by itself or by its own timer.
            NotTaken: it died before it had taken the request.
            ChildLate: it did not answer within ``deadline_s``.
        """
        try:
            async with asyncio.timeout(deadline_s):
                self._writer.write(encode(header, body))
                await self._writer.drain()
                return await read(self._reader, answer_max)
        except TimeoutError as error:
            raise ChildLate from error
        except ConnectionError as error:
            # A socket that is closed with nothing unread in it is at its end; only one with a rest is reset or broken.
            raise NotTaken(await self._own_signal()) from error
        except asyncio.IncompleteReadError as error:
            raise ChildGone(await self._own_signal()) from error
        except BadFrame as error:
            raise ChildGone(0) from error

    async def end(self) -> None:
        """Kill it if it lives, and give back all that it held here."""
        self._process.kill()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        await asyncio.to_thread(self._process.wait)

    async def _own_signal(self) -> int:
        """Return the signal that ended a process whose connection is at its end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return max(0, -await asyncio.to_thread(self._process.wait, _DYING_S))
        return 0


async def _connected(process: subprocess.Popen[bytes], ours: socket.socket) -> tuple[StreamReader, StreamWriter]:
    with contextlib.ExitStack() as undo:
        # A moment of the loop's time, for a child that nobody else knows of.
        undo.callback(process.wait)
        undo.callback(process.kill)
        undo.callback(ours.close)
        streams = await asyncio.open_connection(sock=ours)
        undo.pop_all()
    return streams


def _spawn(connection: socket.socket, folder: Path, address_space: int) -> subprocess.Popen[bytes]:
    options = {"parent": os.getpid(), "folder": str(folder), "address_space": address_space}
    # It must be the loop's own thread that starts it: the kernel ties the child's life to the thread.
    return subprocess.Popen(
        [sys.executable, "-E", "-s", "-m", "backend.adapters.wasmtime.child", json.dumps(options)],
        stdin=connection.fileno(),
        stdout=subprocess.DEVNULL,
        cwd=_ROOT,
        env={},
        close_fds=True,
    )

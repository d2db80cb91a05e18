"""A run as server-sent events: what ``live`` has, and where that fails, what the row says."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.app import Backend
from backend.domain.flows.views import FINISHED, RunView
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import AutoWeaveError, Unavailable
from backend.foundation.live.views import LiveEntry

EVENT_STREAM = "text/event-stream"

_QUIET_S = 2.0
_QUIET_AFTER_END_S = 0.3
_HEARTBEAT_S = 15.0
_STORE_AGAIN_S = 0.5
_PATIENCE_S = 30.0
"""So long a client may take nothing of what it is sent."""
_MOST = 1_000
_END = frozenset({"done", "error"})
_BREAKS = (("\x85", b"\\u0085"), ("\u2028", b"\\u2028"), ("\u2029", b"\\u2029"))
"""What some clients take for the end of a line, and how JSON writes it without one."""


class StreamsFull(Unavailable):
    """This process serves as many streams as it can."""

    code = "streams_full"
    hint = "Ask for the run with `GET /v1/runs/{id}`, in A2A with `GetTask`, or try again in a moment."


class _NotTaken(Exception):
    """The client has stopped reading; its place is for others."""


class Seats:
    """Counts the streams of a process: a thousand at most."""

    def __init__(self, most: int = _MOST) -> None:
        self._free = most

    def take(self) -> Callable[[], None]:
        """Return what gives the seat back; raise `StreamsFull` when none is left."""
        if self._free == 0:
            raise StreamsFull("Too many streams are open.")
        self._free -= 1
        return self._back

    def _back(self) -> None:
        self._free += 1


class RunStream(Response):
    """The events ``token``, ``tool``, ``reset``, ``status``, then one of ``done`` and ``error``, which ends it.

    The row is the truth: it is asked whenever the stream is quiet for 2 s, so that a stream that was trimmed, wiped or
    is out of reach ends all the same, with the whole output. ``id:`` is the cursor from which a client goes on. What is
    said of a run in other words overrides `_begin`, `_tell_entry`, `_tell_look` and `_tell_end`.

    Args:
        backend: the rooms.
        caller: who watches, allowed to see the run.
        run: the run as it was when the client came.
        after: the cursor from ``Last-Event-ID``, or nothing.
        check: raises when the caller is no longer welcome; asked with every heartbeat.
        seat: gives the place back at the end.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        backend: Backend,
        caller: Caller,
        run: RunView,
        *,
        after: str,
        check: Callable[[], Awaitable[object]],
        seat: Callable[[], None],
    ) -> None:
        super().__init__(
            headers={"cache-control": "no-store", "x-accel-buffering": "no", "location": f"/v1/runs/{run.id}"}
        )
        del self.headers["content-length"]
        self._backend = backend
        self._caller = caller
        self._run = run
        self._cursor = after or "0"
        self._check = check
        self._seat = seat
        self._send: Send
        self._said = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        telling: asyncio.Task[None] | None = None
        leaving: asyncio.Task[None] | None = None
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            telling, leaving = asyncio.create_task(self._tell()), asyncio.create_task(_left(receive))
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not leaving.done():
                with contextlib.suppress(_NotTaken):
                    telling.result()
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            begun = [task for task in (telling, leaving) if task is not None]
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
            self._seat()

    async def _begin(self) -> bool:
        """Tell how the run is; return whether that was all."""
        await self._write(b"retry: 1000\n" + _frame("status", {"status": self._run.status, "run": self._run.id}))
        return False

    async def _tell_entry(self, entry: LiveEntry) -> None:
        """Tell an entry of the live stream; one that ends it is the last."""
        name, data = _event(entry)
        await self._write(_frame(name, data, self._cursor))

    async def _tell_look(self) -> None:
        """Tell what a look at the row has shown, other than its end."""

    async def _tell_end(self) -> None:
        """Tell the end by the row."""
        await self._write(_frame(*_ending(self._run)))

    async def _tell(self) -> None:
        if await self._begin():
            return
        while True:
            try:
                if await self._follow():
                    return
            except Unavailable:
                if await self._ended_in_row() or not await self._heartbeat():
                    return
                await asyncio.sleep(_STORE_AGAIN_S)

    async def _follow(self) -> bool:
        """Tell what the live stream has; return whether that was all. Raises `Unavailable` when it breaks off."""
        async with self._backend.live.run_entries(self._run.id, self._cursor) as entries, _Next(entries) as news:
            while True:
                found = await news.within(_QUIET_AFTER_END_S if self._run.status in FINISHED else _QUIET_S)
                if found is None:
                    if await self._ended_in_row() or not await self._heartbeat():
                        return True
                    continue
                self._cursor, entry = found
                await self._tell_entry(entry)
                if entry.kind in _END:
                    return True

    async def _ended_in_row(self) -> bool:
        if self._run.status in FINISHED:
            await self._tell_end()
            return True
        # Where it has ended just now, the entry that says so may still be on its way: it is waited for once more.
        await self._look()
        await self._tell_look()
        return False

    async def _look(self) -> None:
        """Look at the row; where it is out of reach, the run stays as it was."""
        with contextlib.suppress(Unavailable):
            self._run = await self._backend.flows.get(self._caller, self._run.id)

    async def _heartbeat(self) -> bool:
        if time.monotonic() - self._said < _HEARTBEAT_S:
            return True
        try:
            await self._check()
        except Unavailable:
            pass
        except AutoWeaveError:
            return False
        await self._write(b": still here\n\n")
        return True

    async def _write(self, chunk: bytes) -> None:
        self._said = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            raise _NotTaken from None


class _Next:
    """The next entry within a time; waiting in vain loses none."""

    def __init__(self, entries: AsyncIterator[tuple[str, LiveEntry]]) -> None:
        self._entries = entries
        self._waiting: asyncio.Task[tuple[str, LiveEntry]] | None = None

    async def __aenter__(self) -> "_Next":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)

    async def within(self, seconds: float) -> tuple[str, LiveEntry] | None:
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._take())
        done, _ = await asyncio.wait([self._waiting], timeout=seconds)
        if not done:
            return None
        task, self._waiting = self._waiting, None
        return task.result()

    async def _take(self) -> tuple[str, LiveEntry]:
        with contextlib.suppress(StopAsyncIteration):
            return await anext(self._entries)
        raise Unavailable("The live stream broke off.")


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(entry: LiveEntry) -> tuple[str, dict[str, Any]]:
    if entry.kind == "done":
        return _end_event(entry.data)
    if entry.kind in ("status", "error"):
        return entry.kind, entry.data
    return entry.kind, {"path": entry.path, **entry.data}


def _end_event(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    status, output = data.get("status", ""), data.get("output", "")
    if status != "FAILED":
        return "done", {"status": status, "output": output}
    words = {name: data.get(name, "") for name in ("code", "message", "hint")}
    return "error", {**words, "status": status, "output": output}


def _ending(run: RunView) -> tuple[str, dict[str, Any]]:
    return _end_event(
        {
            "status": run.status,
            "output": run.output,
            "code": run.error_code,
            "message": run.error_message,
            "hint": run.error_hint,
        }
    )


def _frame(name: str, data: dict[str, Any], cursor: str = "") -> bytes:
    head = f"id: {cursor}\nevent: {name}\ndata: " if cursor else f"event: {name}\ndata: "
    return head.encode() + on_one_line(msgspec.json.encode(data)) + b"\n\n"


def on_one_line(text: bytes) -> bytes:
    """Return JSON without what a client's line reader might break it at; standard ends of lines JSON never has."""
    for mark, escape in _BREAKS:
        text = text.replace(mark.encode(), escape)
    return text

"""A task as the events of A2A: the task itself, then its status and its answer piece by piece."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from backend.app import Backend
from backend.domain.flows.views import FINISHED, RunView
from backend.foundation.kernel.caller import Caller
from backend.foundation.live.views import LiveEntry
from backend.gateway.http.a2a_shapes import STATES, answer, artifact_update, status_update, task
from backend.gateway.http.stream import RunStream, on_one_line

_BETWEEN_TURNS = "\n\n"
_MOST_TEXT = 1_000_000
_ORDER = ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")


class TaskStream(RunStream):
    """The task, then ``statusUpdate`` and ``artifactUpdate`` until it is over; it ends with the status.

    Who comes in the middle is told the answer from its beginning, since the task of a run under way does not have it.
    The last piece always makes the artifact what `GetTask` returns, whatever was lost on the way.

    Args:
        call: the id of the JSON-RPC call, which each event bears.
        history_length: how many messages of its history the task shows; ``None`` is all.
    """

    def __init__(
        self,
        backend: Backend,
        caller: Caller,
        run: RunView,
        *,
        call: str | int,
        history_length: int | None,
        check: Callable[[], Awaitable[object]],
        seat: Callable[[], None],
    ) -> None:
        super().__init__(backend, caller, run, after="", check=check, seat=seat)
        del self.headers["location"]
        self._call = call
        self._history_length = history_length
        self._state = STATES[run.status]
        self._answer = Answer()

    async def _begin(self) -> bool:
        await self._event({"task": task(self._run, self._history_length)})
        return self._run.status in FINISHED

    async def _tell_entry(self, entry: LiveEntry) -> None:
        if entry.kind in ("done", "error"):
            await self._end(entry.data)
        elif entry.kind == "status":
            await self._look()
            await self._status(str(entry.data.get("status", "")))
        elif entry.kind == "tool":
            await self._tool(entry)
        else:
            await self._piece(self._answer.heard(entry))

    async def _tell_look(self) -> None:
        # An end is told with its answer, when the live stream had the time to tell it.
        if self._run.status not in FINISHED:
            await self._status(self._run.status)

    async def _tell_end(self) -> None:
        await self._piece(self._answer.rest(self._run.output), last=True)
        await self._event(status_update(self._run))

    async def _piece(self, piece: tuple[str, bool] | None, *, last: bool = False) -> None:
        if piece is not None:
            text, append = piece
            await self._event(artifact_update(self._run, text, append=append, last=last))

    async def _status(self, status: str) -> None:
        """Tell a step forward; a run that waits for its next worker is still at work for those who watch it."""
        state = STATES.get(status, "")
        if state in _ORDER and _ORDER.index(state) > _ORDER.index(self._state):
            self._state = state
            await self._event(status_update(replace(self._run, status=status)))

    async def _tool(self, entry: LiveEntry) -> None:
        if entry.data.get("status") == "running":
            self._state = STATES["RUNNING"]
            words = f"Calls {entry.data.get('name', 'a tool')}."
            run = replace(self._run, status="RUNNING")
            await self._event(status_update(run, f"{entry.epoch}.{entry.seq}", words))

    async def _end(self, data: dict[str, Any]) -> None:
        await self._look()
        if self._run.status not in FINISHED:
            self._run = replace(
                self._run,
                status=data.get("status", "FAILED"),
                output=data.get("output", ""),
                error_code=data.get("code", ""),
                error_message=data.get("message", ""),
                error_hint=data.get("hint", ""),
            )
        await self._tell_end()

    async def _event(self, result: dict[str, Any]) -> None:
        await self._write(b"data: " + on_one_line(answer(self._call, result)) + b"\n\n")


class Answer:
    """What was told of an answer: the texts of its turns, as a run puts them together in the end.

    After entries were lost, or above a million characters, nothing more is told until the whole answer is there.
    """

    def __init__(self) -> None:
        self._turns: dict[str, list[str]] = {}
        self._size = 0
        self._any = False
        self._wrong = False
        self._lost = False

    def heard(self, entry: LiveEntry) -> tuple[str, bool] | None:
        """Return what to tell after a ``token`` or a ``reset``: a text, and whether it goes after what was told."""
        if entry.kind == "reset":
            self._forget(entry.path)
            return None
        text = str(entry.data.get("text", ""))
        self._size += len(text)
        self._lost = self._lost or self._size > _MOST_TEXT
        if self._lost or not text:
            return None
        begins, follows = entry.path not in self._turns, entry.path == next(reversed(self._turns), "")
        self._turns.setdefault(entry.path, []).append(text)
        if self._wrong or not self._any or not (begins or follows):
            self._any, self._wrong = True, False
            return self._told(), False
        return (_BETWEEN_TURNS if begins else "") + text, True

    def rest(self, whole: str) -> tuple[str, bool] | None:
        """Return what makes the answer whole, or nothing so that its end is marked; ``None`` if there is no answer."""
        if not whole and not self._any:
            return None
        told = self._told()
        if self._any and not self._wrong and not self._lost and whole.startswith(told):
            return whole[len(told) :], True
        return whole, False

    def _forget(self, path: str) -> None:
        self._lost = self._lost or not path
        gone = self._turns.pop(path, [])
        self._size -= sum(map(len, gone))
        self._wrong = self._wrong or bool(gone)

    def _told(self) -> str:
        return _BETWEEN_TURNS.join("".join(texts) for texts in self._turns.values())

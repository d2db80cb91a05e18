"""The conversation that a chat tab shows. Its address names it; everything here can be loaded again at any time."""

from collections.abc import Iterable
from contextlib import aclosing

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import NotFound
from backend.foundation.kernel.ids import RunId, ThreadId
from backend.reads.views import ConversationView, TurnView
from state.chat.agents import AgentsState
from state.live import thread_changes
from state.session import caller_of, part_of_path

PAGE = 50
"""Turns that are loaded at once."""


def in_order(turns: Iterable[TurnView]) -> list[TurnView]:
    """Return the turns with each answer behind its question, whatever was asked in between."""
    asked: dict[str, list[TurnView]] = {}
    for turn in turns:
        asked.setdefault(turn.message.trigger or turn.message.id, []).append(turn)
    return [turn for group in asked.values() for turn in group]


class ChatState(rx.State):
    """``shown`` is the thread on the page, empty in a new chat; ``phase`` is ``loading``, ``ready`` or ``missing``."""

    phase: str = "loading"
    shown: str = ""
    title: str = ""
    turns: rx.Field[list[TurnView]] = rx.field(default_factory=list)
    limit: int = PAGE
    has_older: bool = False
    active_run: str = ""
    running: bool = False
    queued: rx.Field[list[TurnView]] = rx.field(default_factory=list)
    stopping: bool = False
    asked_to_stop: str = ""

    @rx.var
    def fresh(self) -> bool:
        """Nothing was said yet."""
        return not self.shown

    @rx.var
    def waiting(self) -> bool:
        """A message has been sent, and no run has begun to answer it."""
        return self.running and not self.active_run

    @rx.event
    async def load(self):
        """Show the conversation that the address names, or an empty one."""
        await caller_of(self)
        thread = part_of_path(self, 1)
        if thread != self.shown:
            self._clear(thread)
            yield
        await _fetch(self)

    @rx.event(background=True)
    async def watch(self):
        """Load again whenever something happens in the thread. Ends when the tab leaves the page."""
        async with self:
            caller = await caller_of(self)
            thread = part_of_path(self, 1)
        if not thread:
            return
        async with aclosing(thread_changes(caller, thread)) as heard:
            async for _ in heard:
                async with self:
                    await _fetch(self)

    @rx.event
    async def stop(self):
        """Stop the run at work; what came until then stays."""
        await caller_of(self)
        self.stopping = True
        await _fetch(self)

    @rx.event
    async def settled(self):
        """The run in flight has ended: its words are a row now."""
        await _fetch(self)

    @rx.event
    async def older(self):
        """Load earlier messages."""
        await caller_of(self)
        self.limit += PAGE
        await _fetch(self)

    def _clear(self, thread: str) -> None:
        self.phase, self.shown, self.title = "loading", thread, ""
        self.turns, self.limit, self.has_older = [], PAGE, False
        self.active_run, self.queued, self.running, self.stopping = "", [], False, False


async def show(state: ChatState, thread: str) -> None:
    """Show a chat; one that is on the page already is loaded again without a flicker."""
    state.shown = thread
    await _fetch(state)


async def _fetch(state: ChatState) -> None:
    caller = await caller_of(state)
    if not state.shown:
        state.phase = "ready"
        return
    try:
        view = await current().conversations.conversation(caller, ThreadId(state.shown), limit=state.limit)
    except NotFound:
        state.phase = "missing"
        return
    state.title = view.thread.title
    (await state.get_state(AgentsState)).agent = view.thread.agent
    turns = in_order(view.turns)
    state.turns, state.queued = turns[: len(turns) - view.pending], turns[len(turns) - view.pending :]
    state.has_older = view.has_older
    await _follow_run(state, caller, view)
    state.phase = "ready"


async def _follow_run(state: ChatState, caller: Caller, view: ConversationView) -> None:
    another = bool(state.active_run) and view.active_run != state.active_run
    state.stopping = state.stopping and bool(view.active_status) and not another
    state.active_run, state.running = view.active_run, bool(view.active_status)
    # A run that was to be stopped before it had begun is stopped now.
    if state.stopping and state.active_run not in ("", state.asked_to_stop):
        state.asked_to_stop = state.active_run
        await current().flows.cancel(caller, RunId(state.active_run))

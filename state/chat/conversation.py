"""The conversation that a chat tab shows. Its address names it; everything here can be loaded again at any time."""

from collections.abc import Iterable, Sequence
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
"""Messages that are loaded at once."""
MOST = 200
"""Turns that a page holds; further up or down others take their place."""


def in_order(turns: Iterable[TurnView]) -> list[TurnView]:
    """Return the turns with each answer behind its question, whatever was asked in between."""
    asked: dict[str, list[TurnView]] = {}
    for turn in turns:
        asked.setdefault(turn.message.trigger or turn.message.id, []).append(turn)
    return [turn for group in asked.values() for turn in group]


def place(turn: TurnView) -> tuple[int, str]:
    """Return where a turn stands in its chat."""
    return turn.message.created_ms, turn.message.id


def joined(shown: Sequence[TurnView], fetched: Sequence[TurnView], *, follows: bool) -> list[TurnView]:
    """Return the end of a chat: what was shown, with the newest turns in the place of what is known of them.

    Args:
        follows: whether there are older turns than those fetched: then what is shown must reach up to them, or it
            is left behind.
    """
    if not fetched:
        return list(shown)
    if follows and fetched[0].message.id not in {turn.message.id for turn in shown}:
        return list(fetched)
    first = min(place(turn) for turn in fetched)
    return [*(turn for turn in shown if place(turn) < first), *fetched]


class ChatState(rx.State):
    """``shown`` is the thread on the page, empty in a new chat; ``phase`` is ``loading``, ``ready`` or ``missing``.

    ``turns`` is a window on the thread, of at most `MOST`; ``has_older`` and ``has_newer`` say on which side more is.
    """

    phase: str = "loading"
    shown: str = ""
    title: str = ""
    turns: rx.Field[list[TurnView]] = rx.field(default_factory=list)
    has_older: bool = False
    has_newer: bool = False
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
    def oldest(self) -> str:
        """The first message on the page."""
        return min(self.turns, key=place).message.id if self.turns else ""

    @rx.var
    def newest(self) -> str:
        """The last message on the page."""
        return max(self.turns, key=place).message.id if self.turns else ""

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
        """Load earlier messages; the newest make room for them."""
        caller = await caller_of(self)
        if not self.has_older:
            return
        view = await current().conversations.conversation(caller, ThreadId(self.shown), before=self.oldest, limit=PAGE)
        turns = in_order([*view.turns, *self.turns])
        self.has_older, self.has_newer = view.has_older, self.has_newer or len(turns) > MOST
        self.turns = turns[:MOST]

    @rx.event
    async def newer(self):
        """Load later messages; the oldest make room for them."""
        caller = await caller_of(self)
        if not self.has_newer:
            return
        view = await current().conversations.conversation(caller, ThreadId(self.shown), after=self.newest, limit=PAGE)
        turns = in_order([*self.turns, *view.turns])
        self.has_newer, self.has_older = view.has_newer, self.has_older or len(turns) > MOST
        self.turns = turns[-MOST:]
        if not self.has_newer:
            await _fetch(self)

    @rx.event
    async def to_end(self):
        """Show the end of the chat again."""
        await caller_of(self)
        self.has_newer = False
        await _fetch(self)

    def _clear(self, thread: str) -> None:
        self.phase, self.shown, self.title = "loading", thread, ""
        self.turns, self.has_older, self.has_newer = [], False, False
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
        view = await current().conversations.conversation(caller, ThreadId(state.shown), limit=PAGE)
    except NotFound:
        state.phase = "missing"
        return
    state.title = view.thread.title
    agents = await state.get_state(AgentsState)
    # Set again, the same one would go to the page with its whole card, at each notice.
    if agents.agent != view.thread.agent:
        agents.agent = view.thread.agent
    if not state.has_newer:
        _show_end(state, view)
    await _follow_run(state, caller, view)
    state.phase = "ready"


def _show_end(state: ChatState, view: ConversationView) -> None:
    fetched = in_order(view.turns)
    fetched, state.queued = fetched[: len(fetched) - view.pending], fetched[len(fetched) - view.pending :]
    turns = in_order(joined(state.turns, fetched, follows=view.has_older))
    state.has_older = view.has_older if len(turns) <= len(fetched) else state.has_older or len(turns) > MOST
    state.turns = turns[-MOST:]


async def _follow_run(state: ChatState, caller: Caller, view: ConversationView) -> None:
    another = bool(state.active_run) and view.active_run != state.active_run
    state.stopping = state.stopping and bool(view.active_status) and not another
    state.active_run, state.running = view.active_run, bool(view.active_status)
    # A run that was to be stopped before it had begun is stopped now.
    if state.stopping and state.active_run not in ("", state.asked_to_stop):
        state.asked_to_stop = state.active_run
        await current().flows.cancel(caller, RunId(state.active_run))

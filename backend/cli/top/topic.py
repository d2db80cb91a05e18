"""The messages of one topic, decoded: from a time on, filtered, and new ones as they come."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable

from backend.cli.top.lines import Lines
from backend.cli.top.lists import EVENT_COLUMNS, event_row
from backend.cli.top.lookout import Lookout, Trouble, trouble_of
from backend.cli.top.page import HELP_AND_QUIT, Page
from backend.cli.top.reading import message
from backend.cli.top.since import Since, since_of
from backend.foundation.kernel.errors import AutoWeaveError, Invalid
from backend.reads.views import EventsView, EventView

MOST = 200
_TYPED_S = 0.25
_AGAIN_S = 2.0


class TopicPage(Page):
    """A topic's messages, the newest first.

    Args:
        lookout: whose backend and caller are used.
        topic: its name.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("f", "since", "From"),
        Binding("y", "type", "Type"),
        Binding("n", "following", "Next", show=False),
        Binding("s", "sort", "Sort"),
        Binding("r", "turn", "Reverse", show=False),
        Binding("p", "pause", "Pause"),
        *HELP_AND_QUIT,
    ]

    def __init__(self, lookout: Lookout, topic: str) -> None:
        super().__init__()
        self._lookout = lookout
        self._topic = topic
        self._lines = Lines(EVENT_COLUMNS, follows=True, id="main")
        self._events: list[EventView] = []
        self._types: tuple[str, ...] = ()
        self._since: Since = since_of("1h")
        self._type = ""
        self._text = ""
        self._partial = False
        self._following = ""
        self._paused = False

    def parts(self) -> Sequence[Widget]:
        return (self._lines,)

    def on_mount(self) -> None:
        """Begin."""
        self._lines.focus()
        self._tell_state()
        self.say_empty(self._lines, "Reading the topic …")
        self._read()

    @work(exclusive=True)
    async def _read(self, wait_s: float = 0.0) -> None:
        """Show what fits, then what comes; after an outage everything is asked for again."""
        await asyncio.sleep(wait_s)
        lookout, again = self._lookout, True
        while again:
            since_ms = self._since.at_ms(time.time_ns() // 1_000_000)
            follow = lookout.backend.topics.follow(
                lookout.caller,
                self._topic,
                since_ms=since_ms,
                type=self._type,
                text=self._text,
                partition=self._since.partition,
                offset=self._since.offset,
            )
            try:
                async with aclosing(follow) as followed:
                    self._show(await anext(followed))
                    async for view in followed:
                        self._add(view.events)
            except Exception as error:  # noqa: BLE001 - a dashboard outlives whatever it looks at, and tells of it
                self.tell([trouble_of(self._topic, error)])
                again = error.retry if isinstance(error, AutoWeaveError) else True
            await asyncio.sleep(_AGAIN_S)

    def _show(self, view: EventsView) -> None:
        self.tell([])
        self._events, self._types, self._partial = list(view.events), view.types, view.partial
        self._following = view.following
        self._draw()

    def _add(self, events: Sequence[EventView]) -> None:
        known = {event.place for event in self._events}
        fresh = [event for event in events if event.place not in known]
        if fresh and not self._paused:
            self._events = (fresh + self._events)[:MOST]
            self._draw()

    def _draw(self) -> None:
        self._lines.fill([event_row(event) for event in self._events])
        narrowed = self._type or self._text
        self.say_empty(
            self._lines, "No event fits." if narrowed else "No event since then. Press f for an earlier time."
        )
        self._tell_state()

    def _tell_state(self) -> None:
        parts = [self._topic, f"from {self._since.words}"]
        parts += [self._type] if self._type else []
        parts += [f"with {self._text!r}"] if self._text else []
        more = "more follow: press n" if self._following else "a part: press f for a later time"
        parts += [more] if self._partial else []
        self.head(*parts, "held still, p goes on" if self._paused else "")

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        chosen = next((event for event in self._events if event.place == self._lines.chosen), None)
        if chosen is not None:
            self.open(message(chosen))

    def action_filter(self) -> None:
        """Type a word that must stand in key, subject, id or data."""
        self.ask("filter", self._text, "A word in key, subject, id or data")

    def action_since(self) -> None:
        """Type from when on."""
        self.ask("since", self._since.words, "15m, 2h, 7d, 2026-01-31 12:00, all, or partition@offset")

    def action_following(self) -> None:
        """From an offset on: show those that follow."""
        if self._following:
            self._since = since_of(f"{self._since.partition}@{self._following}")
            self._read()

    def action_type(self) -> None:
        """Show the next type alone, after the last all."""
        types = ["", *self._types]
        self._type = types[(types.index(self._type) + 1) % len(types)]
        self._read()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._lines.sort_by_next()

    def action_turn(self) -> None:
        """Sort the other way round."""
        self._lines.turn_around()

    def action_pause(self) -> None:
        """Hold the list still, or catch up."""
        self._paused = not self._paused
        self._tell_state()
        if not self._paused:
            self._read()

    def typed(self, what: str, value: str) -> None:
        if what == "filter":
            self._text = value
            self._read(_TYPED_S)
        elif value:
            try:
                self._since = since_of(value)
            except Invalid as error:
                self.tell([Trouble(self._topic, error.message, error.hint)])
            else:
                self._read()

"""The first screen: five lists, each with its key."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import ContentSwitcher, DataTable, Static

from backend.cli.top.lines import Lines
from backend.cli.top.lists import LISTINGS, STYLES, Listing, clock, rate
from backend.cli.top.lookout import Lookout, Snapshot, Trouble
from backend.cli.top.page import HELP_AND_QUIT, Page
from backend.cli.top.reading import agent, letter, part
from backend.cli.top.topic import TopicPage


class Dashboard(Page):
    """Everything at a glance."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("r", "turn", "Reverse"),
        Binding("p", "pause", "Pause"),
        *HELP_AND_QUIT,
        Binding("escape", "back", show=False),
        *(Binding(str(number + 1), f"go({number})", one.title, show=False) for number, one in enumerate(LISTINGS)),
        Binding("tab", "step(1)", "Next list", show=False),
        Binding("shift+tab", "step(-1)", "List before", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._at = 0
        self._snapshot = Snapshot(at_ms=0)
        self._lookout: Lookout | None = None
        self._lists = [Lines(listing.columns, id=f"list-{number}") for number, listing in enumerate(LISTINGS)]
        self._bar = Static(id="tabs", markup=False)
        self.paused = False

    def parts(self) -> Sequence[Widget]:
        return (self._bar, ContentSwitcher(*self._lists, initial="list-0", id="main"))

    def on_mount(self) -> None:
        """Begin."""
        self._tell_state()
        self._lines.focus()

    @property
    def _listing(self) -> Listing:
        return LISTINGS[self._at]

    @property
    def _lines(self) -> Lines:
        return self._lists[self._at]

    def show(self, snapshot: Snapshot, lookout: Lookout | None) -> None:
        """Show how everything is now; without a lookout nothing could be asked yet."""
        self._snapshot, self._lookout = snapshot, lookout
        for lines, listing in zip(self._lists, LISTINGS, strict=True):
            lines.fill(listing.rows(snapshot))
        self.tell(snapshot.troubles)
        self._tell_state()

    def _tell_state(self) -> None:
        snapshot = self._snapshot
        bad = sum(one.status in ("failed", "attention") for one in snapshot.parts)
        worst = next((name for name in ("failed", "attention") if name in {one.status for one in snapshot.parts}), "ok")
        health = Text(
            f"{bad} of {len(snapshot.parts)} parts need attention" if bad else "every part works", STYLES[worst]
        )
        per_s = [topic.per_s for topic in snapshot.topics if topic.per_s is not None]
        waiting = sum(topic.waiting for topic in snapshot.topics)
        told = [rate(sum(per_s)), f"{waiting:,} waiting", health if snapshot.parts else ""]
        self.head("AutoWeave", self._moment(), *(told if snapshot.at_ms else []))
        self._bar.update(self._tabs())
        filtered = self._lines.words and self._lines.total
        self.say_empty(self._lines, "No line has that. Press / to change it." if filtered else self._why_empty())

    def _moment(self) -> str | Text:
        snapshot = self._snapshot
        if self.paused:
            return Text("held still, p goes on", "yellow")
        if snapshot.troubles:
            return Text(f"▲ as of {clock(snapshot.whole_ms)[:8]}" if snapshot.whole_ms else "▲ trying", "yellow")
        return clock(snapshot.at_ms)[:8] if snapshot.at_ms else "asking"

    def _why_empty(self) -> str:
        return self._listing.empty if self._snapshot.at_ms else "Asking the bus and the database …"

    def _tabs(self) -> Text:
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        for number, listing in enumerate(LISTINGS):
            waiting = self._snapshot.waiting_letters if listing.title == "Dead letters" else 0
            words = f" {number + 1} {listing.title}{f' ▲{waiting:,}' if waiting else ''} "
            line.append(words, "reverse bold" if number == self._at else "")
        if self._lines.words:
            line.append(f"  / {self._lines.words}")
        return line

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        key, snapshot = self._lines.chosen, self._snapshot
        if not key:
            return
        opened = {
            "Agents": lambda: next((agent(one) for one in snapshot.agents if one.id == key), None),
            "Dead letters": lambda: self._letter(int(key)),
            "Health": lambda: next((part(one) for one in snapshot.parts if one.name == key), None),
        }.get(self._listing.title, lambda: self._topic(key.split()[-1]))()
        if isinstance(opened, Page):
            self.open(opened)

    def _topic(self, name: str) -> TopicPage | None:
        return TopicPage(self._lookout, name) if self._lookout else None

    @work(exclusive=True)
    async def _letter(self, number: int) -> None:
        """Open a dead letter: the list holds none of what it carries."""
        if self._lookout is None:
            return
        found = await self._lookout.letter(number)
        if isinstance(found, Trouble):
            self.tell([found])
        else:
            self.open(letter(found))

    def action_go(self, number: int) -> None:
        """Show another list."""
        self._at = number
        self.query_one("#main", ContentSwitcher).current = f"list-{number}"
        self._lines.focus()
        self._tell_state()

    def action_step(self, by: int) -> None:
        """Show the next list, or the one before."""
        self.action_go((self._at + by) % len(LISTINGS))

    def action_filter(self) -> None:
        """Type a word that a line must have."""
        self.ask("filter", self._lines.words, "Only lines with …")

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._lines.sort_by_next()

    def action_turn(self) -> None:
        """Sort the other way round."""
        self._lines.turn_around()

    def action_pause(self) -> None:
        """Hold everything still, or go on."""
        self.paused = not self.paused
        self._tell_state()

    def typed(self, what: str, value: str) -> None:
        self._lines.narrow(value)
        self._tell_state()

    def stop_asking(self) -> None:
        """Take the line to type in away."""
        super().stop_asking()
        self._lines.focus()

    def leave(self) -> None:
        """There is no screen before this one: take the filter away."""
        if self._lines.words:
            self.typed("filter", "")

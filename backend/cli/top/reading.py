"""One thing whole: a message, a dead letter, an agent, a part; and the list of keys."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from backend.cli.terminal import plain
from backend.cli.top.lists import STYLES, WORDS, clock
from backend.cli.top.page import HELP_AND_QUIT, Page
from backend.domain.agents.views import AgentView
from backend.foundation.bus.views import DeadLetterView
from backend.reads.views import EventView, PartHealth

Facts = Sequence[tuple[str, str]]
_LONGEST = 20_000
_KEYS = (
    ("↑ ↓ PgUp PgDn Home End", "move"),
    ("1 to 5, Tab", "Topics, Consumers, Agents, Dead letters, Health"),
    ("Enter", "open what is chosen"),
    ("/", "show only lines with a word; Enter keeps it, Esc takes it away"),
    ("s", "sort by the next column"),
    ("r", "sort the other way round"),
    ("p", "hold everything still, and go on"),
    ("f", "in a topic: from when on, such as 15m, 7d, 2026-01-31 12:00, all, or 3@1700: from an offset of partition 3"),
    ("n", "from an offset on: those that follow"),
    ("y", "in a topic with several types: one type alone"),
    ("Esc", "one step back"),
    ("q, Ctrl+C", "end"),
)


class Reading(Page):
    """Facts and a text, to scroll in.

    Args:
        title: of the head.
        facts: names and values.
        text: below them, on its own lines.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back"), *HELP_AND_QUIT]

    def __init__(self, title: str, facts: Facts, text: str | Text) -> None:
        super().__init__()
        self._title = title
        self._shown = _laid_out(facts, text)

    def parts(self) -> Sequence[Widget]:
        return (VerticalScroll(Static(self._shown, markup=False), id="main"),)

    def on_mount(self) -> None:
        """Begin."""
        self.head(self._title)
        self.query_one("#main").focus()

    def action_help(self) -> None:
        """Keys are shown once."""


def help_of() -> Text:
    """Return every key and what it does."""
    return Text("\n").join(Text.assemble((f"{keys:<24}", "bold"), does) for keys, does in _KEYS)


def message(event: EventView) -> Reading:
    """Return the screen of a message."""
    facts = [
        ("Time", clock(event.time_ms)),
        ("Id", event.id),
        ("Key", event.key),
        ("Subject", event.subject),
        ("Place", event.place),
        ("Trace", event.trace),
    ]
    return Reading(event.type or "Not an event", facts, event.payload)


def letter(view: DeadLetterView) -> Reading:
    """Return the screen of an event that was given up."""
    facts = [
        ("Status", f"{view.status.lower()} {view.reason}"),
        ("Given up", f"{clock(view.created_ms)} by {view.consumer}, after {view.attempts} attempts"),
        ("Cause", view.cause),
        ("Event", view.event),
        ("Place", view.position),
        ("Key", view.key),
        ("Trace", view.trace),
        ("Repair", f"in Admin: /admin/dead-letters/{view.id}"),
    ]
    text = "\n\n".join(part for part in (_cut(view.payload), _cut(view.stack)) if part)
    return Reading(f"Dead letter {view.id}: {view.type or 'not an event'}", facts, text)


def agent(view: AgentView) -> Reading:
    """Return the screen of an agent."""
    facts = [
        ("Name", view.name),
        ("Status", view.status.lower()),
        ("Model", view.model),
        ("Tools", ", ".join(view.tools)),
        ("Id", view.id),
        ("Made", clock(view.created_ms)),
    ]
    return Reading(view.slug, facts, view.description)


def part(view: PartHealth) -> Reading:
    """Return the screen of a part of the system: its cause and next step, if it needs one."""
    facts = [
        ("Status", WORDS.get(view.status, view.status)),
        ("What", view.detail),
        ("Cause", view.cause),
        ("Next step", view.fix),
        *view.figures,
    ]
    return Reading(view.title, facts, Text("", STYLES.get(view.status, "")))


def _laid_out(facts: Facts, text: str | Text) -> Text:
    given = [(plain(name), plain(value, lines=True)) for name, value in facts if value.strip()]
    widest = max((len(name) for name, _ in given), default=0)
    shown = Text()
    for name, value in given:
        shown.append(f"{name:<{widest}}  ", "bold").append(f"{_cut(value)}\n")
    shown.append("\n" if given else "")
    return shown.append(text if isinstance(text, Text) else plain(_cut(text), lines=True))


def _cut(text: str) -> str:
    over = len(text) - _LONGEST
    return text if over <= 0 else f"{text[:_LONGEST]}\n… and {over:,} characters more; Admin shows all."

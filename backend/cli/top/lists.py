"""The dashboard's lists, as rows of text: what stands in them, how they are sorted, and how wide their columns are."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from backend.cli.terminal import plain
from backend.cli.top.lookout import Snapshot
from backend.reads.views import EventView

WORDS = {"ok": "● works", "attention": "▲ attention", "failed": "✕ failed", "off": "○ off"}
"""A part's status by shape and word; colour only repeats it."""
STYLES = {"ok": "green", "attention": "yellow", "failed": "red", "off": "dim"}
_LETTERS = {
    "WAITING": ("▲ waiting", "yellow"),
    "REPLAYED": ("● replayed", "green"),
    "DISCARDED": ("○ discarded", "dim"),
}
_LONGEST = 300
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, what it is sorted by, and its style."""

    text: str
    order: float | str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list; ``key`` stays the same while the thing does."""

    key: str
    cells: tuple[Cell, ...]

    def has(self, words: str) -> bool:
        """Return whether the words stand in any cell, in any case."""
        return words.casefold() in "\n".join(cell.text for cell in self.cells).casefold()


@dataclass(frozen=True, slots=True)
class Column:
    """A title and a width: ``share`` of what the fixed ones leave, but at least ``width``.

    One with ``wide``, which may be the last alone, is left out where the list has fewer cells.
    """

    title: str
    width: int
    share: int = 0
    right: bool = False
    wide: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list of the dashboard; ``opens`` names what Enter does, nothing by default."""

    title: str
    columns: tuple[Column, ...]
    rows: Callable[[Snapshot], list[Row]]
    empty: str
    opens: str = ""


EVENT_COLUMNS = (
    Column("Time", 12),
    Column("Type", 19, share=1),
    Column("Key", 8, share=1),
    Column("Data", 20, share=4),
)


def event_row(event: EventView) -> Row:
    """Return a message as a line."""
    try:
        data = msgspec.json.format(event.payload, indent=0)
    except msgspec.DecodeError:
        data = event.payload
    return Row(
        event.place,
        (Cell(clock(event.time_ms), event.time_ms), words(event.type or "Not an event"), words(event.key), words(data)),
    )


def widths(columns: Sequence[Column], width: int) -> list[int]:
    """Return the width of each column that is shown on so many cells; it has a space on both sides."""
    columns = [column for column in columns if width >= column.wide]
    left = width - sum(column.width + 2 for column in columns)
    shares = sum(column.share for column in columns) or 1
    return [column.width + max(0, left) * column.share // shares for column in columns]


def words(text: str, style: str = "") -> Cell:
    """Return a cell of text from outside: escaped, on one line and not endless."""
    shown = plain(text[:_LONGEST])
    return Cell(shown, shown.casefold(), style)


def number(value: float, style: str = "") -> Cell:
    """Return a cell of a whole number."""
    return Cell(f"{value:,.0f}", value, style)


def rate(per_s: float | None) -> str:
    """Return a rate in words; a dash while it is not known."""
    return "–" if per_s is None else f"{per_s:,.1f}/s" if per_s < 10 else f"{per_s:,.0f}/s"


def clock(time_ms: int) -> str:
    """Return a time of today as such, an older one with its day, in this machine's zone."""
    try:
        moment = time.localtime(time_ms / 1000)
    except (OverflowError, ValueError, OSError):
        return str(time_ms)
    today = abs(time.time() - time_ms / 1000) < _DAY_S and moment.tm_yday == time.localtime().tm_yday
    return (
        f"{time.strftime('%H:%M:%S', moment)}.{time_ms % 1000:03d}" if today else time.strftime("%m-%d %H:%M", moment)
    )


def _topics(snapshot: Snapshot) -> list[Row]:
    return [
        Row(
            topic.name,
            (
                words(topic.name, "bold"),
                Cell(rate(topic.per_s), topic.per_s or 0.0),
                number(topic.waiting, "yellow" if topic.waiting else ""),
                number(topic.written),
                number(topic.partitions),
                words(", ".join(consumer.name for consumer in topic.consumers) or "nobody"),
                words(", ".join(topic.types)),
            ),
        )
        for topic in snapshot.topics
    ]


def _consumers(snapshot: Snapshot) -> list[Row]:
    return [
        Row(
            f"{consumer.name} {topic.name}",
            (
                words(consumer.name, "bold"),
                words(topic.name),
                Cell(
                    "▲ behind" if consumer.lag else "● up to date", consumer.lag, "yellow" if consumer.lag else "green"
                ),
                number(consumer.lag),
                Cell(rate(topic.per_s), topic.per_s or 0.0),
            ),
        )
        for topic in snapshot.topics
        for consumer in topic.consumers
    ]


def _agents(snapshot: Snapshot) -> list[Row]:
    def status(text: str) -> Cell:
        return Cell(*(("● running", "0", "green") if text == "RUNNING" else (f"○ {plain(text.lower())}", text, "dim")))

    return [
        Row(
            agent.id,
            (
                words(agent.slug, "bold"),
                status(agent.status),
                words(agent.model),
                number(len(agent.tools)),
                words(agent.name),
            ),
        )
        for agent in snapshot.agents
    ]


def _letters(snapshot: Snapshot) -> list[Row]:
    def status(text: str) -> Cell:
        shown, style = _LETTERS.get(text, (plain(text), ""))
        return Cell(shown, text, style)

    return [
        Row(
            str(letter.id),
            (
                Cell(clock(letter.created_ms), letter.created_ms),
                status(letter.status),
                words(letter.consumer),
                words(letter.type or "Not an event"),
                words(letter.cause),
            ),
        )
        for letter in snapshot.letters
    ]


def _parts(snapshot: Snapshot) -> list[Row]:
    order = {"failed": "0", "attention": "1", "off": "2", "ok": "3"}
    return [
        Row(
            part.name,
            (
                words(part.title, "bold"),
                Cell(WORDS.get(part.status, part.status), order.get(part.status, "4"), STYLES.get(part.status, "")),
                words(part.cause or part.detail),
                words("  ".join(f"{name} {value}" for name, value in part.figures)),
            ),
        )
        for part in snapshot.parts
    ]


LISTINGS = (
    Listing(
        title="Topics",
        columns=(
            Column("Topic", 14, share=2),
            Column("Rate", 9, right=True),
            Column("Waiting", 8, right=True),
            Column("Written", 10, right=True),
            Column("Parts", 5, right=True),
            Column("Consumers", 9, share=1),
            Column("Types", 10, share=3, wide=110),
        ),
        rows=_topics,
        empty="The bus has not answered yet.",
        opens="Events",
    ),
    Listing(
        title="Consumers",
        columns=(
            Column("Consumer", 12, share=1),
            Column("Topic", 16, share=1),
            Column("State", 12),
            Column("Waiting", 10, right=True),
            Column("Comes in", 9, right=True),
        ),
        rows=_consumers,
        empty="The bus has not answered yet.",
        opens="Events",
    ),
    Listing(
        title="Agents",
        columns=(
            Column("Agent", 14, share=1),
            Column("Status", 10),
            Column("Model", 16, share=1),
            Column("Tools", 5, right=True),
            Column("Name", 12, share=1),
        ),
        rows=_agents,
        empty="There are no agents in this workspace.",
        opens="Facts",
    ),
    Listing(
        title="Dead letters",
        columns=(
            Column("When", 12),
            Column("Status", 11),
            Column("Given up by", 11),
            Column("Type", 12, share=1),
            Column("Cause", 12, share=3),
        ),
        rows=_letters,
        empty="No event was given up. What a consumer cannot handle after five attempts appears here.",
        opens="Letter",
    ),
    Listing(
        title="Health",
        columns=(
            Column("Part", 16),
            Column("Status", 11),
            Column("What", 20, share=2),
            Column("Figures", 10, share=2),
        ),
        rows=_parts,
        empty="Nothing has answered yet.",
        opens="Cause",
    ),
)
"""What the dashboard shows, in the order of the keys 1 to 5."""

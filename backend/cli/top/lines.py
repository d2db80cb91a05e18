"""A list on the screen: moved by keys, sorted, filtered, and drawn anew without losing the line that is chosen."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from backend.cli.top.lists import Cell, Column, Row, widths


class Lines(DataTable[Text]):
    """Rows of text under titles.

    Args:
        columns: titles and widths.
        follows: whether the first line stays chosen when others come before it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Open", key_display="↵")]

    def __init__(self, columns: Sequence[Column], *, follows: bool = False, id: str | None = None) -> None:
        super().__init__(cursor_type="row", id=id)
        self._titles = tuple(columns)
        self._follows = follows
        self._rows: list[Row] = []
        self._shown: list[Row] = []
        self._drawn_width = -1
        self.words = ""
        self.order: int | None = None
        self.reverse = False

    @property
    def bare(self) -> bool:
        """Whether there is no row to show."""
        return not self._fitting()

    @property
    def total(self) -> int:
        """How many rows there are without the filter."""
        return len(self._rows)

    @property
    def chosen(self) -> str:
        """The key of the row under the cursor; empty without one."""
        return self._shown[self.cursor_row].key if 0 <= self.cursor_row < len(self._shown) else ""

    def fill(self, rows: Sequence[Row]) -> None:
        """Show these rows from now on."""
        self._rows = list(rows)
        self._draw()

    def narrow(self, words: str) -> None:
        """Show those that have the words alone; all for none."""
        self.words = words
        self._draw()

    def sort_by_next(self) -> None:
        """Sort by the next column, after the last one as they came."""
        following = 0 if self.order is None else self.order + 1
        self.order = following if following < len(self.columns) else None
        self._draw(anew=True)

    def turn_around(self) -> None:
        """Sort the other way round."""
        self.reverse = not self.reverse
        self._draw(anew=True)

    def on_resize(self, event: events.Resize) -> None:
        """Give the columns their share of the new width."""
        if event.size.width != self._drawn_width:
            self._draw(anew=True)

    def _draw(self, *, anew: bool = False) -> None:
        if not self.size.width:
            # A list that is not on the screen has no width; it is drawn when it gets one.
            self._drawn_width = -1
            return
        shown = self._sorted(self._fitting())
        if not anew and [row.key for row in shown] == [row.key for row in self._shown] and self.columns:
            self._update(shown)
            return
        first = self._follows and self.cursor_row <= 0
        chosen, line, top = self.chosen, self.cursor_row, self.scroll_y
        self.clear(columns=True)
        self._drawn_width = self.size.width
        given = widths(self._titles, self._drawn_width)
        for number, width in enumerate(given):
            self.add_column(self._title(number, width), key=str(number), width=width)
        for row in shown:
            cells = row.cells[: len(given)]
            self.add_row(*(self._text(number, cell) for number, cell in enumerate(cells)), key=row.key)
        self._shown = shown
        keys = [row.key for row in shown]
        line = 0 if first else keys.index(chosen) if chosen in keys else min(line, len(keys) - 1)
        self.move_cursor(row=max(0, line), scroll=False)
        self.scroll_to(y=0 if first else top, animate=False)
        self.call_after_refresh(self.move_cursor, row=max(0, line))

    def _update(self, shown: list[Row]) -> None:
        for old, new in zip(self._shown, shown, strict=True):
            for number, (before, after) in enumerate(zip(old.cells, new.cells, strict=True)):
                if before != after and number < len(self.columns):
                    self.update_cell(new.key, str(number), self._text(number, after))
        self._shown = shown

    def _fitting(self) -> list[Row]:
        return [row for row in self._rows if row.has(self.words)]

    def _sorted(self, rows: list[Row]) -> list[Row]:
        number = self.order
        if number is None:
            return rows[::-1] if self.reverse else rows
        return sorted(rows, key=lambda row: row.cells[number].order, reverse=self.reverse)

    def _title(self, number: int, width: int) -> Text:
        mark = ("▼" if self.reverse else "▲") if number == self.order else ""
        column = self._titles[number]
        title = f"{column.title[: width - len(mark)]}{mark}"
        return Text(title.rjust(width) if column.right else title, no_wrap=True, end="")

    def _text(self, number: int, cell: Cell) -> Text:
        right = self._titles[number].right
        return Text(
            cell.text, cell.style, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", end=""
        )

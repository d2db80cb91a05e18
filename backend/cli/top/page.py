"""What every screen of the dashboard has: a head, the trouble if there is any, one line to type in, and its keys."""

from collections.abc import Sequence
from typing import ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from backend.cli.terminal import plain
from backend.cli.top.lines import Lines
from backend.cli.top.lookout import Trouble

_LONGEST_INPUT = 200


HELP_AND_QUIT = (Binding("question_mark", "help", "Help", key_display="?"), Binding("q", "app.quit", "Quit"))
"""Every screen ends its keys with these."""


class Page(Screen[None]):
    """A screen; ``asking`` names what is typed: nothing, ``filter``, or what the screen adds."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self) -> None:
        super().__init__()
        self.asking = ""
        self._head = Static(id="head", markup=False)
        self._trouble = Static(id="trouble", markup=False)
        self._empty = Static(id="empty", markup=False)
        self._field = Input(id="asked", compact=True, max_length=_LONGEST_INPUT, select_on_focus=False)
        for hidden in (self._trouble, self._empty, self._field):
            hidden.display = False

    def compose(self) -> ComposeResult:
        """Lay out the parts from top to bottom."""
        yield from (self._head, self._trouble, *self.parts(), self._empty, self._field)
        yield Footer(compact=True, show_command_palette=False)

    def parts(self) -> Sequence[Widget]:
        """Return what stands between head and foot."""
        return ()

    def head(self, *parts: str | Text) -> None:
        """Set the first line; parts that do not fit are cut."""
        line = Text(" ", no_wrap=True, overflow="ellipsis", style="bold")
        for number, part in enumerate(parts):
            line.append("  " if number else "")
            line.append(part if isinstance(part, Text) else Text(plain(part)))
        self._head.update(line)

    def tell(self, troubles: Sequence[Trouble]) -> None:
        """Show what went wrong, why, and the next step; nothing takes it away."""
        shown = Text()
        for number, trouble in enumerate(troubles):
            shown.append("\n" if number else "")
            shown.append(f" ✕ {plain(trouble.message)} ", "bold red")
            shown.append(plain(trouble.hint))
        place = self._trouble
        place.display = bool(troubles)
        place.update(shown)

    def say_empty(self, lines: Lines, words: str) -> None:
        """Say why a list has no lines, in its place."""
        place = self._empty
        self.set_class(lines.bare, "bare")
        place.display = lines.bare
        place.update(Text(f"\n {words}"))

    def ask(self, what: str, value: str, placeholder: str) -> None:
        """Let something be typed in the line above the keys."""
        self.asking = what
        field = self._field
        field.placeholder = placeholder
        field.display = True
        with field.prevent(Input.Changed):
            field.value = value
        field.cursor_position = len(value)
        field.focus()

    def stop_asking(self) -> None:
        """Take the line to type in away."""
        self.asking = ""
        self._field.display = False
        self.query_one("#main").focus()

    def action_back(self) -> None:
        """Leave what is typed, else the screen."""
        if self.asking:
            self.typed(self.asking, "")
            self.stop_asking()
        else:
            self.leave()

    def leave(self) -> None:
        """Go to the screen before."""
        self._top().pop_screen()

    def action_help(self) -> None:
        """Show every key."""
        from backend.cli.top.reading import Reading, help_of

        self.open(Reading("Keys", [], help_of()))

    def open(self, page: "Page") -> None:
        """Show another screen above this one."""
        self._top().push_screen(page)

    def _top(self) -> App[object]:
        # The library leaves open what a program returns.
        return cast("App[object]", self.app)  # pyright: ignore[reportUnknownMemberType]

    @on(Input.Changed, "#asked")
    def _changed(self, event: Input.Changed) -> None:
        if self.asking == "filter":
            self.typed("filter", event.value)

    @on(Input.Submitted, "#asked")
    def _submitted(self, event: Input.Submitted) -> None:
        asking = self.asking
        self.stop_asking()
        if asking != "filter":
            self.typed(asking, event.value)

    def typed(self, what: str, value: str) -> None:
        """Take what was typed: the filter at each key, the rest when it is done; empty where it was left."""

"""The dashboard as a program of the terminal: connects, looks every few seconds, and gives the terminal back."""

import asyncio
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType

from backend.cli.terminal import plain
from backend.cli.top.dashboard import Dashboard
from backend.cli.top.lookout import Lookout, Snapshot, trouble_of
from backend.foundation.kernel.errors import AutoWeaveError

Connect = Callable[[], Awaitable[Lookout]]

_STYLE = """
Screen { layout: vertical; background: ansi_default; color: ansi_default; }
#head, #tabs { height: 1; }
#head { text-style: bold; }
#trouble { height: auto; max-height: 6; }
#empty { height: auto; }
#main { height: 1fr; }
.bare #main { height: 1; }
.bare #empty { height: 1fr; }
#asked { height: 1; border: none; padding: 0 1; }
ContentSwitcher > Lines { height: 100%; }
Lines, Lines:focus, VerticalScroll { background: ansi_default; background-tint: ansi_default 0%; scrollbar-size: 1 1; }
Lines > .datatable--header, Lines:focus > .datatable--header {
    background: ansi_default; color: ansi_default; text-style: bold underline; background-tint: ansi_default 0%;
}
Lines > .datatable--cursor { background: ansi_default; color: ansi_default; text-style: reverse; }
Lines:focus > .datatable--cursor { background: ansi_default; color: ansi_default; text-style: reverse; }
VerticalScroll { padding: 0 1; }
"""


class Top(App[AutoWeaveError]):
    """The dashboard; its result is the error of a wrong use, if there was one.

    Args:
        connect: opens what is looked at; asked again while a part is away.
        every_s: seconds between two looks.
    """

    CSS = _STYLE
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(self, connect: Connect, *, every_s: float) -> None:
        # The terminal's own colours: 16 are enough, on a dark ground and on a light one, and NO_COLOR takes them away.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._connect = connect
        self._every_s = every_s
        self.lookout: Lookout | None = None
        self.board = Dashboard()

    def on_mount(self) -> None:
        """Begin to look."""
        self.push_screen(self.board)
        self.run_worker(self._watch(), name="watch")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # In a thread of a test there are no signals.
            with suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, self.exit)

    def _fatal_error(self) -> None:
        """Tell of a defect without the values of variables, which the library would print: they may be anybody's."""
        self.bell()
        words = "".join(traceback.format_exception(sys.exc_info()[1]))
        self._exit_renderables.append(Text(plain(words, lines=True)))
        self._close_messages_no_wait()

    async def _watch(self) -> None:
        while True:
            if not self.board.paused:
                snapshot = await self._look()
                if snapshot is None:
                    return
                if not self.board.paused:
                    self.board.show(snapshot, self.lookout)
            await asyncio.sleep(self._every_s)

    async def _look(self) -> Snapshot | None:
        """Return how everything is; nothing when what was asked for is wrong, which no waiting mends."""
        if self.lookout is None:
            try:
                self.lookout = await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever is away is told, and tried again
                if isinstance(error, AutoWeaveError) and not error.retry:
                    self.exit(error)
                    return None
                return Snapshot(at_ms=0, troubles=(trouble_of("The installation", error),))
        return await self.lookout.look()

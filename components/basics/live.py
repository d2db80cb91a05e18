"""Small things that follow the clock, the clipboard and the connection."""

from typing import Any

import reflex as rx
from reflex.event import no_args_event_spec
from reflex_components_core.core.banner import connect_errors

from components.basics.jsx import Local, source


class RelativeTime(Local):
    """``3 minutes ago``, with the absolute time in the title; ``ms`` counts from 1970, 0 shows ``none``."""

    library = source("basics/live")
    tag = "RelativeTime"
    ms: rx.Var[int]
    none: rx.Var[str]


class CopyButton(Local):
    """Copies a text and says so."""

    library = source("basics/live")
    tag = "CopyButton"
    text: rx.Var[str]
    label: rx.Var[str]
    icon_only: rx.Var[bool]
    quiet: rx.Var[bool]


class ConnectionBar(Local):
    """One quiet bar while the connection is away, with a countdown to the next try."""

    library = source("basics/live")
    tag = "ConnectionBar"
    errors: rx.Var[list[Any]]


class ReloadButton(Local):
    """Loads the page again."""

    library = source("basics/live")
    tag = "ReloadButton"


class Notice(Local):
    """What went wrong with an action."""

    library = source("basics/live")
    tag = "Notice"
    notice: rx.Var[dict[str, str]]
    on_close: rx.EventHandler[no_args_event_spec]


class UndoBar(Local):
    """Stands for some seconds after something was taken away; no text, no bar."""

    library = source("basics/live")
    tag = "UndoBar"
    text: rx.Var[str]
    on_undo: rx.EventHandler[no_args_event_spec]
    on_gone: rx.EventHandler[no_args_event_spec]


relative_time = RelativeTime.create
copy_button = CopyButton.create
reload_button = ReloadButton.create
notice = Notice.create
undo_bar = UndoBar.create


def connection_bar() -> rx.Component:
    """Return the bar, fed by the socket of the page."""
    return ConnectionBar.create(errors=connect_errors)

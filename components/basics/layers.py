"""What floats above the page: dialogs, the palette, notices, the undo bar."""

import reflex as rx
from reflex.event import no_args_event_spec

from components.basics.jsx import Local, source


class Dialog(Local):
    """A native dialog; ``open`` shows it, Escape and a click beside it ask to close."""

    library = source("basics/layers")
    tag = "Dialog"
    open: rx.Var[bool]
    label: rx.Var[str]
    side: rx.Var[bool]
    on_close: rx.EventHandler[no_args_event_spec]


class Palette(Local):
    """Goes anywhere by Ctrl or Cmd+K; ``?`` lists the shortcuts."""

    library = source("basics/layers")
    tag = "Palette"
    items: rx.Var[list[dict[str, str]]]
    shortcuts: rx.Var[list[list[str]]]
    on_open: rx.EventHandler[no_args_event_spec]


class PaletteButton(Local):
    """Opens the palette by a click."""

    library = source("basics/layers")
    tag = "PaletteButton"


dialog = Dialog.create
palette = Palette.create
palette_button = PaletteButton.create

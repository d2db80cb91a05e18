"""The rail that stands beside every page."""

import reflex as rx

from components.basics.jsx import Local, source


class Rail(Local):
    """Folds on a desk, slides in on a phone."""

    library = source("basics/frame")
    tag = "Rail"
    label: rx.Var[str]


class RailToggle(Local):
    """Folds the rail, or opens it where it is a ``drawer``."""

    library = source("basics/frame")
    tag = "RailToggle"
    drawer: rx.Var[bool]


class SkipLink(Local):
    """The first stop of the keyboard: past the rail, to what the page is about."""

    library = source("basics/frame")
    tag = "SkipLink"


rail = Rail.create
skip_link = SkipLink.create
rail_toggle = RailToggle.create


def mark() -> rx.Component:
    """The mark of the product: three nodes woven into one line."""
    return rx.el.span(
        rx.el.svg(
            rx.el.path(d="M4 17c4 0 4-10 8-10s4 10 8 10", stroke_linecap="round"),
            rx.el.circle(cx="4", cy="17", r="2", fill="currentColor"),
            rx.el.circle(cx="12", cy="7", r="2", fill="currentColor"),
            rx.el.circle(cx="20", cy="17", r="2", fill="currentColor"),
            view_box="0 0 24 24",
            fill="none",
            stroke="currentColor",
            stroke_width="2",
            custom_attrs={"aria-hidden": True},
        ),
        class_name="mark",
    )

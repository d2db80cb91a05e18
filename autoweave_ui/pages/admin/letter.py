"""One event that a consumer gave up."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.letter import letter, letter_actions
from components.basics.live import relative_time
from components.basics.places import scroll, status
from state.admin.letter import LetterState

TITLE = rx.cond(LetterState.view, LetterState.view["type"].to(str), "Dead letter")


@page(
    "/admin/dead-letters/[letter_id]",
    title=TITLE,
    area="admin",
    permission="bus:repair",
    on_load=[LetterState.load],
)
def dead_letter() -> rx.Component:
    """Why it was given up, its data, and what can be done."""
    view = LetterState.view
    about = rx.el.p(
        status(view["shape"].to(str), view["status"].to(str)),
        " · given up ",
        relative_time(ms=view["created_ms"].to(int)),
        class_name="about",
    )
    return scroll(
        rx.el.header(
            rx.el.div(rx.el.h1(TITLE), rx.cond(view, about, rx.el.p("An event that was given up.")), class_name="grow"),
            rx.el.div(letter_actions(), class_name="actions"),
            class_name="head",
        ),
        rx.el.div(letter(), class_name="content"),
        label=TITLE,
    )

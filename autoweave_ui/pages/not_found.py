"""Where an address that leads nowhere ends."""

import reflex as rx

from autoweave_ui.shell import plain_page
from components.basics.controls import link


@plain_page("404", title="Not found")
def not_found() -> rx.Component:
    """Say so, and the way back."""
    return rx.fragment(
        rx.el.div(
            rx.el.h1("There is no such page"),
            rx.el.p("The address may be mistyped, or what was here is gone.", class_name="soft"),
            class_name="stack",
        ),
        rx.el.div(link("Go to chat", to="/chat", class_name="button primary"), class_name="row"),
    )

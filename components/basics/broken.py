"""What stands in place of a page whose drawing failed."""

import reflex as rx
from reflex_components_core.base.error_boundary import error_boundary

from components.basics.frame import mark
from components.basics.live import copy_button, reload_button

_ERROR = "event_args.error.name + ': ' + event_args.error.message + '\\n' + event_args.error.stack"


def broken_page() -> rx.Component:
    """Return the boundary: what happened, the next step, and the details to hand to who can mend it."""
    return error_boundary(
        fallback_render=rx.Var.create(
            rx.el.main(
                rx.el.div(
                    mark(),
                    rx.el.div(
                        rx.el.h1("This page could not be drawn"),
                        rx.el.p("Nothing you wrote is lost. Reload the page to go on.", class_name="soft"),
                        class_name="stack",
                    ),
                    rx.el.div(
                        reload_button(),
                        copy_button(text=rx.Var(_js_expr=_ERROR), label="Copy details"),
                        class_name="row",
                    ),
                    class_name="column",
                ),
                class_name="alone",
            )
        )
    )

"""One trace, from the first span to the last."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.trace import waterfall
from components.basics.live import copy_button, relative_time
from components.basics.places import scroll
from state.admin.trace import TraceState

TITLE = rx.cond(TraceState.title, TraceState.title, "Trace")


@page(
    "/admin/traces/[trace_id]",
    title=TITLE,
    area="admin",
    permission="traces:read",
    on_load=[TraceState.load],
)
def trace() -> rx.Component:
    """What was done, where, and how long each step took."""
    return scroll(
        rx.el.header(
            rx.el.div(
                rx.el.h1(TITLE),
                rx.el.p(
                    rx.cond(
                        TraceState.started_ms, relative_time(ms=TraceState.started_ms), "What happened, step by step."
                    ),
                    rx.cond(TraceState.duration, " · took " + TraceState.duration, ""),
                ),
                class_name="grow",
            ),
            rx.el.div(copy_button(text=TraceState.trace, label="Copy trace id", quiet=False), class_name="actions"),
            class_name="head",
        ),
        rx.el.div(waterfall(), class_name="content"),
        label=TITLE,
    )

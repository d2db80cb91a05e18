"""The newest traces of the workspace."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.traces import traces
from components.basics.places import page_head, scroll
from state.admin.traces import TracesState


@page(
    "/admin/traces",
    title="Traces",
    area="admin",
    permission="traces:read",
    on_load=[TracesState.load, TracesState.watch],
)
def trace_list() -> rx.Component:
    """What happened lately, and the way to each."""
    return scroll(
        page_head("Traces", "What happened lately, and how long it took."),
        rx.el.div(traces(), class_name="content"),
        label="Traces",
    )

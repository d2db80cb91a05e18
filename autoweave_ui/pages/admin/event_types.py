"""The catalogue of events."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.event_types import documents, event_types
from components.basics.places import page_head, scroll
from state.admin.event_types import EventTypesState


@page("/admin/events", title="Event types", area="admin", permission="bus:read", on_load=[EventTypesState.load])
def event_type_list() -> rx.Component:
    """What there is to tell and to hear, for who builds on it."""
    return scroll(
        page_head("Event types", "What rooms and agents tell each other: who sends, who listens.", documents()),
        rx.el.div(event_types(), class_name="content"),
        label="Event types",
    )

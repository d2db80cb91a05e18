"""One type of event."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.event_type import event_type, topic_link
from components.basics.places import page_head, scroll
from state.admin.event_type import EventTypeState

TITLE = rx.cond(EventTypeState.name, EventTypeState.name, "Event type")
PURPOSE = rx.cond(
    EventTypeState.phase == "ready",
    EventTypeState.view["summary"].to(str),
    "What it carries, who sends and who listens.",
)


@page(
    "/admin/events/[event_type]",
    title=TITLE,
    area="admin",
    permission="bus:read",
    on_load=[EventTypeState.load, EventTypeState.watch],
)
def event_type_page() -> rx.Component:
    """The contract of an event, and what flows of it now."""
    return scroll(
        page_head(TITLE, PURPOSE, topic_link()),
        rx.el.div(event_type(), class_name="content"),
        label=TITLE,
    )

"""The events in one topic."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.consumers import consumers
from components.admin.topic import events
from components.basics.places import page_head, scroll
from state.admin.consumers import ConsumersState
from state.admin.topic import TopicState

TITLE = rx.cond(TopicState.topic, TopicState.topic, "Topic")


@page(
    "/admin/topics/[topic_name]",
    title=TITLE,
    area="admin",
    permission="bus:read",
    on_load=[TopicState.watch, ConsumersState.watch_consumers],
)
def topic() -> rx.Component:
    """The events of the workspace, the newest first, live."""
    return scroll(
        page_head(TITLE, "The events of this workspace, the newest first."),
        rx.el.div(consumers(), events(), class_name="content"),
        label=TITLE,
    )

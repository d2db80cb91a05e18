"""The topics of the bus."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.topics import topics
from components.basics.places import page_head, scroll
from state.admin.topics import TopicsState


@page(
    "/admin/topics",
    title="Topics",
    area="admin",
    permission="health:read",
    on_load=[TopicsState.watch],
)
def topic_list() -> rx.Component:
    """What flows between agents, and whether everybody keeps up."""
    return scroll(
        page_head("Topics", "What rooms and agents tell each other, and who is behind."),
        rx.el.div(topics(), class_name="content"),
        label="Topics",
    )

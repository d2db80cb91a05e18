"""The events in one topic."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.consumers import consumers
from components.admin.topic import events, partitions
from components.basics.places import page_head, scroll
from state.admin.consumers import ConsumersState
from state.admin.partitions import PartitionsState
from state.admin.topic import TopicState

TITLE = rx.cond(TopicState.topic, TopicState.topic, "Topic")
PURPOSE = rx.cond(
    TopicState.position["offset"],
    "The events of this workspace from an offset on, in the order of their partition.",
    "The events of this workspace, the newest first.",
)


@page(
    "/admin/topics/[topic_name]",
    title=TITLE,
    area="admin",
    permission="bus:read",
    on_load=[TopicState.watch, ConsumersState.watch_consumers, PartitionsState.watch],
)
def topic() -> rx.Component:
    """The events of the workspace, the newest first, live."""
    return scroll(
        page_head(TITLE, PURPOSE),
        rx.el.div(consumers(), partitions(), events(), class_name="content"),
        label=TITLE,
    )

"""The agents of the workspace, by the cards that they announce."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.discovery import agents
from components.basics.places import page_head, scroll
from state.admin.discovery import DiscoveryState


@page(
    "/admin/agents",
    title="Discovery",
    area="admin",
    permission="agents:read",
    on_load=[DiscoveryState.watch],
)
def discovery() -> rx.Component:
    """Who is there, and who lives."""
    return scroll(
        page_head("Discovery", "The agents that are there, by the signed cards that they announce on the bus."),
        rx.el.div(agents(), class_name="content"),
        label="Discovery",
    )

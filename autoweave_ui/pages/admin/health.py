"""System health: every part, live."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.health import health_list
from components.basics.places import page_head, scroll
from state.admin.health import HealthState


@page(
    "/admin/health",
    title="Health",
    area="admin",
    permission="health:read",
    on_load=[HealthState.load, HealthState.watch],
)
def health() -> rx.Component:
    """What works, what does not, and what to do about it."""
    return scroll(
        page_head("Health", "Every part of AutoWeave, as it is now."),
        rx.el.div(health_list(), class_name="content"),
        label="Health",
    )

"""Who outside is told what happens."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.webhooks import create_button, webhooks
from components.basics.places import page_head, scroll
from state.admin.webhooks import WebhooksState


@page(
    "/admin/webhooks",
    title="Webhooks",
    area="admin",
    permission="webhooks:read",
    on_load=[WebhooksState.load, WebhooksState.watch],
)
def webhook_list() -> rx.Component:
    """The webhooks, and how to make one."""
    return scroll(
        page_head("Webhooks", "Tell programs outside what happens here.", create_button()),
        rx.el.div(webhooks(), class_name="content"),
        label="Webhooks",
    )

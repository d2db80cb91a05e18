"""One webhook and its log."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.deliveries import deliveries
from components.admin.webhook import webhook, webhook_actions
from components.basics.live import relative_time
from components.basics.places import scroll, status
from state.admin.deliveries import DeliveriesState
from state.admin.webhook import WebhookState


@page(
    "/admin/webhooks/[webhook_id]",
    title="Webhook",
    area="admin",
    permission="webhooks:read",
    on_load=[WebhookState.load, WebhookState.watch, DeliveriesState.load, DeliveriesState.watch],
)
def webhook_page() -> rx.Component:
    """How it is, what it sends, and what became of each event."""
    view = WebhookState.view
    about = rx.el.p(
        status(view["shape"].to(str), view["status"].to(str)),
        " · created ",
        relative_time(ms=view["created_ms"].to(int)),
        class_name="about",
    )
    return scroll(
        rx.el.header(
            rx.el.div(
                rx.el.h1("Webhook"),
                rx.cond(view, about, rx.el.p("Where events are sent, and what became of each.")),
                class_name="grow",
            ),
            rx.el.div(webhook_actions(), class_name="actions"),
            class_name="head",
        ),
        rx.el.div(webhook(deliveries()), class_name="content"),
        label="Webhook",
    )

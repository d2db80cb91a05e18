"""One agent's card."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.card import card, card_actions
from components.basics.live import relative_time
from components.basics.places import scroll, status
from state.admin.card import CardState

TITLE = rx.cond(CardState.view, CardState.view["name"].to(str), "Agent")


@page(
    "/admin/agents/[agent_id]",
    title=TITLE,
    area="admin",
    permission="agents:read",
    on_load=[CardState.watch],
)
def agent_card() -> rx.Component:
    """What it can do, where it is reached, and who vouches for it."""
    view = CardState.view
    changed = rx.fragment(" · changed ", relative_time(ms=view["since_ms"].to(int)))
    since = rx.cond(view["since_ms"].to(int) > 0, changed, rx.fragment())
    about = rx.el.p(status(view["shape"].to(str), view["status"].to(str)), since, class_name="about")
    described = rx.el.p(view["description"].to(str), dir="auto")
    return scroll(
        rx.el.header(
            rx.el.div(
                rx.el.h1(TITLE, dir="auto"),
                rx.cond(view, rx.fragment(about, described), rx.el.p("An agent and its card.")),
                class_name="grow",
            ),
            rx.el.div(card_actions(), class_name="actions"),
            class_name="head",
        ),
        rx.el.div(card(), class_name="content"),
        label=TITLE,
    )

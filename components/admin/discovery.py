"""The agents of the workspace: who lives, what each can do, and where it listens."""

from typing import Any

import reflex as rx

from components.basics.controls import icon, link, note
from components.basics.live import relative_time
from components.basics.places import empty, loading, skeleton, status, trouble
from components.basics.tables import opens, table
from state.admin.discovery import PATH, DiscoveryState

COLUMNS = ("Agent", "Status", "Since", "Skills", "Listens to", "Card")


def agents() -> rx.Component:
    """The table, or what stands in its place, and what is wrong."""
    return rx.el.div(
        trouble(DiscoveryState.problem),
        rx.cond(DiscoveryState.dead, no_worker(), rx.fragment()),
        rx.cond(DiscoveryState.refused > 0, _refused(), rx.fragment()),
        rx.cond(
            DiscoveryState.loaded,
            rx.cond(DiscoveryState.lines, _table(), _none()),
            rx.cond(DiscoveryState.problem["what"], rx.fragment(), _waiting()),
        ),
        class_name="stack",
    )


def no_worker() -> rx.Component:
    """Why an agent is dead, and what to do."""
    return note(
        "No worker serves agents",
        rx.el.p(
            "None has been seen for 15 seconds. What agents are asked waits until one runs: start it with ",
            rx.el.code("autoweave run worker --roles agents", class_name="mono"),
            ".",
            class_name="soft",
        ),
        kind="attention",
    )


def _refused() -> rx.Component:
    return note(
        "Some cards are not believed",
        rx.el.p(
            rx.el.span(DiscoveryState.refused, class_name="number"),
            " were changed by another hand, or signed with another secret. Give each process the same "
            "AUTOWEAVE_SECRET_KEY, then start a worker: it signs them again.",
            class_name="soft",
        ),
        kind="attention",
    )


def _table() -> rx.Component:
    return rx.el.div(
        table(COLUMNS, DiscoveryState.lines, _cells, label="Agents", actions="Open"), class_name="letters discovery"
    )


def _cells(line: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
    what = rx.el.div(
        rx.el.span(line.name, class_name="strong", dir="auto"),
        rx.el.span(line.description, class_name="soft small cut", title=line.description, dir="auto"),
        class_name="what",
    )
    fresh = rx.cond(DiscoveryState.fresh.contains(line.agent), "changed", "")
    return [
        what,
        rx.el.span(status(line.shape, line.status), class_name=fresh),
        relative_time(ms=line.since_ms, none="Not known"),
        rx.el.span(line.skills, class_name="small", dir="auto"),
        rx.el.span(line.topics, class_name="mono small"),
        rx.cond(line.public, rx.el.span("Public", class_name="tag"), rx.el.span("Workspace", class_name="soft small")),
        opens(PATH, line.agent, name=line.name),
    ]


def _none() -> rx.Component:
    return empty(
        "No agent has a card",
        "Each agent announces one when it is made; a worker does it for those from before.",
        link(icon("heart-pulse"), "Look at the workers", to="/admin/health", class_name="button plain"),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 3, what="Looking who is there")

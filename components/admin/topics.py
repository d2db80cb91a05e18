"""The topics of the bus: what they carry, how fast they grow, and whether a consumer is behind."""

from typing import Any

import reflex as rx

from components.basics.controls import note
from components.basics.places import loading, skeleton, status, trouble
from components.basics.tables import opens, table
from state.admin.topics import PATH, TopicsState
from state.session import SessionState

COLUMNS = ("Topic", "Consumers", "Partitions", "Written", "Rate", "Waiting", "Kept")


def topics() -> rx.Component:
    """The table, or what stands in its place; the catalogue always has topics."""
    return rx.el.div(
        trouble(TopicsState.problem),
        rx.cond(TopicsState.differences.length() > 0, _differences(), rx.fragment()),
        rx.cond(TopicsState.loaded, _table(), rx.cond(TopicsState.problem["what"], rx.fragment(), _waiting())),
        class_name="stack",
    )


def _table() -> rx.Component:
    return rx.el.div(
        table(COLUMNS, TopicsState.lines, _cells, label="Topics", actions="Open"), class_name="topics stack"
    )


def _differences() -> rx.Component:
    return note(
        "Some topics are not as the settings want them",
        rx.el.div(
            rx.el.ul(rx.foreach(TopicsState.differences, _difference), class_name="stack"),
            rx.el.p(
                "A start changes none of it: shorter retention deletes events, and more partitions give keys other "
                "places, so that events of a key may overtake those that wait.",
                class_name="measure",
            ),
            class_name="stack",
        ),
        kind="attention",
    )


def _difference(found: rx.Var[Any]) -> rx.Component:
    return rx.el.li(
        rx.el.span(found.words, class_name="strong"),
        ": ",
        rx.el.code(found.command, class_name="mono"),
        rx.el.div(found.topics, class_name="mono small"),
    )


def _cells(line: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
    what = rx.el.div(
        rx.el.span(line.name, class_name="strong mono"),
        rx.el.span(line.types, class_name="soft small"),
        class_name="what",
    )
    leads = opens(PATH, line.name, name=line.name)
    return [
        what,
        rx.el.span(line.consumers, class_name="mono"),
        rx.el.span(line.partitions, class_name="number"),
        rx.el.span(line.written, class_name="number"),
        rx.el.span(line.rate, class_name="number"),
        rx.cond(line.behind, status("attention", line.lag), rx.el.span(line.lag, class_name="number")),
        rx.el.span(line.kept, class_name="small"),
        rx.cond(SessionState.permissions.contains("bus:read"), leads, rx.fragment()),
    ]


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 3, what="Asking the bus")

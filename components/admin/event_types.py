"""The catalogue of events: a filter, a table that leads to each type, and the documents of all and of each agent."""

from typing import Any

import reflex as rx

from components.basics.controls import icon, link
from components.basics.filters import choice, names, search_box, toolbar
from components.basics.places import empty, loading, section, skeleton
from components.basics.tables import opens, table
from state.admin.event_types import PATH, EventTypesState

COLUMNS = ("Event", "Topic", "Sent by", "Handled by")


def documents() -> rx.Component:
    """The whole as AsyncAPI, in both forms."""
    return rx.fragment(_download("AsyncAPI (YAML)", "/asyncapi.yaml"), _download("JSON", "/asyncapi.json"))


def event_types() -> rx.Component:
    """The filter, the list or what stands in its place, and the agents' own documents."""
    return rx.fragment(
        _filter(),
        rx.cond(EventTypesState.loaded, rx.cond(EventTypesState.lines, _table(), _none()), _waiting()),
        rx.cond(EventTypesState.contracts, _contracts(), rx.fragment()),
    )


def _filter() -> rx.Component:
    return toolbar(
        search_box(
            "Search event types",
            "Search name, topic and fields",
            text=EventTypesState.text,
            version=EventTypesState.version,
            on_change=lambda text: EventTypesState.choose("text", text).debounce(250),
        ),
        choice(
            "Room",
            "Any room",
            names(EventTypesState.rooms),
            chosen=EventTypesState.room,
            on_change=lambda value: EventTypesState.choose("room", value),
        ),
    )


def _table() -> rx.Component:
    return rx.el.div(
        table(COLUMNS, EventTypesState.lines, _cells, label="Event types", actions="Open"), class_name="types stack"
    )


def _cells(line: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
    what = rx.el.div(
        rx.el.span(line.name, class_name="strong mono"),
        rx.el.span(line.summary, class_name="soft small"),
        class_name="what",
    )
    leads = opens(PATH, line.name, name=line.name)
    return [
        what,
        rx.el.span(line.topic, class_name="mono"),
        rx.el.span(line.sent_by, class_name="mono"),
        rx.el.span(line.handled_by, class_name="mono"),
        leads,
    ]


def _contracts() -> rx.Component:
    def one(contract: rx.Var[Any]) -> rx.Component:
        return rx.el.div(
            rx.el.dt(contract.name),
            rx.el.dd(
                _download("YAML", contract.document + ".yaml", of=contract.name),
                _download("JSON", contract.document + ".json", of=contract.name),
                class_name="row tags",
            ),
        )

    return section(
        "AsyncAPI of one agent",
        "The same events, as far as an agent receives and sends them. Agents have no topics of their own yet: all "
        "share those above, and are told apart by the field agent.",
        rx.el.dl(rx.foreach(EventTypesState.contracts, one), class_name="facts"),
    )


def _download(words: str, to: Any, *, of: Any = "AutoWeave") -> rx.Component:
    label = rx.Var.create(f"{words} of ") + of
    return rx.el.a(icon("download"), words, href=to, download=True, class_name="button plain", aria_label=label)


def _none() -> rx.Component:
    return empty(
        "No event type fits",
        "Another text or room may find some.",
        link("Show all event types", to=PATH, class_name="button plain"),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 6, what="Reading the catalogue")

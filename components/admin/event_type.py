"""One type of event: its facts with what flows now, its fields, an example, its Protobuf message."""

from typing import Any

import reflex as rx

from components.basics.controls import icon, link
from components.basics.places import empty, loading, skeleton, status, trouble
from state.admin.event_type import EventTypeState
from state.admin.event_types import PATH
from state.admin.topics import PATH as TOPICS

VIEW = EventTypeState.view


def topic_link() -> rx.Component:
    """The way to the events themselves."""
    to = rx.Var.create(TOPICS + "/") + VIEW["topic"].to(str) + "?type=" + EventTypeState.name
    return rx.cond(
        EventTypeState.phase == "ready",
        link(icon("waypoints"), "Show events", to=to, class_name="button plain"),
        rx.fragment(),
    )


def event_type() -> rx.Component:
    """The type, or what stands in its place."""
    return rx.match(EventTypeState.phase, ("ready", _type()), ("missing", _missing()), _waiting())


def _type() -> rx.Component:
    return rx.el.div(
        trouble(EventTypeState.problem),
        _facts(),
        _part("Fields", rx.el.p(VIEW["about"].to(str), class_name="measure soft"), _fields()),
        _part("Example", _source(VIEW["example"])),
        _part("Protobuf", _source(VIEW["protobuf"])),
        class_name="event-type stack loose",
    )


def _facts() -> rx.Component:
    to = rx.Var.create(TOPICS + "/") + VIEW["topic"].to(str)
    sent = rx.el.span(
        VIEW["sent_by"].to(str),
        rx.cond(
            VIEW["public"].to(bool),
            rx.el.span(" by POST /events/", VIEW["topic"].to(str), class_name="soft"),
            rx.fragment(),
        ),
    )
    return rx.el.dl(
        _fact("Topic", link(VIEW["topic"].to(str), to=to)),
        _fact("Key", VIEW["key"].to(str), mono=False),
        _fact("Sent by", sent),
        _fact("Handled by", VIEW["handled_by"].to(str)),
        _fact("Rate", rx.cond(EventTypeState.rate, EventTypeState.rate + ", over 10 seconds", "…"), mono=False),
        rx.cond(
            EventTypeState.waiting,
            _fact("Waiting", rx.foreach(EventTypeState.waiting, _consumer), mono=False),
            rx.fragment(),
        ),
        class_name="facts",
    )


def _consumer(consumer: rx.Var[Any]) -> rx.Component:
    words = consumer.lag + " for " + consumer.name
    return rx.el.div(rx.cond(consumer.behind, status("attention", words), words))


def _fact(name: str, value: Any, *, mono: bool = True) -> rx.Component:
    return rx.el.div(rx.el.dt(name), rx.el.dd(value, class_name="mono" if mono else ""))


def _fields() -> rx.Component:
    def row(field: rx.Var[Any]) -> rx.Component:
        cells = {
            "Field": rx.el.span(field.name, class_name="mono strong"),
            "Type": field.type,
            "Required": field.needed,
        }
        return rx.el.tr(*[rx.el.td(cell, custom_attrs={"data-label": name}) for name, cell in cells.items()])

    heads = [rx.el.th(name, scope="col") for name in ("Field", "Type", "Required")]
    return rx.el.div(
        rx.el.table(
            rx.el.thead(rx.el.tr(*heads)),
            rx.el.tbody(rx.foreach(EventTypeState.fields, row)),
            class_name="table",
        ),
        class_name="table-wrap",
        tab_index=0,
        role="group",
        aria_label="Fields",
    )


def _part(title: str, *children: rx.Component) -> rx.Component:
    return rx.el.section(rx.el.h2(title), *children, class_name="stack")


def _source(text: Any) -> rx.Component:
    return rx.el.pre(text.to(str), class_name="source", tab_index=0)


def _missing() -> rx.Component:
    return empty(
        "There is no such event type",
        "Check the name in the address.",
        link("Show all event types", to=PATH, class_name="button plain"),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2em")] * 6, what="Reading the catalogue")

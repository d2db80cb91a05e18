"""The events in one topic: a filter, and a list of lines that open."""

from typing import Any

import reflex as rx

from components.basics.controls import button, icon, link
from components.basics.filters import choice, names, options, search_box, toolbar
from components.basics.live import relative_time
from components.basics.places import empty, loading, skeleton, trouble
from state.admin.partitions import PartitionsState
from state.admin.topic import AT, LONGEST, SPANS, TopicState
from state.admin.topics import PATH

POSITION = TopicState.position


def events() -> rx.Component:
    """The filter and the list, or what stands in its place."""
    return rx.match(
        TopicState.phase,
        ("missing", _missing()),
        rx.fragment(
            _filter(),
            trouble(TopicState.problem),
            rx.cond(
                TopicState.phase == "ready",
                rx.cond(TopicState.lines, _list(), rx.cond(TopicState.problem["what"], rx.fragment(), _none())),
                rx.cond(TopicState.problem["what"], rx.fragment(), _waiting()),
            ),
        ),
    )


def _filter() -> rx.Component:
    return toolbar(
        search_box(
            "Search events",
            "Search key, id and data",
            text=TopicState.text,
            version=TopicState.version,
            on_change=lambda text: TopicState.choose("text", text).debounce(250),
        ),
        choice(
            "Since",
            "The last hour",
            *options({name: words for name, (words, _) in SPANS.items()} | {AT: "From a time …"}),
            chosen=TopicState.span,
            on_change=lambda value: TopicState.choose("since", value),
        ),
        choice(
            "Type",
            "Any type",
            names(TopicState.types),
            chosen=TopicState.type,
            on_change=lambda value: TopicState.choose("type", value),
        ),
        choice(
            "Partition",
            "Any partition",
            names(PartitionsState.numbers),
            chosen=POSITION["partition"],
            on_change=lambda value: TopicState.choose("partition", value),
        ),
        rx.cond(TopicState.span == AT, _moment(), rx.fragment()),
        rx.cond(POSITION["partition"], _offset(), rx.fragment()),
    )


def _moment() -> rx.Component:
    return rx.el.input(
        type="datetime-local",
        class_name="input",
        aria_label="Time, in UTC",
        title="Time, in UTC",
        default_value=rx.cond(TopicState.since == AT, "", TopicState.since),
        on_change=lambda value: TopicState.choose("since", value).debounce(800),
    )


def _offset() -> rx.Component:
    return rx.el.input(
        class_name="input",
        aria_label="From offset",
        placeholder="From offset",
        default_value=POSITION["offset"],
        max_length=LONGEST,
        on_change=lambda value: TopicState.choose("offset", value).debounce(800),
        key=POSITION["partition"] + "-" + TopicState.version.to_string(),
    )


def partitions() -> rx.Component:
    """What each partition holds, and the way to its oldest message."""

    def row(line: rx.Var[Any]) -> rx.Component:
        to = rx.Var.create(PATH + "/") + TopicState.topic + "?partition=" + line.number + "&offset=" + line.first
        browse = link("Browse", to=to, class_name="button quiet", aria_label="Browse partition " + line.number)
        cells = {
            "Partition": line.number,
            "Oldest offset": rx.el.span(rx.cond(line.first, line.first, "none"), class_name="mono"),
            "Newest offset": rx.el.span(rx.cond(line.last, line.last, "none"), class_name="mono"),
            "Held": line.held,
            "": rx.cond(line.first, browse, rx.fragment()),
        }
        return rx.el.tr(*[rx.el.td(cell, custom_attrs={"data-label": name}) for name, cell in cells.items()])

    heads = [rx.el.th(name, scope="col") for name in ("Partition", "Oldest offset", "Newest offset", "Held")]
    last = rx.el.th(rx.el.span("Browse", class_name="unseen"), scope="col")
    listed = rx.el.div(
        rx.el.table(
            rx.el.thead(rx.el.tr(*heads, last)),
            rx.el.tbody(rx.foreach(PartitionsState.lines, row)),
            class_name="table",
        ),
        class_name="table-wrap",
        tab_index=0,
        role="group",
        aria_label="Partitions",
    )
    shown = rx.el.details(
        rx.el.summary(PartitionsState.lines.length(), " partitions"),
        listed,
        class_name="partitions",
        key=POSITION["offset"],
    )
    return rx.cond(PartitionsState.lines, shown, rx.fragment())


def _list() -> rx.Component:
    part = rx.cond(
        POSITION["following"],
        button(
            "Show those that follow",
            on_click=TopicState.choose("offset", POSITION["following"]),
        ),
        rx.el.p("A part of a busy topic. Narrow the time to see the rest.", class_name="soft small"),
    )
    return rx.el.div(
        rx.el.div(rx.foreach(TopicState.lines, _line), class_name="events", role="list", aria_label="Events"),
        rx.cond(TopicState.partial, part, rx.fragment()),
        class_name="stack",
    )


def _line(line: rx.Var[Any]) -> rx.Component:
    fresh = rx.cond(TopicState.fresh.contains(line.place), "changed", "")
    return rx.el.div(
        rx.el.details(
            rx.el.summary(
                relative_time(ms=line.time_ms),
                rx.el.span(rx.cond(line.type, line.type, "Not an event"), class_name="mono cut"),
                rx.el.span(line.key, class_name="mono soft cut"),
                class_name=fresh,
            ),
            rx.el.dl(
                _fact("Id", line.id),
                _fact("Key", line.key),
                rx.cond(line.subject, _fact("Subject", line.subject), rx.fragment()),
                _fact("Partition", line.place),
                rx.cond(
                    line.trace, _fact("Trace", link("Open trace", to="/admin/traces/" + line.trace)), rx.fragment()
                ),
                class_name="facts",
            ),
            rx.el.pre(line.payload, class_name="source", tab_index=0),
        ),
        role="listitem",
        key=line.place,
    )


def _fact(name: str, value: Any) -> rx.Component:
    return rx.el.div(rx.el.dt(name), rx.el.dd(value, class_name="mono"))


def _none() -> rx.Component:
    return rx.cond(
        TopicState.filtered,
        empty(
            "No event fits",
            "Another time, type, text or place may find some.",
            link("Show the last hour", to=rx.Var.create(PATH + "/") + TopicState.topic, class_name="button plain"),
        ),
        empty(
            "No event in the last hour",
            "Events of this workspace appear here as they come. Ask an agent something, and see what it tells.",
            link(icon("message-square"), "Ask an agent", to="/chat", class_name="button plain"),
        ),
    )


def _missing() -> rx.Component:
    return empty(
        "There is no such topic",
        "Check the name in the address.",
        link("Show all topics", to=PATH, class_name="button plain"),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2em")] * 6, what="Reading the topic")

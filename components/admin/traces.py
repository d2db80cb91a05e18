"""The newest traces: a filter, and a table that leads to each."""

from typing import Any

import reflex as rx

from components.basics.controls import icon, link
from components.basics.filters import choice, options, search_box, toolbar
from components.basics.live import relative_time
from components.basics.places import empty, loading, skeleton, status
from components.basics.tables import table
from state.admin.traces import DURATIONS, MOST, PATH, STATUSES, TracesState

COLUMNS = ("What", "Status", "Started", "Took", "Where")


def traces() -> rx.Component:
    """The filter and the list, or what stands in its place."""
    return rx.fragment(
        _filter(),
        rx.cond(TracesState.loaded, rx.cond(TracesState.lines, _list(), _none()), _waiting()),
    )


def _filter() -> rx.Component:
    return toolbar(
        search_box(
            "Search titles",
            "Search titles",
            text=TracesState.text,
            version=TracesState.version,
            on_change=TracesState.search.debounce(250),
        ),
        choice(
            "Status",
            "Any status",
            *options(STATUSES),
            chosen=TracesState.status,
            on_change=TracesState.choose_status,
        ),
        choice(
            "Duration",
            "Any duration",
            *options(DURATIONS),
            chosen=TracesState.at_least,
            on_change=TracesState.choose_at_least,
        ),
    )


def _list() -> rx.Component:
    more = rx.el.p(f"The newest {MOST}. Narrow them down to see older ones.", class_name="soft small")
    return rx.el.div(
        table(COLUMNS, TracesState.lines, _cells, label="Traces", actions="Open"),
        rx.cond(TracesState.full, more, rx.fragment()),
        class_name="traces stack",
    )


def _cells(line: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
    fresh = rx.cond(TracesState.fresh.contains(line.id), "strong changed", "strong")
    return [
        rx.el.span(line.title, class_name=fresh, dir="auto"),
        status(line.shape, line.status),
        relative_time(ms=line.started_ms),
        rx.el.span(line.took, class_name="number"),
        rx.el.span(line.service, class_name="soft"),
        link("Open", to=PATH + "/" + line.id, class_name="button quiet", aria_label="Open " + line.title),
    ]


def _none() -> rx.Component:
    return rx.cond(
        TracesState.filtered,
        empty(
            "No trace fits",
            "Traces are kept for some days, and of bulk events only a sample.",
            link("Show all", to=PATH, class_name="button plain"),
        ),
        empty(
            "No traces yet",
            "A trace shows what one request did, step by step, and how long each step took. Ask an agent something: "
            "its trace is here within seconds.",
            link(icon("message-square"), "Ask an agent", to="/chat", class_name="button primary"),
        ),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 5, what="Loading the traces")

"""Who consumes a topic: a line for each process, or for a consumer that no process is."""

from typing import Any

import reflex as rx

from components.basics.places import loading, skeleton, status
from state.admin.consumers import ConsumersState

_COLUMNS = ("Consumer", "Worker", "Host", "Partitions", "Waiting")


def consumers() -> rx.Component:
    """The table, or its place until it is there; a topic that nobody is meant to consume has none."""
    waiting = loading(*[skeleton("100%", "2.5em")] * 2, what="Asking who consumes it")
    content = rx.cond(ConsumersState.loaded, _table(), waiting)
    empty = ConsumersState.loaded & (ConsumersState.lines.length() == 0)
    return rx.cond(empty, rx.fragment(), rx.el.section(content, class_name="consumers", aria_label="Consumers"))


def _table() -> rx.Component:
    head = rx.el.thead(rx.el.tr(*[rx.el.th(name, scope="col") for name in _COLUMNS]))
    body = rx.el.tbody(rx.foreach(ConsumersState.lines, _line))
    return rx.el.div(
        rx.el.table(head, body, class_name="table"),
        class_name="table-wrap",
        # It may be wider than the page, and then a keyboard has to scroll it.
        tab_index=0,
        role="group",
        aria_label="Table of consumers",
    )


def _line(line: rx.Var[Any]) -> rx.Component:
    cells = (
        rx.el.span(line.consumer, class_name="strong mono"),
        rx.cond(line.member, rx.el.span(line.member, class_name="mono"), status("off", "No worker reads")),
        rx.el.span(line.host, class_name="mono soft"),
        rx.el.span(line.partitions, class_name="mono"),
        rx.cond(line.behind, status("attention", line.waiting), rx.el.span(line.waiting, class_name="number")),
    )
    return rx.el.tr(
        *[rx.el.td(cell, custom_attrs={"data-label": name}) for name, cell in zip(_COLUMNS, cells, strict=True)]
    )

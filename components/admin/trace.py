"""A trace as a waterfall: one row a span, its bar where it lay in time."""

from typing import Any

import reflex as rx

from components.basics.places import empty, loading, skeleton, status
from state.admin.trace import TraceState


def waterfall() -> rx.Component:
    """The rows, or what stands in their place."""
    return rx.match(
        TraceState.phase,
        ("loading", loading(*[skeleton("100%", "1.8em")] * 8, what="Loading the trace")),
        ("missing", _missing()),
        rx.el.div(rx.foreach(TraceState.bars, _row), class_name="waterfall", role="list", aria_label="Spans"),
    )


def _row(bar: rx.Var[Any]) -> rx.Component:
    return rx.el.div(
        rx.el.details(
            rx.el.summary(
                rx.el.span(
                    rx.el.span(bar.name, class_name="cut"),
                    rx.el.span(bar.service, class_name="tag"),
                    rx.cond(bar.status == "failed", status("failed", "Failed"), rx.fragment()),
                    class_name="name",
                    style={"--depth": bar.indent.to_string()},
                ),
                rx.el.span(
                    rx.el.span(
                        class_name=rx.Var.create("bar ") + bar.status, style={"left": bar.left, "width": bar.width}
                    ),
                    class_name="lane",
                    aria_hidden=True,
                ),
                rx.el.span(bar.duration, class_name="number soft"),
            ),
            rx.el.dl(rx.foreach(bar.attributes, _attribute)),
        ),
        role="listitem",
        key=bar.key,
    )


def _attribute(pair: rx.Var[Any]) -> rx.Component:
    return rx.el.div(rx.el.dt(pair[0]), rx.el.dd(pair[1], class_name="mono"))


def _missing() -> rx.Component:
    return empty(
        "This trace is not here",
        "Traces are kept for some days. It may be older, belong to another workspace, or still be on its way: "
        "then reload the page in a few seconds.",
    )

"""The log of a webhook: each delivery, and the attempts of the one that is looked at."""

from typing import Any

import reflex as rx

from components.basics.controls import button, icon
from components.basics.filters import choice, options, toolbar
from components.basics.layers import dialog
from components.basics.live import copy_button, relative_time
from components.basics.places import empty, loading, skeleton, status
from components.basics.tables import table
from state.admin.deliveries import MOST, STATUSES, DeliveriesState
from state.admin.webhook import WebhookState

COLUMNS = ("Event", "Status", "Answer", "Latency", "Attempts", "When", "Next attempt")


def deliveries() -> rx.Component:
    """The log, and the sheet of one delivery."""
    failed = WebhookState.view["failed"].to(int)
    again = button(
        icon("rotate-cw"),
        "Redeliver " + failed.to_string() + " failed",
        on_click=DeliveriesState.redeliver_failed,
        disabled=~WebhookState.view["enabled"].to(bool),
    )
    return rx.el.section(
        rx.el.h2("Deliveries"),
        toolbar(
            choice(
                "Status",
                "Any status",
                *options(STATUSES),
                chosen=DeliveriesState.status,
                on_change=lambda value: DeliveriesState.choose("status", value),
            ),
            rx.cond(failed > 0, again, rx.fragment()),
        ),
        rx.cond(DeliveriesState.loaded, rx.cond(DeliveriesState.lines, _log(), _none()), _waiting()),
        _sheet(),
        class_name="section",
    )


def _log() -> rx.Component:
    more = rx.el.p(f"The newest {MOST} are shown.", class_name="soft small")
    return rx.el.div(
        table(COLUMNS, DeliveriesState.lines, _cells, label="Deliveries", actions="Open"),
        rx.cond(DeliveriesState.lines.length() >= MOST, more, rx.fragment()),
        class_name="letters webhook-list stack",
    )


def _cells(line: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
    return [
        rx.el.span(line.type, class_name="strong mono"),
        status(line.shape, line.status),
        rx.el.span(line.answer, class_name="mono"),
        rx.el.span(line.latency, class_name="number"),
        rx.el.span(line.attempts, class_name="number"),
        relative_time(ms=line.created_ms),
        rx.cond(
            (line.due_ms > 0) & ~WebhookState.view["enabled"].to(bool),
            "When turned on",
            relative_time(ms=line.due_ms, none="–"),
        ),
        button(
            "Open",
            kind="quiet",
            on_click=DeliveriesState.choose("open", line.id),
            aria_label=rx.Var.create("Open ") + line.type,
        ),
    ]


def _sheet() -> rx.Component:
    line = DeliveriesState.line
    redeliver = button(
        icon("rotate-cw"),
        "Redeliver",
        on_click=DeliveriesState.redeliver,
        disabled=~WebhookState.view["enabled"].to(bool) | (line["shape"] == "running"),
    )
    shown = rx.el.div(
        rx.el.h2(line["type"].to(str)),
        rx.el.div(
            status(line["shape"].to(str), line["status"].to(str)),
            rx.el.span(DeliveriesState.shown, class_name="mono soft cut grow"),
            copy_button(text=DeliveriesState.shown, label="Copy webhook-id", icon_only=True),
            class_name="row",
        ),
        rx.el.h3("Attempts"),
        rx.cond(
            DeliveriesState.attempts,
            rx.el.ol(rx.foreach(DeliveriesState.attempts, _attempt), class_name="stack attempts"),
            rx.el.p("None yet.", class_name="soft"),
        ),
        rx.el.h3("What is sent"),
        rx.el.pre(DeliveriesState.body, class_name="source", tab_index=0),
        rx.el.div(
            button("Close", on_click=DeliveriesState.choose("open", "")),
            redeliver,
            class_name="actions",
        ),
        class_name="stack loose",
    )
    return dialog(
        rx.cond(line, shown, loading(*[skeleton("100%", "1.8em")] * 4, what="Loading the delivery")),
        open=DeliveriesState.shown != "",
        label="Delivery",
        side=True,
        on_close=DeliveriesState.choose("open", ""),
    )


def _attempt(attempt: rx.Var[Any]) -> rx.Component:
    shape = rx.cond(attempt["ok"].to(bool), "ok", "failed")
    answer = attempt["answer"].to(str)
    return rx.el.li(
        rx.el.div(
            status(shape, attempt["code"].to(str)),
            rx.el.span(attempt["latency"].to(str), class_name="number soft"),
            relative_time(ms=attempt["at_ms"].to(int)),
            class_name="row",
        ),
        rx.cond(attempt["error"], rx.el.p(attempt["error"].to(str), class_name="soft", dir="auto"), rx.fragment()),
        rx.cond(answer, rx.el.pre(answer, class_name="source", tab_index=0, dir="auto"), rx.fragment()),
    )


def _none() -> rx.Component:
    return rx.cond(
        DeliveriesState.status,
        empty(
            "No delivery has this status",
            "Another may have some.",
            button("Show all", on_click=DeliveriesState.choose("status", "")),
        ),
        empty(
            "Nothing was sent yet",
            "Events that fit appear here as they are sent, with the answer and how long it took. "
            "Send test shows whether the receiver is reached and takes the signature.",
            button(
                icon("send"),
                "Send a test",
                on_click=DeliveriesState.test,
                disabled=~WebhookState.view["enabled"].to(bool),
            ),
        ),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 4, what="Loading the deliveries")

"""Webhooks: the table, the form that makes one, the secret that is shown once."""

from typing import Any

import reflex as rx

from components.basics.controls import button, field, icon, link, note
from components.basics.layers import dialog
from components.basics.live import copy_button, relative_time
from components.basics.places import empty, loading, skeleton, status
from components.basics.tables import opens, table
from state.admin.webhooks import PATH, TYPE, WebhooksState

COLUMNS = ("Address", "Status", "Last delivered", "Failures", "Waiting")


def create_button() -> rx.Component:
    """The page's one primary action."""
    return button(icon("plus"), "Create webhook", kind="primary", on_click=WebhooksState.start)


def webhooks() -> rx.Component:
    """The table, or what stands in its place, and the dialog."""
    return rx.fragment(
        rx.cond(WebhooksState.loaded, rx.cond(WebhooksState.lines, _table(), _none()), _waiting()), _making()
    )


def event_types(types: rx.Var[list[str]], *, some: rx.Var[bool], chosen: rx.Var[list[str]], on_choose: Any) -> Any:
    """The choice between all events and some types; ``chosen`` are ticked at first."""

    def radio(value: str, words: str, checked: rx.Var[bool]) -> rx.Component:
        box = rx.el.input(
            type="radio", name="which", value=value, checked=checked, on_change=lambda _: on_choose(value)
        )
        return rx.el.label(box, rx.el.span(words), class_name="check")

    def tick(name: rx.Var[str]) -> rx.Component:
        return rx.el.label(
            rx.el.input(type="checkbox", name=TYPE + name, default_checked=chosen.contains(name)),
            rx.el.span(name, class_name="mono"),
            class_name="check",
        )

    return rx.el.fieldset(
        rx.el.legend("What is sent", class_name="legend"),
        radio("all", "All events, also of types to come", ~some),
        radio("some", "Some types", some),
        rx.cond(some, rx.el.div(rx.foreach(types, tick), class_name="ticks"), rx.fragment()),
        class_name="field ticks",
    )


def secret_told(secret: rx.Var[str], *actions: rx.Component) -> rx.Component:
    """A secret that is shown this once."""
    return rx.el.div(
        note(
            "Copy it now: it is not shown again",
            rx.el.p("The receiver checks with it that a request came from here.", class_name="soft"),
            kind="attention",
        ),
        rx.el.div(
            rx.el.code(secret, class_name="grow secret", aria_label="The secret"),
            copy_button(text=secret, label="Copy secret", quiet=False),
            class_name="row",
        ),
        rx.el.div(*actions, class_name="actions"),
        class_name="stack loose",
    )


def _table() -> rx.Component:
    return rx.el.div(
        table(COLUMNS, WebhooksState.lines, _cells, label="Webhooks", actions="Open"), class_name="letters webhook-list"
    )


def _cells(line: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
    what = rx.el.div(
        rx.el.span(line.url, class_name="strong mono cut", title=line.url, dir="ltr"),
        rx.el.span(line.types, class_name="soft cut", title=line.types),
        class_name="what",
    )
    return [
        what,
        status(line.shape, line.status),
        relative_time(ms=line.succeeded_ms),
        rx.el.span(line.failures, class_name="number"),
        rx.el.span(line.waiting, class_name="number"),
        opens(PATH, line.id, name=line.url),
    ]


def _making() -> rx.Component:
    return dialog(
        rx.cond(WebhooksState.making == "made", _made(), rx.cond(WebhooksState.making, _form(), rx.fragment())),
        open=WebhooksState.making != "",
        label="Create a webhook",
        on_close=WebhooksState.finish,
    )


def _form() -> rx.Component:
    busy = WebhooksState.making == "busy"
    return rx.el.form(
        rx.el.h2("Create a webhook"),
        field(
            "Address",
            "url",
            type="url",
            required=True,
            max_length=2000,
            auto_focus=True,
            auto_complete="off",
            placeholder="https://example.org/hooks/autoweave",
            hint="Each event is sent there by POST, signed, until it is taken.",
            error=rx.cond(WebhooksState.error_field == "url", WebhooksState.error, ""),
        ),
        event_types(
            WebhooksState.types,
            some=WebhooksState.some,
            chosen=rx.Var.create(["flows.run_finished.v1"]),
            on_choose=WebhooksState.choose,
        ),
        rx.el.p(rx.cond(WebhooksState.error_field == "url", "", WebhooksState.error), class_name="error", role="alert"),
        rx.el.div(
            button("Cancel", on_click=WebhooksState.finish),
            rx.el.button(
                rx.cond(busy, "Creating…", "Create webhook"), type="submit", class_name="button primary", disabled=busy
            ),
            class_name="actions",
        ),
        on_submit=WebhooksState.create,
        class_name="stack loose",
    )


def _made() -> rx.Component:
    return rx.el.div(
        rx.el.h2("Your new webhook"),
        secret_told(
            WebhooksState.secret,
            button("Done", on_click=WebhooksState.finish),
            link(
                "Open it and send a test",
                to=rx.Var.create(PATH + "/") + WebhooksState.made,
                class_name="button primary",
                on_click=WebhooksState.finish,
            ),
        ),
        class_name="stack loose",
    )


def _none() -> rx.Component:
    return empty(
        "No webhooks yet",
        "A webhook tells a program of yours what happens here: a run that finished, a message that was sent, an event "
        "that was given up. Each is sent by POST, signed with a secret, and tried again for three days until it is "
        "taken, such as flows.run_finished.v1 to https://example.org/hooks/autoweave.",
        button(icon("plus"), "Create a webhook", on_click=WebhooksState.start),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 3, what="Loading the webhooks")

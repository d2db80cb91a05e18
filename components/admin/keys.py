"""API keys: the table, the form that makes one, the secret that is shown once."""

from typing import Any

import reflex as rx

from components.basics.controls import button, field, icon, note
from components.basics.layers import dialog
from components.basics.live import copy_button, relative_time
from components.basics.places import empty, loading, skeleton
from components.basics.tables import table
from components.basics.vars import ident
from state.admin.keys import SCOPE, KeysState

COLUMNS = ("Name", "Key", "May", "Created", "Last used", "Expires")
EXPIRY = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("never", "Never"))


def create_button() -> rx.Component:
    """The page's one primary action."""
    return button(icon("plus"), "Create key", kind="primary", on_click=KeysState.start)


def keys() -> rx.Component:
    """The table, or what stands in its place, and the dialogs."""
    return rx.fragment(
        rx.cond(KeysState.loaded, rx.cond(KeysState.keys, _table(), _none()), _waiting()), _making(), _revoking()
    )


def _table() -> rx.Component:
    return table(COLUMNS, KeysState.keys, _cells, label="API keys", actions="Actions")


def _cells(key: rx.Var[Any]) -> list[rx.Component]:
    scopes = rx.foreach(key.scopes, lambda scope: rx.el.span(scope, class_name="tag"))
    return [
        rx.el.span(key.name, class_name="strong", dir="auto"),
        rx.el.span(key.start + "…", class_name="mono"),
        rx.el.div(scopes, class_name="row tags"),
        relative_time(ms=key.created_ms),
        relative_time(ms=key.used_ms),
        relative_time(ms=key.expires_ms),
        button(
            "Revoke",
            kind="danger-quiet",
            aria_label="Revoke " + key.name,
            on_click=KeysState.ask_revoke(ident(key), key.name),
        ),
    ]


def _making() -> rx.Component:
    return dialog(
        rx.match(KeysState.making, ("form", _form()), ("made", _made()), rx.fragment()),
        open=KeysState.making != "",
        label="Create an API key",
        on_close=KeysState.finish,
    )


def _form() -> rx.Component:
    return rx.el.form(
        rx.el.h2("Create an API key"),
        field(
            "Name",
            "key_name",
            required=True,
            max_length=80,
            auto_focus=True,
            auto_complete="off",
            hint="What will use it, such as the name of a program.",
            error=rx.cond(KeysState.error_field == "name", KeysState.error, ""),
        ),
        rx.el.fieldset(
            rx.el.legend("What it may do", class_name="legend"),
            rx.foreach(KeysState.scopes, _scope),
            rx.el.p(rx.cond(KeysState.error_field == "scopes", KeysState.error, ""), class_name="error", role="alert"),
            class_name="field scopes",
        ),
        _expiry(),
        rx.el.div(
            button("Cancel", on_click=KeysState.finish),
            rx.el.button("Create key", type="submit", class_name="button primary"),
            class_name="actions",
        ),
        on_submit=KeysState.create,
        class_name="stack loose",
    )


def _scope(scope: rx.Var[str]) -> rx.Component:
    return rx.el.label(
        rx.el.input(type="checkbox", name=SCOPE + scope, default_checked=scope == "agents:run"),
        rx.el.span(scope, class_name="mono"),
        class_name="check",
    )


def _expiry() -> rx.Component:
    return rx.el.div(
        rx.el.label("Expires after", html_for="expires"),
        rx.el.select(
            *[rx.el.option(words, value=value) for value, words in EXPIRY],
            id="expires",
            name="expires",
            default_value="90",
            class_name="input",
        ),
        class_name="field",
    )


def _made() -> rx.Component:
    return rx.el.div(
        rx.el.h2("Your new key"),
        note(
            "Copy it now: it is not shown again",
            rx.el.p("AutoWeave keeps only a fingerprint of it.", class_name="soft"),
            kind="attention",
        ),
        rx.el.div(
            rx.el.code(KeysState.secret, class_name="grow secret", aria_label="The key"),
            copy_button(text=KeysState.secret, label="Copy key", quiet=False),
            class_name="row",
        ),
        rx.el.div(
            rx.el.button("Done", type="button", class_name="button primary", on_click=KeysState.finish),
            class_name="actions",
        ),
        class_name="stack loose",
    )


def _revoking() -> rx.Component:
    return dialog(
        rx.el.h2("Revoke the key “" + KeysState.revoking_name + "”?"),
        rx.el.p("Every program that uses it is refused at once. This cannot be undone.", class_name="soft"),
        rx.el.div(
            button("Keep it", on_click=KeysState.keep, auto_focus=True),
            button("Revoke key", kind="danger", on_click=KeysState.revoke),
            class_name="actions",
        ),
        open=KeysState.revoking != "",
        label="Revoke an API key",
        on_close=KeysState.keep,
    )


def _none() -> rx.Component:
    return empty(
        "No API keys yet",
        "A key lets a program run agents and publish events without a person. It may do only what you allow it, "
        "such as POST /v1/agents/concierge/runs.",
        button(icon("plus"), "Create a key", on_click=KeysState.start),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 3, what="Loading the keys")

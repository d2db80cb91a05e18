"""The person's own page: who he is, how it looks, where he is signed in."""

from typing import Any

import reflex as rx
from reflex.style import color_mode, set_color_mode

from autoweave_ui.shell import page
from components.basics.controls import button, icon, native_form
from components.basics.live import relative_time
from components.basics.places import loading, page_head, scroll, section, skeleton
from components.basics.tables import table
from components.basics.vars import ident
from state.account.account import AccountState
from state.session import SessionState

COLUMNS = ("Browser", "Address", "Signed in", "Last seen")
THEMES = (("system", "System"), ("light", "Light"), ("dark", "Dark"))


@page("/account", title="Account", area="account", on_load=[AccountState.load])
def account() -> rx.Component:
    """Profile, theme, sessions, and the way out."""
    return scroll(
        page_head("Account", "Who you are here, and where you are signed in.", _sign_out()),
        rx.el.div(
            section("Profile", "What others in your workspace see.", _profile()),
            section("Theme", "System follows this device.", _theme()),
            section("Sessions", "Browsers in which you are signed in. Revoke one that you do not know.", _sessions()),
            class_name="content",
        ),
        label="Account",
    )


def _sign_out() -> rx.Component:
    return native_form(
        rx.el.button(icon("log-out"), "Sign out", type="submit", class_name="button plain"),
        method="post",
        action="/auth/sign-out",
    )


def _profile() -> rx.Component:
    facts = (
        ("Name", SessionState.name),
        ("Email", SessionState.email),
        ("Workspace", SessionState.tenant),
        ("Role", SessionState.role),
    )
    return rx.el.dl(
        *[rx.el.div(rx.el.dt(name), rx.el.dd(value, dir="auto")) for name, value in facts], class_name="facts"
    )


def _theme() -> rx.Component:
    def choice(value: str, word: str) -> rx.Component:
        chosen = rx.cond(color_mode == value, "true", "false")
        return rx.el.button(word, type="button", role="radio", aria_checked=chosen, on_click=set_color_mode(value))

    return rx.el.div(*[choice(*each) for each in THEMES], class_name="choice", role="radiogroup", aria_label="Theme")


def _sessions() -> rx.Component:
    return rx.cond(
        AccountState.loaded,
        table(COLUMNS, AccountState.sessions, _cells, label="Sessions", actions="Actions"),
        loading(skeleton("100%", "2.5em"), what="Loading the sessions"),
    )


def _cells(session: rx.Var[Any]) -> list[rx.Component]:
    revoke = button(
        "Revoke",
        kind="danger-quiet",
        aria_label="Revoke " + session.client,
        on_click=AccountState.revoke(ident(session)),
    )
    return [
        rx.el.span(session.client, class_name="strong"),
        rx.el.span(session.address, class_name="mono"),
        relative_time(ms=session.created_ms),
        relative_time(ms=session.seen_ms),
        rx.cond(session.current, rx.el.span("This browser", class_name="tag"), revoke),
    ]

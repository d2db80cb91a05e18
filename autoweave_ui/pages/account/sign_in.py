"""The door: a form that the browser itself sends to the gateway, which sets the session's cookie."""

import reflex as rx

from autoweave_ui.shell import plain_page
from components.basics.controls import field, native_form, note, query_field
from state.account.entrance import EntranceState


@plain_page("/sign-in", title="Sign in", on_load=[EntranceState.load])
def sign_in() -> rx.Component:
    """Email, password, and where to go on afterwards."""
    return rx.fragment(
        rx.el.h1("Sign in to AutoWeave"),
        rx.cond(EntranceState.setup_needed, _setup_first(), rx.fragment()),
        native_form(
            query_field(name="next", fallback="/chat"),
            field(
                "Email",
                "email",
                type="email",
                auto_complete="username",
                required=True,
                auto_focus=True,
                default_value=EntranceState.email,
                key=EntranceState.email,
            ),
            field(
                "Password",
                "password",
                type="password",
                auto_complete="current-password",
                required=True,
                error=EntranceState.problem,
            ),
            rx.el.button("Sign in", type="submit", class_name="button primary tall wide"),
            method="post",
            action="/auth/sign-in",
        ),
    )


def _setup_first() -> rx.Component:
    return note(
        "This AutoWeave is not set up yet",
        rx.el.p(
            "Open the setup link that was printed when it was started. It makes the first account.", class_name="soft"
        ),
        kind="attention",
    )

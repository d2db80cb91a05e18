"""The first account and its workspace: three short steps, sent as one form."""

import reflex as rx

from autoweave_ui.shell import plain_page
from components.basics.controls import field, link, native_form, note, query_field
from state.account.entrance import EntranceState


@plain_page("/setup", title="Set up", on_load=[EntranceState.load])
def setup() -> rx.Component:
    """Who you are, how you sign in, what your workspace is called."""
    return rx.fragment(
        rx.el.div(
            rx.el.h1("Set up AutoWeave"),
            rx.el.p("Three short steps, then you can talk to your first agent.", class_name="soft"),
            class_name="stack",
        ),
        rx.cond(EntranceState.done, _done(), rx.cond(EntranceState.no_token, _no_token(), _form())),
    )


def _form() -> rx.Component:
    return native_form(
        rx.cond(EntranceState.general_problem, note(EntranceState.general_problem, kind="failed"), rx.fragment()),
        query_field(name="token"),
        _step(1, "Who you are", "Your name stands beside what you do; your email is how you sign in.", _who()),
        _step(2, "A password", "At least 12 characters. A few words in a row are easy to remember.", _password()),
        _step(3, "Your workspace", "Agents, chats and keys belong to it. Most people use their team's name.", _where()),
        rx.el.button(
            "Create workspace",
            type="submit",
            class_name="button primary tall wide",
            # The secret of the link is put in by a script; without it the form would be refused.
            disabled=~EntranceState.checked,
        ),
        method="post",
        action="/auth/setup",
    )


def _step(number: int, title: str, why: str, *fields: rx.Component) -> rx.Component:
    return rx.el.div(
        rx.el.span(str(number), class_name="count", custom_attrs={"aria-hidden": True}),
        rx.el.h2(title),
        rx.el.div(rx.el.p(why, class_name="soft small"), *fields, class_name="fields"),
        class_name="step",
    )


def _who() -> rx.Component:
    return rx.el.div(
        field(
            "Name",
            "name",
            auto_complete="name",
            required=True,
            max_length=100,
            auto_focus=True,
            default_value=EntranceState.name,
            error=EntranceState.problems["name"],
        ),
        field(
            "Email",
            "email",
            type="email",
            auto_complete="username",
            required=True,
            default_value=EntranceState.email,
            error=EntranceState.problems["email"],
        ),
        class_name="pair",
    )


def _password() -> rx.Component:
    return field(
        "Password",
        "password",
        type="password",
        auto_complete="new-password",
        required=True,
        min_length=12,
        error=EntranceState.problems["password"],
    )


def _where() -> rx.Component:
    return field(
        "Workspace",
        "tenant_name",
        auto_complete="organization",
        required=True,
        max_length=100,
        default_value=EntranceState.tenant_name,
        error=EntranceState.problems["tenant_name"],
    )


def _no_token() -> rx.Component:
    return note(
        "The setup link is not complete",
        rx.el.p("Open the whole link that was printed when AutoWeave was started.", class_name="soft"),
        kind="attention",
    )


def _done() -> rx.Component:
    return note(
        "AutoWeave is set up already",
        rx.el.p(link("Sign in", to="/sign-in"), " with the account that was made then.", class_name="soft"),
    )

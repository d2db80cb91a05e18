"""One webhook: how it is, what can be done with it, and its dialogs."""

from typing import Any

import reflex as rx

from components.admin.webhooks import event_types, secret_told
from components.basics.controls import button, field, icon, link, note
from components.basics.layers import dialog
from components.basics.live import relative_time
from components.basics.places import empty, loading, skeleton
from state.admin.deliveries import DeliveriesState
from state.admin.webhook import WebhookState
from state.admin.webhooks import PATH

VIEW = WebhookState.view
KEEP = (("24", "For a day"), ("168", "For a week"), ("0", "Not at all: it leaked"))


def webhook_actions() -> rx.Component:
    """Turn it on or off, and send a test."""
    on = VIEW["enabled"].to(bool)
    turned = rx.cond(
        on,
        button("Turn off", on_click=WebhookState.turn(False), disabled=WebhookState.busy),
        button("Turn on", kind="primary", on_click=WebhookState.turn(True), disabled=WebhookState.busy),
    )
    test = button(icon("send"), "Send test", kind="primary", on_click=DeliveriesState.test)
    return rx.cond(
        WebhookState.phase == "ready",
        rx.fragment(turned, rx.cond(on, test, rx.fragment())),
        rx.fragment(),
    )


def webhook(log: rx.Component) -> rx.Component:
    """The webhook with its log, or what stands in its place, and the dialogs."""
    return rx.fragment(
        rx.match(
            WebhookState.phase,
            ("loading", loading(*[skeleton("100%", "1.8em")] * 8, what="Loading the webhook")),
            ("missing", _missing()),
            rx.el.div(_trouble(), _settings(), log, class_name="letter webhook"),
        ),
        _editing(),
        _rotating(),
        _deleting(),
    )


def _trouble() -> rx.Component:
    """What is wrong with it; nothing while all is well."""
    since = relative_time(ms=VIEW["failing_since_ms"].to(int))
    failing = note(
        VIEW["failures"].to_string() + " attempts in a row failed",
        rx.el.p(
            "Since ", since, ". ", VIEW["error"].to(str), " After a day of nothing else it is turned off.",
            class_name="soft", dir="auto",
        ),
        kind="attention",
    )  # fmt: skip
    gave_up = note(
        "It was turned off",
        rx.el.p(VIEW["reason"].to(str), " Mend the receiver, then turn it on.", class_name="soft", dir="auto"),
        kind="failed",
    )
    dropped = note(
        VIEW["dropped"].to_string() + " events were not queued",
        rx.el.p("10,000 deliveries waited already. See whether the receiver keeps up.", class_name="soft"),
        kind="attention",
    )
    trouble = rx.cond(
        VIEW["enabled"].to(bool),
        rx.cond(VIEW["failures"].to(int) > 0, failing, rx.fragment()),
        rx.cond(VIEW["reason"].to(str), gave_up, rx.fragment()),
    )
    return rx.fragment(trouble, rx.cond(VIEW["dropped"].to(int) > 0, dropped, rx.fragment()))


def _settings() -> rx.Component:
    types = rx.cond(
        VIEW["chosen"].to(list[str]).length() > 0,
        rx.el.div(
            rx.foreach(VIEW["chosen"].to(list[str]), lambda name: rx.el.span(name, class_name="tag")),
            class_name="row tags",
        ),
        "All events",
    )
    old = rx.cond(
        VIEW["old_until_ms"].to(int) > 0,
        rx.fragment("Rotated; the one before may sign until ", relative_time(ms=VIEW["old_until_ms"].to(int))),
        "whsec_…",
    )
    return rx.el.section(
        rx.el.h2("Settings"),
        rx.el.dl(
            _fact("Address", rx.el.span(VIEW["url"].to(str), dir="ltr")),
            _fact("Sends", types),
            _fact("Secret", old),
            _fact("Waiting", VIEW["waiting"].to_string()),
            _fact("Last delivered", relative_time(ms=VIEW["succeeded_ms"].to(int))),
            class_name="facts",
        ),
        rx.el.div(
            button("Edit…", on_click=WebhookState.ask("edit")),
            button("Rotate secret…", on_click=WebhookState.ask("rotate")),
            button("Delete…", kind="danger-quiet", on_click=WebhookState.ask("delete")),
            class_name="row",
        ),
        class_name="section",
    )


def _fact(name: str, *value: Any) -> rx.Component:
    return rx.el.div(rx.el.dt(name), rx.el.dd(*value, class_name="mono"))


def _editing() -> rx.Component:
    return dialog(
        rx.el.form(
            rx.el.h2("Edit the webhook"),
            field(
                "Address",
                "url",
                type="url",
                required=True,
                max_length=2000,
                auto_complete="off",
                default_value=VIEW["url"].to(str),
                hint="What waits is sent to the new address.",
                error=WebhookState.error,
            ),
            event_types(
                WebhookState.types,
                some=WebhookState.some,
                chosen=VIEW["chosen"].to(list[str]),
                on_choose=WebhookState.choose,
            ),
            rx.el.div(
                button("Cancel", on_click=WebhookState.close),
                rx.el.button(
                    rx.cond(WebhookState.busy, "Saving…", "Save"),
                    type="submit",
                    class_name="button primary",
                    disabled=WebhookState.busy,
                ),
                class_name="actions",
            ),
            on_submit=WebhookState.save,
            class_name="stack loose",
        ),
        open=WebhookState.asking == "edit",
        label="Edit the webhook",
        on_close=WebhookState.close,
    )


def _rotating() -> rx.Component:
    form = rx.el.form(
        rx.el.h2("Make a new secret?"),
        rx.el.p(
            "Requests are signed with the new one at once. As long as the old one signs, too, a receiver that knows "
            "either of them takes them.",
            class_name="soft",
        ),
        rx.el.div(
            rx.el.label("The old one goes on signing", html_for="keep"),
            rx.el.select(
                *[rx.el.option(words, value=value) for value, words in KEEP],
                id="keep",
                name="keep",
                default_value="24",
                class_name="input",
            ),
            class_name="field",
        ),
        rx.el.div(
            button("Cancel", on_click=WebhookState.close),
            rx.el.button("Rotate secret", type="submit", class_name="button primary"),
            class_name="actions",
        ),
        on_submit=WebhookState.rotate,
        class_name="stack loose",
    )
    told = rx.el.div(
        rx.el.h2("The new secret"),
        secret_told(WebhookState.secret, button("Done", kind="primary", on_click=WebhookState.close)),
        class_name="stack loose",
    )
    return dialog(
        rx.cond(WebhookState.asking == "rotated", told, form),
        open=(WebhookState.asking == "rotate") | (WebhookState.asking == "rotated"),
        label="Rotate the secret",
        on_close=WebhookState.close,
    )


def _deleting() -> rx.Component:
    return dialog(
        rx.el.h2("Delete this webhook?"),
        rx.el.p(
            rx.el.span(VIEW["url"].to(str), class_name="mono", dir="ltr"),
            " is sent nothing more. What waits (",
            VIEW["waiting"].to_string(),
            ") is dropped, and the log goes. This cannot be undone.",
            class_name="soft",
        ),
        rx.el.div(
            button("Keep it", on_click=WebhookState.close, auto_focus=True),
            button("Delete webhook", kind="danger", on_click=WebhookState.delete),
            class_name="actions",
        ),
        open=WebhookState.asking == "delete",
        label="Delete a webhook",
        on_close=WebhookState.close,
    )


def _missing() -> rx.Component:
    return empty(
        "There is no such webhook",
        "It may have been deleted, or belong to another workspace.",
        link("Show all", to=PATH, class_name="button plain"),
    )

"""One event that was given up: what it is, why, its data to mend, and what can be done with it."""

from typing import Any

import reflex as rx

from components.basics.controls import button, field, icon, link, note
from components.basics.layers import dialog
from components.basics.live import copy_button, relative_time
from components.basics.places import empty, loading, skeleton
from state.admin.chosen import ChosenState
from state.admin.letter import LetterState
from state.admin.letters import PATH

VIEW = LetterState.view


def letter_actions() -> rx.Component:
    """Discard and replay, as long as it waits."""
    return rx.cond(
        (LetterState.phase == "ready") & VIEW["waits"].to(bool),
        rx.fragment(
            button("Discard…", kind="danger-quiet", on_click=LetterState.ask_discard),
            button(icon("rotate-cw"), "Replay", kind="primary", on_click=LetterState.replay),
        ),
        rx.fragment(),
    )


def letter() -> rx.Component:
    """The letter, or what stands in its place, and the dialog."""
    return rx.fragment(
        rx.match(
            LetterState.phase,
            ("loading", loading(*[skeleton("100%", "1.8em")] * 8, what="Loading the dead letter")),
            ("missing", _missing()),
            rx.el.div(_decision(), _cause(), _data(), _facts(), class_name="letter"),
        ),
        discard_dialog(LetterState, "Discard this event?", cancel="Keep it", label="Discard a dead letter"),
    )


def _decision() -> rx.Component:
    """What was done with it; nothing while it waits."""
    when = relative_time(ms=VIEW["decided_ms"].to(int))
    return rx.cond(
        VIEW["waits"].to(bool),
        rx.fragment(),
        rx.cond(
            VIEW["reason"],
            note("Discarded", rx.el.p(when, " · ", rx.el.span(VIEW["reason"].to(str), dir="auto"), class_name="soft")),
            note("Sent again", rx.el.p(when, " · if it fails again, it waits here again.", class_name="soft")),
        ),
    )


def _cause() -> rx.Component:
    return rx.el.section(
        rx.el.h2("Why it was given up"),
        rx.el.p(VIEW["cause"].to(str), class_name="mono cause-line", dir="auto"),
        rx.el.details(
            rx.el.summary("Stack"),
            rx.el.pre(VIEW["stack"].to(str), class_name="source", tab_index=0),
        ),
        class_name="section",
    )


def _data() -> rx.Component:
    editor = rx.el.textarea(
        default_value=VIEW["payload"].to(str),
        on_blur=LetterState.edit,
        id="payload",
        rows="10",
        spell_check=False,
        auto_complete="off",
        class_name="input source",
        read_only=~VIEW["waits"].to(bool),
        key=LetterState.letter,
        aria_describedby="payload-hint",
    )
    return rx.el.section(
        rx.el.h2(rx.el.label("Data", html_for="payload")),
        rx.el.p(
            "A replay sends this. Change it where it does not fit the schema of its type.",
            class_name="measure",
            id="payload-hint",
        ),
        editor,
        rx.cond(
            VIEW["waits"].to(bool),
            rx.el.div(
                button(icon("circle-check"), "Check", on_click=LetterState.check),
                rx.el.span("Sends nothing.", class_name="soft small"),
                class_name="row",
            ),
            rx.fragment(),
        ),
        rx.el.div(_plan(), aria_live="polite"),
        class_name="section stack",
    )


def _plan() -> rx.Component:
    plan = LetterState.plan
    fine = rx.el.p(
        "To ", rx.el.span(plan["consumers"], class_name="mono"), " by the topic ",
        rx.el.span(plan["topic"], class_name="mono"), " with the key ", rx.el.span(plan["key"], class_name="mono"), ".",
        class_name="soft",
    )  # fmt: skip
    return rx.cond(
        plan,
        rx.cond(
            plan["problem"],
            note(plan["problem"], rx.el.p(plan["hint"], class_name="soft"), kind="failed"),
            note("It fits the schema and can be sent", fine),
        ),
        rx.fragment(),
    )


def _facts() -> rx.Component:
    trace = VIEW["trace"].to(str)
    return rx.el.section(
        rx.el.h2("Where it stood"),
        rx.el.dl(
            _fact("Given up by", VIEW["consumer"].to(str)),
            _fact("After", VIEW["attempts"].to_string() + rx.cond(VIEW["attempts"] == 1, " attempt", " attempts")),
            _fact("Position", VIEW["position"].to(str)),
            _fact("Key", VIEW["key"].to(str)),
            _fact(
                "Event id",
                VIEW["event"].to(str),
                copy_button(text=VIEW["event"].to(str), label="Copy event id", icon_only=True),
            ),
            _fact("Replayed", rx.cond(VIEW["replays"] == 0, "Never", VIEW["replays"].to_string() + "×")),
            rx.cond(
                trace, _fact("Trace", link("Open trace", to=rx.Var.create("/admin/traces/") + trace)), rx.fragment()
            ),
            class_name="facts",
        ),
        class_name="section",
    )


def _fact(name: str, *value: Any) -> rx.Component:
    return rx.el.div(rx.el.dt(name), rx.el.dd(*value, class_name="mono"))


def discard_dialog(
    state: type[LetterState | ChosenState], question: str | rx.Var[str], *, cancel: str, label: str
) -> rx.Component:
    """Ask why before something is discarded."""
    return dialog(
        rx.el.form(
            rx.el.h2(question),
            rx.el.p("It stays in the list of the discarded, but can be sent no more.", class_name="soft"),
            field("Why", "reason", error=state.error, required=True, max_length=500, auto_focus=True,
                  auto_complete="off"),
            rx.el.div(
                button(cancel, on_click=state.keep),
                rx.el.button("Discard", type="submit", class_name="button danger"),
                class_name="actions",
            ),
            on_submit=state.discard,
            class_name="stack loose",
        ),
        open=state.discarding,
        label=label,
        on_close=state.keep,
    )  # fmt: skip


def _missing() -> rx.Component:
    return empty(
        "There is no such dead letter",
        "It may belong to another workspace; check the number in the address.",
        link("Show all", to=PATH, class_name="button plain"),
    )

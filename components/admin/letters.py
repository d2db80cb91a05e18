"""The events that were given up: a filter, a table that leads to each, and the replay of all that wait."""

from typing import Any

import reflex as rx

from components.admin.letter import discard_dialog
from components.basics.controls import button, icon, icon_button, link, note
from components.basics.filters import choice, names, options, toolbar
from components.basics.layers import dialog
from components.basics.live import relative_time
from components.basics.places import empty, loading, skeleton, status
from components.basics.tables import Picks, opens, table
from state.admin.chosen import ChosenState
from state.admin.letters import ALL, MOST, PATH, RATES, STATUSES, LettersState

COLUMNS = ("Event", "Status", "Given up by", "When", "Attempts")


def replay_all_button() -> rx.Component:
    """The page's one primary action, where there is something to replay."""
    return rx.cond(
        LettersState.waiting > 0,
        button(icon("rotate-cw"), "Replay all…", kind="primary", on_click=LettersState.ask_replay),
        rx.fragment(),
    )


def letters() -> rx.Component:
    """The filter and the list, or what stands in its place, and the dialog."""
    return rx.fragment(
        _filter(),
        rx.cond(LettersState.loaded, rx.cond(LettersState.lines, _list(), _none()), _waiting()),
        _replaying(),
        _chosen(),
        discard_dialog(
            ChosenState,
            "Discard " + ChosenState.ids.length().to_string() + " events?",
            cancel="Keep them",
            label="Discard the chosen",
        ),
    )


def _filter() -> rx.Component:
    others = {value: words for value, words in STATUSES.items() if value != "WAITING"} | {ALL: "Any status"}
    return toolbar(
        choice(
            "Status",
            STATUSES["WAITING"],
            *options(others),
            chosen=LettersState.status,
            on_change=lambda value: LettersState.choose("status", value),
        ),
        choice(
            "Consumer",
            "Any consumer",
            names(LettersState.consumers),
            chosen=LettersState.consumer,
            on_change=lambda value: LettersState.choose("consumer", value),
        ),
        choice(
            "Type",
            "Any type",
            names(LettersState.types),
            chosen=LettersState.type,
            on_change=lambda value: LettersState.choose("type", value),
        ),
    )


def _list() -> rx.Component:
    more = rx.el.p(f"The newest {MOST}. Narrow them down to see older ones.", class_name="soft small")
    return rx.el.div(
        table(COLUMNS, LettersState.lines, _cells, label="Dead letters", actions="Open", picks=_picks()),
        rx.cond(LettersState.full, more, rx.fragment()),
        class_name="letters stack",
    )


def _cells(line: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
    what = rx.el.div(
        rx.el.span(line.type, class_name="strong mono"),
        rx.el.span(line.cause, class_name="soft cut", title=line.cause, dir="auto"),
        class_name="what",
    )
    return [
        what,
        status(line.shape, line.status),
        rx.el.span(line.consumer, class_name="mono"),
        relative_time(ms=line.created_ms),
        rx.el.span(line.attempts, class_name="number"),
        opens(PATH, line.id.to_string(), name=line.type),
    ]


def _picks() -> Picks:
    every = rx.el.input(
        type="checkbox",
        checked=(LettersState.choosable > 0) & (ChosenState.ids.length() == LettersState.choosable),
        disabled=LettersState.choosable == 0,
        on_change=ChosenState.tick_all,
        aria_label="Choose all that wait",
    )
    return Picks(of=_pick, of_all=every)


def _pick(line: rx.Var[Any]) -> rx.Component:
    box = rx.el.input(
        type="checkbox",
        checked=ChosenState.ids.contains(line.id),
        on_change=lambda on: ChosenState.tick(line.id, on),
        aria_label=rx.Var.create("Choose ") + line.type + " " + line.id.to_string(),
    )
    return rx.cond(line.waits, box, rx.fragment())


def _chosen() -> rx.Component:
    some = ChosenState.ids.length() > 0
    what = rx.cond(some, ChosenState.ids.length().to_string() + " chosen", ChosenState.told)
    actions = rx.el.div(
        button(icon("rotate-cw"), "Replay", on_click=ChosenState.replay),
        button("Discard…", kind="danger-quiet", on_click=ChosenState.ask_discard),
        class_name="row",
    )
    bar = rx.el.div(
        rx.el.span(what, role="status", class_name="whole"),
        rx.cond(some, actions, rx.fragment()),
        icon_button("x", "Choose none", on_click=ChosenState.clear),
        class_name="floating-bar",
    )
    return rx.cond(some | (ChosenState.told != ""), bar, rx.fragment())


def _none() -> rx.Component:
    return rx.cond(
        LettersState.filtered,
        empty(
            "No dead letter fits",
            "Another status, consumer or type may have some.",
            link("Show those that wait", to=PATH, class_name="button plain"),
        ),
        empty(
            "Nothing was given up",
            "An event that its consumer could not handle in five attempts comes here with the cause and its data. You "
            "can mend it, try what a replay would do, send it again or discard it.",
            link(icon("heart-pulse"), "See how the bus is", to="/admin/health", class_name="button plain"),
        ),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "2.5em")] * 5, what="Loading the dead letters")


def _replaying() -> rx.Component:
    return dialog(
        rx.match(
            LettersState.replaying,
            ("asked", _form()),
            ("busy", _progress()),
            ("done", _done()),
            rx.fragment(),
        ),
        open=LettersState.replaying != "",
        label="Replay dead letters",
        on_close=LettersState.close,
    )


def _form() -> rx.Component:
    filtered = (LettersState.consumer != "") | (LettersState.type != "")
    return rx.el.form(
        rx.el.h2("Replay " + LettersState.waiting.to_string() + " events?"),
        rx.el.p(
            rx.cond(filtered, "All that wait and fit the filter", "All that wait"),
            " go to the consumer that gave them up, the oldest first. What fails again waits here again.",
            class_name="soft",
        ),
        rx.el.div(
            rx.el.label("How fast", html_for="rate"),
            rx.el.select(
                *[rx.el.option(words, value=value) for value, words in RATES.items()],
                id="rate",
                name="rate",
                default_value="50",
                class_name="input",
            ),
            class_name="field",
        ),
        rx.el.div(
            button("Cancel", on_click=LettersState.close),
            rx.el.button("Replay all", type="submit", class_name="button primary"),
            class_name="actions",
        ),
        on_submit=LettersState.replay,
        class_name="stack loose",
    )


def _progress() -> rx.Component:
    sent = LettersState.progress["done"].to(int) + LettersState.progress["failed"].to(int)
    return rx.el.div(
        rx.el.h2("Replaying"),
        rx.cond(
            LettersState.progress,
            rx.fragment(
                rx.el.progress(value=sent, max=LettersState.progress["total"], aria_label="Replayed"),
                rx.el.p(
                    sent.to_string() + " of " + LettersState.progress["total"].to_string(),
                    class_name="number soft",
                    role="status",
                ),
            ),
            rx.el.progress(aria_label="Replayed"),
        ),
        rx.el.div(button("Stop", on_click=LettersState.close), class_name="actions"),
        class_name="stack loose",
    )


def _done() -> rx.Component:
    failed = LettersState.progress["failed"].to(int)
    return rx.el.div(
        rx.el.h2(rx.cond(LettersState.progress, LettersState.progress["done"].to_string(), "0") + " events were sent"),
        rx.cond(
            LettersState.progress & (failed > 0),
            note(
                failed.to_string() + " cannot be sent as they are",
                rx.el.p("They go on waiting. Open each to see why, and mend its data.", class_name="soft"),
                kind="attention",
            ),
            rx.el.p("Those that fail again come back to this list.", class_name="soft"),
        ),
        rx.el.div(
            rx.el.button("Done", type="button", class_name="button primary", on_click=LettersState.close),
            class_name="actions",
        ),
        class_name="stack loose",
    )

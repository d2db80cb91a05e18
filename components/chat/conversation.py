"""The conversation in the middle of the chat, and what stands there while there is none."""

from typing import Any

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors

from components.basics.controls import icon, link, note
from components.basics.live import copy_button, relative_time
from components.basics.places import empty, loading, skeleton
from components.chat.parts import Composer, Flight, Log, Markdown, Prompt, ToolLine
from state.chat.agents import AgentsState
from state.chat.conversation import ChatState
from state.chat.sending import SendingState
from state.session import SessionState

Turn = rx.Var[Any]


def conversation() -> rx.Component:
    """The conversation of the page's address, or the start of a new one."""
    return rx.el.div(
        rx.match(
            ChatState.phase,
            ("missing", _missing()),
            ("loading", _loading()),
            _log(),
        ),
        rx.cond(ChatState.phase != "missing", _writing(), rx.fragment()),
        class_name="chat-page",
    )


def _log() -> rx.Component:
    return Log.create(
        rx.cond(ChatState.fresh, _start(), rx.fragment()),
        rx.foreach(ChatState.turns, _turn),
        rx.cond(ChatState.has_newer, rx.fragment(), _at_work()),
        online=~has_connection_errors,
        owner=SessionState.user,
        thread=ChatState.shown,
        taken=SendingState.taken,
        turns=ChatState.turns.length(),
        oldest=ChatState.oldest,
        newest=ChatState.newest,
        has_older=ChatState.has_older,
        has_newer=ChatState.has_newer,
        on_older=ChatState.older,
        on_newer=ChatState.newer,
        on_end=ChatState.to_end,
    )


def _at_work() -> rx.Component:
    return rx.fragment(
        Flight.create(
            run=ChatState.active_run,
            waiting=ChatState.waiting,
            stopping=ChatState.stopping,
            on_done=ChatState.settled,
        ),
        rx.foreach(ChatState.queued, lambda turn: _said(turn, queued=True)),
    )


def _turn(turn: Turn) -> rx.Component:
    # With a key of its own: by its number it would become another's turn when earlier ones come.
    either = rx.cond(turn.message.role == "user", _said(turn), _answer(turn))
    return rx.fragment(either, key=turn.message.role + turn.message.trigger)


def _said(turn: Turn, *, queued: bool = False) -> rx.Component:
    return rx.el.article(
        rx.el.div(turn.message.text, class_name="bubble", dir="auto"),
        rx.el.div(
            rx.el.span("Queued", class_name="tag") if queued else rx.fragment(),
            rx.el.span(
                relative_time(ms=turn.message.created_ms),
                copy_button(text=turn.message.text, label="Copy message", icon_only=True),
                class_name="on-hover",
            ),
            class_name="foot",
        ),
        class_name="turn user",
        aria_label="Your message",
        key=turn.message.role + turn.message.trigger,
    )


def _answer(turn: Turn) -> rx.Component:
    return rx.el.article(
        rx.foreach(turn.tools, lambda call: ToolLine.create(call=call, trace=_trace(turn), key=call.path)),
        Markdown.create(text=turn.message.text),
        rx.cond(turn.message.status == "failed", _failure(turn), rx.fragment()),
        rx.el.div(
            rx.cond(turn.message.status == "cancelled", rx.el.span("Stopped", class_name="tag"), rx.fragment()),
            rx.el.span(
                copy_button(text=turn.message.text, label="Copy answer", icon_only=True),
                relative_time(ms=turn.message.created_ms),
                rx.cond(_trace(turn), link("Open trace", to="/admin/traces/" + turn.trace), rx.fragment()),
                class_name="on-hover",
            ),
            class_name="foot",
        ),
        class_name="turn assistant",
        aria_label="Answer",
        key=turn.message.role + turn.message.trigger,
    )


def _trace(turn: Turn) -> rx.Var[str]:
    return rx.cond(SessionState.permissions.contains("traces:read"), turn.trace, "")


def _failure(turn: Turn) -> rx.Component:
    message = turn.message
    details = message.error_message + " (" + message.error_code + ") trace " + turn.trace + " run " + message.run
    return note(
        message.error_message,
        rx.el.p(message.error_hint, class_name="soft"),
        rx.el.div(copy_button(text=details, label="Copy details"), class_name="row"),
        kind="failed",
    )


def _writing() -> rx.Component:
    return rx.el.div(
        Composer.create(
            owner=SessionState.user,
            running=ChatState.running,
            stopping=ChatState.stopping,
            taken=SendingState.taken,
            refused=SendingState.refused,
            begun=SendingState.begun,
            online=~has_connection_errors,
            placeholder=AgentsState.placeholder,
            on_send=SendingState.send,
            on_stop=ChatState.stop,
        ),
        rx.el.p(AgentsState.hint, class_name="under"),
        class_name="writing",
    )


def _start() -> rx.Component:
    return rx.el.div(rx.cond(AgentsState.chosen.name, _chosen(), _nobody()), class_name="start")


def _chosen() -> rx.Component:
    prompts = rx.foreach(AgentsState.chosen.prompts, lambda text: Prompt.create(text=text))
    return rx.fragment(
        rx.el.div(rx.el.h2(AgentsState.chosen.name), rx.el.p(AgentsState.chosen.description), class_name="stack"),
        rx.el.div(prompts, class_name="prompts", role="group", aria_label="Questions to begin with"),
    )


def _nobody() -> rx.Component:
    return rx.el.div(
        rx.el.h2("No agent here yet"),
        rx.el.p("A new workspace gets its first agent within seconds; this page shows it as soon as it is there."),
        class_name="stack",
    )


def _loading() -> rx.Component:
    line = [skeleton("70%", "1.2em"), skeleton("92%", "1.2em"), skeleton("54%", "1.2em")]
    return rx.el.div(loading(rx.el.div(*line, class_name="stack"), what="Loading the chat"), class_name="turns grow")


def _missing() -> rx.Component:
    return rx.el.div(
        empty(
            "This chat is not here",
            "It was deleted, or it belongs to somebody else.",
            link(icon("plus"), "New chat", to="/chat", class_name="button primary"),
        ),
        class_name="turns grow",
    )

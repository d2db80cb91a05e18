"""What the rail holds in the chat: a new chat, the agents, the history."""

from typing import Any

import reflex as rx

from components.basics.controls import icon, link
from components.basics.live import undo_bar
from components.basics.vars import ident
from components.chat.parts import History
from state.chat.agents import AgentsState
from state.chat.conversation import ChatState
from state.chat.history import HistoryState


def chat_rail() -> rx.Component:
    """The chat's part of the rail."""
    return rx.fragment(
        rx.el.nav(
            link(icon("square-pen"), rx.el.span("New chat", class_name="label"), to="/chat", class_name="item"),
            aria_label="Chat",
        ),
        rx.cond(AgentsState.agents.length() > 1, _agents(), rx.fragment()),
        History.create(
            threads=HistoryState.threads,
            current=ChatState.shown,
            has_more=HistoryState.has_more,
            on_rename=HistoryState.rename,
            on_remove=HistoryState.delete,
            on_more=HistoryState.more,
        ),
        undo_bar(text=HistoryState.deleted_words, on_undo=HistoryState.undo, on_gone=HistoryState.forget),
    )


def _agents() -> rx.Component:
    def entry(agent: rx.Var[Any]) -> rx.Component:
        label = rx.el.span(agent.name, class_name="label cut")
        return link(icon("bot"), label, to="/chat?agent=" + agent.slug, class_name="item", key=ident(agent))

    return rx.el.nav(rx.el.h2("Agents", class_name="group"), rx.foreach(AgentsState.agents, entry), aria_label="Agents")

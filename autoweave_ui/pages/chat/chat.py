"""The chat: agents and history at the left, the conversation in the middle."""

import reflex as rx

from autoweave_ui.shell import page
from components.chat.conversation import conversation
from components.chat.rail import chat_rail
from state.chat.agents import AgentsState
from state.chat.conversation import ChatState
from state.chat.history import HistoryState
from state.chat.sending import SendingState


@page(
    "/chat/[[thread_id]]",
    title=rx.cond(ChatState.title, ChatState.title, "New chat"),
    area="chat",
    permission="chat:use",
    on_load=[
        SendingState.arrive,
        AgentsState.load,
        ChatState.load,
        HistoryState.load,
        ChatState.watch,
        HistoryState.watch,
    ],
    rail_body=chat_rail,
)
def chat() -> rx.Component:
    """One route for a new chat and an old one, so that the first message changes the address and nothing else."""
    return rx.fragment(
        rx.el.header(
            rx.el.h1(rx.cond(ChatState.title, ChatState.title, "New chat"), class_name="cut"), class_name="chat-head"
        ),
        conversation(),
    )

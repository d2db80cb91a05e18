"""What a chat tab sends."""

import reflex as rx

from backend.app import current
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.ids import ThreadId
from state.chat.agents import AgentsState, answering
from state.chat.conversation import ChatState, show
from state.notices import NoticeState
from state.session import caller_of

REMEMBERED = 20


class SendingState(rx.State):
    """``taken`` are the ids of messages that the server has, ``refused`` that of the last one that it did not take,
    ``begun`` the chat that the first message on a new chat's page has made, until the page has its address."""

    taken: rx.Field[list[str]] = rx.field(default_factory=list)
    refused: str = ""
    begun: str = ""

    @rx.event
    async def arrive(self):
        """Another page, or the same one with its chat's address."""
        self.begun = ""

    @rx.event
    async def send(self, text: str, client_id: str, thread: str):
        """Send a message to the thread of the page's address, or to a new one; ``client_id`` makes a repeated one
        harmless."""
        caller = await caller_of(self)
        into = thread or self.begun
        agent = await answering(await self.get_state(AgentsState), caller)
        try:
            sent = await current().chat.send(
                caller, thread=ThreadId(into) if into else None, agent=agent, text=text, client_id=client_id
            )
        except AutoWeaveError as error:
            self.refused = client_id
            return NoticeState.tell(error.message, error.hint, error.code)
        self.taken = [*self.taken[-REMEMBERED:], client_id]
        chat = await self.get_state(ChatState)
        if chat.shown in ("", sent.thread):
            await show(chat, sent.thread)
        if into:
            return None
        self.begun = sent.thread
        return rx.redirect(f"/chat/{sent.thread}")

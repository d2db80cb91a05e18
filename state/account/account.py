"""The person's own page: where he is signed in."""

from dataclasses import replace

import reflex as rx

from backend.app import current
from backend.foundation.kernel.ids import SessionId
from backend.governance.identity.views import SessionView
from state.account.browsers import browser_words
from state.session import caller_of


class AccountState(rx.State):
    """The browsers in which the person is signed in."""

    loaded: bool = False
    sessions: rx.Field[list[SessionView]] = rx.field(default_factory=list)

    @rx.event
    async def load(self):
        """Load the sessions."""
        await self._fetch()

    @rx.event
    async def revoke(self, session: str):
        """Sign another browser out."""
        await current().identity.revoke_session(await caller_of(self), SessionId(session))
        await self._fetch()

    async def _fetch(self) -> None:
        sessions = await current().identity.sessions(await caller_of(self))
        self.sessions = [replace(session, client=browser_words(session.client)) for session in sessions]
        self.loaded = True

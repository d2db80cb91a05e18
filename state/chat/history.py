"""The chats of the person, newest first, alike in all tabs."""

from contextlib import aclosing

import reflex as rx

from backend.app import current
from backend.domain.chat.views import ThreadView
from backend.foundation.kernel.ids import ThreadId
from state.live import history_changes
from state.session import caller_of, part_of_path

PAGE = 50


class HistoryState(rx.State):
    """The list in the rail, and the chat that was deleted last, for as long as that can be undone."""

    loaded: bool = False
    threads: rx.Field[list[ThreadView]] = rx.field(default_factory=list)
    limit: int = PAGE
    deleted: str = ""
    deleted_title: str = ""

    @rx.var
    def has_more(self) -> bool:
        """Whether a longer list may show more."""
        return len(self.threads) >= self.limit

    @rx.var
    def deleted_words(self) -> str:
        """What the undo bar says, empty for no bar."""
        return f"Deleted “{self.deleted_title}”" if self.deleted else ""

    @rx.event
    async def load(self):
        """Load the list."""
        await self._fetch()

    @rx.event(background=True)
    async def watch(self):
        """Load it again whenever a chat of the person changes, in whatever tab."""
        async with self:
            caller = await caller_of(self)
        async with aclosing(history_changes(caller)) as heard:
            async for _ in heard:
                async with self:
                    await self._fetch()

    @rx.event
    async def rename(self, thread: str, title: str):
        """Give a chat another title."""
        await current().chat.rename(await caller_of(self), ThreadId(thread), title)
        await self._fetch()

    @rx.event
    async def delete(self, thread: str):
        """Take a chat away; `undo` brings it back."""
        title = next((view.title for view in self.threads if view.id == thread), "")
        await current().chat.delete(await caller_of(self), ThreadId(thread))
        self.deleted, self.deleted_title = thread, title
        await self._fetch()
        return rx.redirect("/chat") if part_of_path(self, 1) == thread else None

    @rx.event
    async def undo(self):
        """Bring back the chat that was deleted last, and open it."""
        thread = self.deleted
        await current().chat.restore(await caller_of(self), ThreadId(thread))
        self.deleted = self.deleted_title = ""
        await self._fetch()
        return rx.redirect(f"/chat/{thread}")

    @rx.event
    def forget(self):
        """The time to undo is over."""
        self.deleted = self.deleted_title = ""

    @rx.event
    async def more(self):
        """Load a longer list."""
        self.limit += PAGE
        await self._fetch()

    async def _fetch(self) -> None:
        self.threads = await current().chat.threads(await caller_of(self), limit=self.limit)
        self.loaded = True

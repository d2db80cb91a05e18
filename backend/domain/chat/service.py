"""The verbs of chat."""

from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.chat import repository
from backend.domain.chat.errors import ThreadNotFound
from backend.domain.chat.models import MessageRow, ThreadRow
from backend.domain.chat.rules import MAX_TITLE, checked_text, title_of
from backend.domain.chat.views import MessageView, SentView, ThreadView
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import MessageSent
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid
from backend.foundation.kernel.ids import MessageId, ThreadId, new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import thread_channel, threads_channel
from backend.foundation.live.service import Live
from backend.foundation.telemetry.tracing import current_traceparent, span


class _SentAlready(Exception):
    """Another transaction stored this client id first; this one must leave nothing."""


def _sent(row: MessageRow) -> SentView:
    return SentView(thread=ThreadId(row.thread), message=MessageId(row.id), trigger=row.trigger)


class Chat:
    """Conversations of the person who calls; nobody sees another's."""

    def __init__(self, db: Database, bus: BusService, live: Live) -> None:
        self._db = db
        self._bus = bus
        self._live = live

    async def threads(self, caller: Caller, *, limit: int = 50) -> list[ThreadView]:
        """Return the caller's conversations, the last used first."""
        caller.require(Permission.CHAT_USE)
        async with self._db.read(caller.tenant) as session:
            return await repository.threads(session, caller.subject, min(limit, 200))

    async def thread(self, caller: Caller, thread: str) -> ThreadView:
        """Return one conversation; raise `ThreadNotFound` for none of the caller's."""
        caller.require(Permission.CHAT_USE)
        async with self._db.read(caller.tenant) as session:
            return repository.thread_view(await self._mine(session, caller, thread))

    async def messages(
        self, caller: Caller, thread: str, *, before: str | None = None, after: str | None = None, limit: int = 50
    ) -> list[MessageView]:
        """Return the last messages of a conversation, or those next to one of them; oldest first, 200 at most."""
        caller.require(Permission.CHAT_USE)
        async with self._db.read(caller.tenant) as session:
            await self._mine(session, caller, thread)
            return await repository.messages(session, thread, before, after, min(limit, 200))

    async def send(
        self, caller: Caller, *, thread: ThreadId | None, agent: str, text: str, client_id: str = ""
    ) -> SentView:
        """Store a message and tell the agent, in one transaction; ``thread`` none starts a conversation.

        The same ``client_id`` again sends nothing twice and returns what was made the first time.
        """
        caller.require(Permission.CHAT_USE)
        text = checked_text(text)
        key = f"{caller.subject}/{client_id[:80]}" if client_id else ""
        try:
            with span("chat.send", tenant=caller.tenant):
                async with self._db.write(caller.tenant) as session:
                    return await self._send(session, caller, thread, agent, text, key)
        except _SentAlready:
            # Two windows sent it in the same moment: the first one's is the message.
            async with self._db.read(caller.tenant) as session:
                known = await repository.sent_before(session, key)
            return _sent(known) if known else await self.send(caller, thread=thread, agent=agent, text=text)

    async def _send(
        self, session: AsyncSession, caller: Caller, thread: ThreadId | None, agent: str, text: str, key: str
    ) -> SentView:
        known = await repository.sent_before(session, key) if key else None
        if known is not None:
            return _sent(known)
        if thread is None:
            thread = await self._begin(session, caller, agent, text)
        else:
            agent = (await self._mine(session, caller, thread)).agent
        return await self._store(session, caller, thread, agent, text, key)

    async def rename(self, caller: Caller, thread: str, title: str) -> None:
        """Give a conversation another title, of 1 to 200 characters."""
        caller.require(Permission.CHAT_USE)
        title = " ".join(title.replace("\x00", "").split())
        if not 1 <= len(title) <= MAX_TITLE:
            raise Invalid("A title has 1 to 200 characters.", field="title")
        async with self._db.write(caller.tenant) as session:
            (await self._mine(session, caller, thread)).title = title
            self._tell(session, caller, thread)

    async def delete(self, caller: Caller, thread: str) -> None:
        """Take a conversation out of the history; `restore` brings it back."""
        caller.require(Permission.CHAT_USE)
        async with self._db.write(caller.tenant) as session:
            row = await self._mine(session, caller, thread)
            row.deleted_ms = row.updated_ms or 1
            self._tell(session, caller, thread)

    async def restore(self, caller: Caller, thread: str) -> None:
        """Undo `delete`."""
        caller.require(Permission.CHAT_USE)
        async with self._db.write(caller.tenant) as session:
            row = await repository.thread(session, caller.subject, thread, deleted=True)
            if row is None:
                raise ThreadNotFound("There is no such deleted chat.")
            row.deleted_ms = 0
            self._tell(session, caller, thread)

    async def _begin(self, session: AsyncSession, caller: Caller, agent: str, text: str) -> ThreadId:
        thread = ThreadId(new_id("thr"))
        row = {"id": thread, "tenant": caller.tenant, "owner": caller.subject, "agent": agent, "title": title_of(text)}
        await repository.insert_thread(session, row)
        return thread

    async def _store(
        self, session: AsyncSession, caller: Caller, thread: ThreadId, agent: str, text: str, key: str
    ) -> SentView:
        message = MessageId(new_id("msg"))
        event = Event(
            type="chat.message_sent.v1",
            tenant=caller.tenant,
            key=thread,
            source="/chat",
            subject=message,
            traceparent=current_traceparent(),
            data=MessageSent(thread=thread, message=message, agent=agent, text=text, sender=caller.subject),
        )
        row = {
            "id": message, "tenant": caller.tenant, "thread": thread, "role": "user", "text": text,
            "client_id": key or message, "trigger": event.id, "run": "", "status": "done", "error_code": "",
            "error_message": "", "error_hint": "",
        }  # fmt: skip
        if not await repository.insert_message(session, row):
            raise _SentAlready
        await self._bus.publish(session, event)
        self._tell(session, caller, thread)
        return SentView(thread=thread, message=message, trigger=event.id)

    async def _mine(self, session: AsyncSession, caller: Caller, thread: str) -> ThreadRow:
        row = await repository.thread(session, caller.subject, thread)
        if row is None:
            raise ThreadNotFound(f"There is no chat {thread!r}.")
        return row

    def _tell(self, session: AsyncSession, caller: Caller, thread: str) -> None:
        def tell() -> None:
            self._live.notify_soon(thread_channel(caller.tenant, thread))
            self._live.notify_soon(threads_channel(caller.tenant, caller.subject))

        after_commit(session, tell)

"""What chat does when an agent has finished: stores the reply."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.chat import repository
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished, RunRefused
from backend.foundation.kernel.ids import TenantId, new_id
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import thread_channel, threads_channel
from backend.foundation.live.service import Live

_STATUS = {"SUCCEEDED": "done", "CANCELLED": "cancelled", "FAILED": "failed"}


class ChatHandlers:
    """Handlers of the consumer ``chat``."""

    def __init__(self, live: Live) -> None:
        self._live = live

    @staticmethod
    def wants(event: Event) -> bool:
        """Whether there is a reply to store: not for a run that a program or an event started."""
        return not isinstance(event.data, RunFinished) or event.data.source == "chat"

    async def run_finished(self, session: AsyncSession, event: Event) -> None:
        """Store the reply of a run that a chat started; once, whatever the number of deliveries."""
        data = event.data
        if isinstance(data, RunFinished):
            row = {
                "text": data.output, "client_id": data.run, "trigger": data.trigger, "run": data.run,
                "status": _STATUS[data.status], "error_code": data.error_code, "error_message": data.error_message,
                "error_hint": data.error_hint,
            }  # fmt: skip
            await self._reply(session, event.tenant, data.thread, row)

    async def run_refused(self, session: AsyncSession, event: Event) -> None:
        """Store, as the reply, why no run was started."""
        data = event.data
        if isinstance(data, RunRefused):
            row = {
                "text": "", "client_id": data.trigger, "trigger": data.trigger, "run": "", "status": "failed",
                "error_code": data.error_code, "error_message": data.error_message, "error_hint": data.error_hint,
            }  # fmt: skip
            await self._reply(session, event.tenant, data.thread, row)

    async def _reply(self, session: AsyncSession, tenant: TenantId, thread: str, row: dict[str, Any]) -> None:
        found = await repository.thread_of(session, tenant, thread)
        if found is None:
            return
        row |= {"id": new_id("msg"), "tenant": tenant, "thread": thread, "role": "assistant"}
        await repository.insert_message(session, row)
        owner = found.owner

        def tell() -> None:
            self._live.notify_soon(thread_channel(tenant, thread))
            self._live.notify_soon(threads_channel(tenant, owner))

        after_commit(session, tell)

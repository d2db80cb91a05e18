"""What agents do when they are asked by an event: start a run and nothing more, for the rest is the engine's."""

from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.agents.errors import CANNOT_START
from backend.domain.agents.service import Agents
from backend.foundation.bus.errors import Hopeless
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import MessageSent, RunRefused, StartRun
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import thread_channel
from backend.foundation.live.service import Live


class AgentHandlers:
    """Handlers of the consumer ``agents``."""

    def __init__(self, agents: Agents, bus: BusService, live: Live) -> None:
        self._agents = agents
        self._bus = bus
        self._live = live

    async def message_sent(self, session: AsyncSession, event: Event) -> None:
        """Start the run that answers a chat message; it waits for the thread's earlier ones."""
        data = event.data
        if not isinstance(data, MessageSent):
            return
        try:
            await self._agents.start_for_event(
                session, event.tenant, data.agent, input=data.text, thread=data.thread, trigger=event.id,
                source="chat", by=data.sender,
            )  # fmt: skip
        except CANNOT_START as error:
            await self._refuse(session, event, data, error)
            return
        # The page hears of its run here and opens the stream: without it the words would come all at once, at the end.
        channel = thread_channel(event.tenant, data.thread)
        after_commit(session, lambda: self._live.notify_soon(channel))

    async def _refuse(self, session: AsyncSession, event: Event, data: MessageSent, error: AutoWeaveError) -> None:
        """Tell the chat, where a person waits, instead of trying again what cannot succeed."""
        refused = RunRefused(
            thread=data.thread, trigger=event.id, agent=data.agent, error_code=error.code,
            error_message=error.message, error_hint=error.hint,
        )  # fmt: skip
        answer = Event(
            type="agents.run_refused.v1", tenant=event.tenant, key=data.thread, source="/agents",
            subject=data.message, traceparent=event.traceparent, data=refused,
        )  # fmt: skip
        await self._bus.publish(session, answer)

    async def start_run(self, session: AsyncSession, event: Event) -> None:
        """Start the run that an event asks for; what cannot succeed is a dead letter at once, nobody waits for it."""
        data = event.data
        if not isinstance(data, StartRun):
            return
        try:
            await self._agents.start_for_event(
                session, event.tenant, data.agent, input=data.input, thread=data.thread, trigger=event.id,
                source="event", by=event.source,
            )  # fmt: skip
        except CANNOT_START as error:
            raise Hopeless(error.message) from error

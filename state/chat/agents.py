"""Who may be asked in this tab, and whether a model stands behind them."""

import asyncio

import reflex as rx

from backend.app import current
from backend.domain.agents.views import AgentView
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.ids import AgentId
from state.live import RETRY_S
from state.session import caller_of, part_of_path

NOBODY = AgentView(
    id=AgentId(""), slug="", name="", description="", status="", model="", tools=(), prompts=(), created_ms=0
)


class AgentsState(rx.State):
    """``agent`` is the slug or id of the one who answers; ``hint`` says how to set a model where there is none."""

    agents: rx.Field[list[AgentView]] = rx.field(default_factory=list)
    agent: str = ""
    hint: str = ""

    @rx.var
    def chosen(self) -> AgentView:
        """The agent that answers; empty while the agents are loading."""
        return next((agent for agent in self.agents if self.agent in (agent.slug, agent.id)), NOBODY)

    @rx.var
    def placeholder(self) -> str:
        """What the empty composer says."""
        return f"Message {self.chosen.name}" if self.chosen.name else "Message"

    @rx.event
    async def load(self):
        """Load the agents, and choose one for a new chat."""
        caller = await caller_of(self)
        self.agents = await current().agents.list(caller)
        status = await current().models.describe()
        self.hint = "" if status.configured else f"{status.words} {status.hint}"
        _choose(self)
        if not self.agents:
            yield AgentsState.await_agents

    @rx.event(background=True)
    async def await_agents(self):
        """A fresh workspace gets its first agent in its first seconds."""
        while True:
            async with self:
                caller = await caller_of(self)
            agents = await current().agents.list(caller)
            if agents:
                break
            await asyncio.sleep(RETRY_S)
        async with self:
            self.agents = agents
            _choose(self)


async def answering(state: AgentsState, caller: Caller) -> str:
    """Return who answers; a message may be sent before the agents are on the page.

    No method: Reflex lets a browser call every public one, with a caller of its choice.
    """
    if not state.agent:
        state.agents = await current().agents.list(caller)
        _choose(state)
    return state.agent


def _choose(state: AgentsState) -> None:
    if part_of_path(state, 1):
        # The thread of the address says who answers.
        return
    wanted = state.router.url.query_parameters.get("agent", "")
    slugs = [agent.slug for agent in state.agents]
    if wanted in slugs:
        state.agent = wanted
    elif state.agent not in slugs:
        state.agent = slugs[0] if slugs else ""

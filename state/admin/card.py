"""One agent's card: what it can do, where it is reached, who signed it, and who may read it."""

from contextlib import aclosing
from typing import Any, TypedDict

import reflex as rx

from backend.app import current
from backend.domain.directory.views import CardView, FlowView
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Unavailable
from state.admin.discovery import SHAPES, WORDS
from state.live import RETRY_S
from state.notices import NO_PROBLEM, Problem, problem_of
from state.session import caller_of, looks, part_of_path


class Skill(TypedDict):
    """One thing that the agent can do."""

    id: str
    name: str
    description: str


class Flow(TypedDict):
    """A type of event that the agent takes or tells, and its topic."""

    way: str
    type: str
    topic: str


def flows_of(card: CardView) -> list[Flow]:
    """Return what an agent takes, then what it tells."""

    def flow(way: str, one: FlowView) -> Flow:
        return Flow(way=way, type=one.type, topic=one.topic)

    return [flow("Takes", one) for one in card.consumes] + [flow("Tells", one) for one in card.produces]


class CardState(rx.State):
    """The card of the address; ``phase`` is ``loading``, ``ready`` or ``missing``.

    While the database is away ``problem`` says so, over what was known before.
    """

    phase: str = "loading"
    agent: str = ""
    view: rx.Field[dict[str, Any]] = rx.field(default_factory=dict)
    skills: rx.Field[list[Skill]] = rx.field(default_factory=list)
    flows: rx.Field[list[Flow]] = rx.field(default_factory=list)
    problem: Problem = NO_PROBLEM

    @rx.event(background=True)
    async def watch(self):
        """Show the card of the address, and each change of it. Ends with the page."""
        async with self:
            await caller_of(self)
            self.reset()
            self.agent = part_of_path(self, 2)
        async with aclosing(looks(self, Permission.AGENTS_READ, RETRY_S)) as callers:
            async for caller in callers:
                try:
                    async with aclosing(current().directory.follow(caller)) as views:
                        async for view in views:
                            async with self:
                                await caller_of(self)
                                self._show(next((one for one in view.agents if one.agent == self.agent), None))
                except Unavailable as error:
                    async with self:
                        self.problem = problem_of(error)

    @rx.event
    async def start(self):
        """Let the agent run again."""
        await current().agents.start(await caller_of(self), self.agent)

    @rx.event
    async def stop(self):
        """Let it take no new runs."""
        await current().agents.stop(await caller_of(self), self.agent)

    @rx.event
    async def publish(self):
        """Show its card to anybody."""
        await current().agents.publish(await caller_of(self), self.agent)

    @rx.event
    async def unpublish(self):
        """Show its card to its workspace alone."""
        await current().agents.unpublish(await caller_of(self), self.agent)

    def _show(self, card: CardView | None) -> None:
        self.problem = NO_PROBLEM
        if card is None:
            self.phase, self.view = "missing", {}
            return
        self.skills = [Skill(id=one.id, name=one.name, description=one.description) for one in card.skills]
        self.flows = flows_of(card)
        self.view = {
            "name": card.name,
            "description": card.description,
            "status": WORDS[card.status],
            "shape": SHAPES[card.status],
            "runs": card.status != "stopped",
            "dead": card.status == "dead",
            "since_ms": card.since_ms,
            "url": card.url,
            "public": card.public,
            "public_at": f"{card.url}/.well-known/agent-card.json",
            "kid": card.kid,
            "sequence": card.sequence,
            "valid_until_ms": card.valid_until_ms,
            "card": card.card,
        }
        self.phase = "ready"

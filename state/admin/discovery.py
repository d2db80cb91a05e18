"""The agents of the workspace by their cards, live."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import TypedDict

import reflex as rx

from backend.app import current
from backend.domain.directory.views import CardView, DirectoryView
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Unavailable
from state.live import RETRY_S
from state.notices import NO_PROBLEM, Problem, problem_of
from state.session import caller_of, looks

PATH = "/admin/agents"
WORDS = {"alive": "Alive", "stopped": "Stopped", "dead": "Dead"}
SHAPES = {"alive": "ok", "stopped": "off", "dead": "failed"}
_SHOWN = 3


class Line(TypedDict):
    """An agent as a line of the list; ``since_ms`` is 0 where nobody knows."""

    agent: str
    name: str
    description: str
    status: str
    shape: str
    since_ms: int
    skills: str
    topics: str
    public: bool


def line_of(card: CardView) -> Line:
    """Return the line of a card."""
    return Line(
        agent=card.agent,
        name=card.name,
        description=card.description,
        status=WORDS[card.status],
        shape=SHAPES[card.status],
        since_ms=card.since_ms,
        skills=some([skill.name for skill in card.skills]),
        topics=some(sorted({flow.topic for flow in card.consumes})),
        public=card.public,
    )


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many there are besides."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


class DiscoveryState(rx.State):
    """The list, as it is now; ``fresh`` are the agents that changed with its last change.

    While the database is away ``problem`` says so, over what was known before.
    """

    loaded: bool = False
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    fresh: rx.Field[list[str]] = rx.field(default_factory=list)
    refused: int = 0
    dead: bool = False
    problem: Problem = NO_PROBLEM

    @rx.event(background=True)
    async def watch(self):
        """Show who is there, and each change. Ends with the page."""
        async with aclosing(looks(self, Permission.AGENTS_READ, RETRY_S)) as callers:
            async for caller in callers:
                try:
                    async with aclosing(current().directory.follow(caller)) as views:
                        async for view in views:
                            async with self:
                                await caller_of(self)
                                self._show(view)
                except Unavailable as error:
                    async with self:
                        self.problem = problem_of(error)

    def _show(self, view: DirectoryView) -> None:
        lines = [line_of(card) for card in view.agents]
        before = {line["agent"]: line for line in self.lines}
        self.fresh = [line["agent"] for line in lines if self.loaded and line != before.get(line["agent"])]
        self.lines, self.refused = lines, view.refused
        self.dead = any(card.status == "dead" for card in view.agents)
        self.loaded, self.problem = True, NO_PROBLEM

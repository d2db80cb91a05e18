"""The catalogue of events, as the address filters it, and the documents that describe it."""

from typing import TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Unavailable
from backend.reads.views import EventTypeView
from state.session import caller_of, to_address

PATH = "/admin/events"


class Line(TypedDict):
    """A type as a line of the list; ``sent_by`` and ``handled_by`` are in words."""

    name: str
    summary: str
    topic: str
    sent_by: str
    handled_by: str


class Contract(TypedDict):
    """An agent and the address of its document, which has no ending."""

    name: str
    document: str


def senders(view: EventTypeView) -> str:
    """Return who sends a type, in words."""
    return ", ".join([*view.published_by, *(["programs"] if view.public else [])]) or "nobody"


def line_of(view: EventTypeView) -> Line:
    """Return the line of a type."""
    return Line(
        name=view.name,
        summary=view.summary,
        topic=view.topic,
        sent_by=senders(view),
        handled_by=", ".join(view.handled_by) or "nobody",
    )


class EventTypesState(rx.State):
    """The list, and its filter: ``text`` and ``room`` stand in the address.

    ``version`` counts addresses that were not typed into the search box.
    """

    loaded: bool = False
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    rooms: rx.Field[list[str]] = rx.field(default_factory=list)
    contracts: rx.Field[list[Contract]] = rx.field(default_factory=list)
    text: str = ""
    room: str = ""
    version: int = 0

    @rx.event
    async def load(self):
        """Load what the address asks for."""
        caller = await caller_of(self)
        query = self.router.url.query_parameters
        text, self.room = query.get("text", ""), query.get("room", "")
        if text != self.text:
            self.text, self.version = text, self.version + 1
        catalogue = current().catalogue
        everything = catalogue.types(caller)
        rooms = {room for view in everything for room in (*view.published_by, *view.handled_by)}
        self.rooms = sorted(rooms | ({self.room} - {""}))
        self.lines = [line_of(view) for view in catalogue.types(caller, text=self.text, room=self.room)]
        self.contracts = await _contracts(caller)
        self.loaded = True

    @rx.event
    def choose(self, name: str, value: str):
        """Ask for another text or room; empty for any."""
        asked = {"text": self.text, "room": self.room} | {name: value}
        if name == "text":
            self.text = value
        return to_address(PATH, asked)


async def _contracts(caller: Caller) -> list[Contract]:
    if not caller.may(Permission.AGENTS_READ):
        return []
    try:
        agents = await current().agents.list(caller)
    except Unavailable:
        # The catalogue itself needs no database.
        return []
    return [Contract(name=agent.name, document=f"/v1/agents/{agent.slug}/asyncapi") for agent in agents]

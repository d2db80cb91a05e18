"""Where the command palette can go: the pages that the person may open, his chats, the agents."""

from typing import NamedTuple

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from state.session import caller_of

CHATS = 50


class Place(NamedTuple):
    """A page of the product; ``needs`` is the permission without which it is not offered."""

    label: str
    href: str
    needs: Permission | None = None


PLACES = (
    Place("New chat", "/chat", Permission.CHAT_USE),
    Place("Health", "/admin/health", Permission.HEALTH_READ),
    Place("Traces", "/admin/traces", Permission.TRACES_READ),
    Place("Discovery", "/admin/agents", Permission.AGENTS_READ),
    Place("Topics", "/admin/topics", Permission.HEALTH_READ),
    Place("Event types", "/admin/events", Permission.BUS_READ),
    Place("Dead letters", "/admin/dead-letters", Permission.BUS_REPAIR),
    Place("Webhooks", "/admin/webhooks", Permission.WEBHOOKS_READ),
    Place("API keys", "/admin/keys", Permission.KEYS_MANAGE),
    Place("Account", "/account"),
)


class PaletteState(rx.State):
    """What the palette lists; loaded when it opens."""

    items: rx.Field[list[dict[str, str]]] = rx.field(default_factory=list)

    @rx.event
    async def load(self):
        """Load what the person may go to."""
        caller = await caller_of(self)
        places = [place for place in PLACES if place.needs is None or caller.may(place.needs)]
        items = [{"group": "Pages", "label": place.label, "href": place.href} for place in places]
        if caller.may(Permission.CHAT_USE):
            threads = await current().chat.threads(caller, limit=CHATS)
            items += [{"group": "Chats", "label": thread.title, "href": f"/chat/{thread.id}"} for thread in threads]
        if caller.may(Permission.AGENTS_READ):
            agents = await current().agents.list(caller)
            items += [{"group": "Agents", "label": agent.name, "href": f"/chat?agent={agent.slug}"} for agent in agents]
        self.items = items

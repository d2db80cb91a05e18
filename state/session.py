"""Who asks: read from the tab's cookie, for each handler anew."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from urllib.parse import quote, urlencode

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Unauthenticated
from state.live import session_changes


async def caller_of(state: rx.State) -> Caller:
    """Return who sits at the tab; raise `Unauthenticated` when nobody does. Costs no query within 5 s."""
    return await current().identity.caller_of_cookies(state.router.headers.cookie)


async def looks(state: rx.State, permission: Permission, every_s: float) -> AsyncGenerator[Caller]:
    """Yield who sits at the tab every so many seconds, for a background handler to look with outside the State's lock.

    Raises:
        Unauthenticated, Forbidden: once nobody does, or he may no longer look; that ends the handler.
    """
    while True:
        async with state:
            caller = await caller_of(state)
        caller.require(permission)
        yield caller
        await asyncio.sleep(every_s)


def part_of_path(state: rx.State, index: int) -> str:
    """Return a segment of the page's path, empty when there are fewer: ``/chat/thr_1`` has ``thr_1`` at 1."""
    parts = [part for part in state.router.url.path.split("/") if part]
    return parts[index] if index < len(parts) else ""


def to_address(path: str, asked: Mapping[str, str]) -> rx.event.EventSpec:
    """Go to a page that is asked for something, in the place of the one that is shown; what is empty is left out."""
    query = urlencode({name: value for name, value in asked.items() if value})
    return rx.redirect(f"{path}?{query}" if query else path, replace=True)


def sign_in_page(state: rx.State) -> str:
    """Return the address of the sign-in page that comes back to the page of the tab."""
    url = state.router.url
    here = url.path + (f"?{url.query}" if url.query else "")
    return "/sign-in" if here in ("", "/", "/sign-in") else f"/sign-in?next={quote(here, safe='/')}"


class SessionState(rx.State):
    """The person as the frame shows him; what he may do only hides links, each verb checks for itself."""

    ready: bool = False
    user: str = ""
    name: str = ""
    email: str = ""
    tenant: str = ""
    role: str = ""
    permissions: rx.Field[list[str]] = rx.field(default_factory=list)

    @rx.event
    async def enter(self):
        """Load the person, or go to the sign-in page. Runs before everything else on each page."""
        try:
            caller = await caller_of(self)
        except Unauthenticated:
            self.reset()
            return rx.redirect(sign_in_page(self))
        me = await current().identity.me(caller)
        self.user, self.name, self.email = me.id, me.name, me.email
        self.tenant, self.role = me.tenant_name, me.role
        self.permissions = sorted(permission.value for permission in Permission if caller.may(permission))
        self.ready = True
        return None

    @rx.event(background=True)
    async def watch(self):
        """Notice at once when this session is revoked elsewhere. Ends when the tab leaves the page."""
        async with aclosing(session_changes()) as heard:
            async for _ in heard:
                async with self:
                    await caller_of(self)

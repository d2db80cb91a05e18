"""Who sits at a tab."""

import asyncio

import pytest

from backend.foundation.kernel.errors import Unauthenticated
from state.account.account import AccountState
from state.account.entrance import EntranceState
from state.palette import PaletteState
from state.session import SessionState, caller_of
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab

pytestmark = pytest.mark.integration


def target(event: object) -> str:
    """The address that a redirect goes to."""
    return next(str(value) for name, value in event.args if str(name) == "path").strip('"')


async def test_a_tab_with_a_session_knows_its_person(sqlite_installation: Installation) -> None:
    """IDN-1."""
    state = await Tab(sqlite_installation.ada_cookie, "/chat").state(SessionState)
    assert await state.enter() is None
    assert (state.ready, state.email, state.tenant) == (True, "ada@example.org", "House")
    assert "chat:use" in state.permissions


async def test_a_tab_without_a_session_goes_to_the_sign_in_page_and_comes_back(
    sqlite_installation: Installation,
) -> None:
    """IDN-2."""
    state = await Tab("nonsense", "/admin/health?part=bus").state(SessionState)
    assert target(await state.enter()) == "/sign-in?next=/admin/health%3Fpart%3Dbus"
    assert not state.ready


async def test_a_revoked_session_ends_in_every_open_tab(sqlite_installation: Installation) -> None:
    """IDN-1."""
    identity = sqlite_installation.backend.identity
    state = await Tab(sqlite_installation.ada_cookie, "/chat").state(SessionState)
    await state.enter()
    watching = asyncio.create_task(SessionState.watch.fn(state))
    await asyncio.sleep(0)
    await identity.sign_out(sqlite_installation.ada)
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(watching, 8)


async def test_the_door_lets_pass_who_is_signed_in_already(sqlite_installation: Installation) -> None:
    """IDN-1."""
    state = await Tab(sqlite_installation.ada_cookie, "/sign-in?next=/account").state(EntranceState)
    assert target(await state.load()) == "/account"


async def test_the_door_shows_what_a_refused_form_came_back_with(sqlite_installation: Installation) -> None:
    """IDN-1."""
    state = await Tab("", "/sign-in?error=sign_in_failed&email=ada%40example.org").state(EntranceState)
    assert await state.load() is None
    assert state.email == "ada@example.org"
    assert state.problem == "The email or the password is not right."


async def test_a_session_is_revoked_from_the_account_page(sqlite_installation: Installation) -> None:
    """IDN-1."""
    identity = sqlite_installation.backend.identity
    client = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    other = await identity.sign_in("ada@example.org", "a long enough phrase 42", client=client, address="203.0.113.7")
    state = await Tab(sqlite_installation.ada_cookie, "/account").state(AccountState)
    await state.load()
    assert "Firefox on Linux" in [session.client for session in state.sessions]
    assert sum(session.current for session in state.sessions) == 1
    await state.revoke(str(other.caller.session))
    assert other.caller.session not in [session.id for session in state.sessions]

    async def ended() -> bool:
        try:
            await identity.caller_of_session(other.cookie)
        except Unauthenticated:
            return True
        return False

    await until(ended)


async def test_the_session_of_another_tenant_cannot_be_revoked(sqlite_installation: Installation) -> None:
    """IDN-3."""
    state = await Tab(sqlite_installation.bob_cookie, "/account").state(AccountState)
    with pytest.raises(Exception, match="There is no"):
        await state.revoke(str(sqlite_installation.ada.session))
    assert await sqlite_installation.backend.identity.caller_of_session(sqlite_installation.ada_cookie)


async def test_the_palette_offers_pages_chats_and_agents(sqlite_installation: Installation) -> None:
    """ADM-2."""
    chat = sqlite_installation.backend.chat
    await chat.send(sqlite_installation.ada, thread=None, agent="concierge", text="Count to three")
    state = await Tab(sqlite_installation.ada_cookie, "/chat").state(PaletteState)
    await state.load()
    found = {(item["group"], item["label"]) for item in state.items}
    assert {("Pages", "Health"), ("Chats", "Count to three"), ("Agents", "Concierge")} <= found


async def test_nobody_is_who_a_cookie_of_nonsense_says(sqlite_installation: Installation) -> None:
    """IDN-1."""
    state = await Tab("a; aw_session=b", "/chat").state(SessionState)
    with pytest.raises(Unauthenticated):
        await caller_of(state)

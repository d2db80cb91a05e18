"""Admin tabs over real rooms."""

import asyncio

import pytest

from backend.foundation.kernel.errors import NotFound, Unauthenticated
from state.admin.health import HealthState
from state.admin.keys import KeysState
from state.admin.trace import TraceState
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab

pytestmark = pytest.mark.integration


async def test_health_lists_every_part_and_sums_them_up(sqlite_installation: Installation) -> None:
    """ADM-1."""
    state = await Tab(sqlite_installation.ada_cookie, "/admin/health").state(HealthState)
    await state.load()
    assert {"Database", "Model"} <= {part.title for part in state.parts}
    assert state.worst in ("ok", "attention", "failed")
    assert state.summary
    assert state.checked_ms > 0


async def test_health_is_asked_again_by_itself(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADM-1."""
    monkeypatch.setattr("state.admin.health.EVERY_S", 0.05)
    state = await Tab(sqlite_installation.ada_cookie, "/admin/health").state(HealthState)
    await state.load()
    first = state.checked_ms
    watching = asyncio.create_task(HealthState.watch.fn(state))
    await until(lambda: state.checked_ms > first)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_key_is_shown_once_and_revoked(sqlite_installation: Installation) -> None:
    """IDN-2."""
    identity = sqlite_installation.backend.identity
    state = await Tab(sqlite_installation.ada_cookie, "/admin/keys").state(KeysState)
    await state.load()
    state.start()
    await state.create({"key_name": "CI", "scope:agents:run": "on", "expires": "30"})
    assert state.making == "made"
    caller = await identity.caller_of_key(state.secret)
    assert [permission.value for permission in caller.permissions] == ["agents:run"]
    key = next(key for key in state.keys if key.name == "CI")
    state.finish()
    assert state.secret == ""
    state.ask_revoke(key.id, key.name)
    await state.revoke()
    assert "CI" not in [key.name for key in state.keys]


async def test_what_is_wrong_with_a_key_stands_at_its_field(sqlite_installation: Installation) -> None:
    """ADM-2."""
    state = await Tab(sqlite_installation.ada_cookie, "/admin/keys").state(KeysState)
    await state.load()
    state.start()
    await state.create({"key_name": "CI", "expires": "30"})
    assert (state.making, state.error_field) == ("form", "scopes")
    await state.create({"key_name": " ", "scope:agents:run": "on"})
    assert state.error_field == "name"


async def test_the_key_of_another_tenant_is_just_not_there(sqlite_installation: Installation) -> None:
    """IDN-3."""
    ada = await sqlite_installation.backend.identity.api_keys(sqlite_installation.ada)
    state = await Tab(sqlite_installation.bob_cookie, "/admin/keys").state(KeysState)
    await state.load()
    state.ask_revoke(ada[0].id, ada[0].name)
    with pytest.raises(NotFound):
        await state.revoke()
    assert await sqlite_installation.backend.identity.api_keys(sqlite_installation.ada) == ada


async def test_a_trace_that_is_not_there_says_so_in_the_end(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OBS-2."""
    monkeypatch.setattr("state.admin.trace.PATIENCE_S", 0)
    tab = Tab(sqlite_installation.ada_cookie, f"/admin/traces/{'0' * 31}1")
    state = await tab.state(TraceState)
    assert await state.load() is TraceState.wait
    assert state.phase == "loading"
    await TraceState.wait.fn(state)
    assert state.phase == "missing"


@pytest.mark.parametrize("kind", [HealthState, KeysState, TraceState])
async def test_no_admin_page_opens_without_a_session(sqlite_installation: Installation, kind: type) -> None:
    """IDN-2."""
    state = await Tab("", "/admin/x/y").state(kind)
    with pytest.raises(Unauthenticated):
        await state.load()

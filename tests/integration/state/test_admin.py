"""Admin tabs over real rooms."""

import asyncio
import secrets
import time
from typing import Any

import pytest

from backend.foundation.kernel.errors import NotFound, Unauthenticated
from backend.foundation.telemetry import repository
from backend.foundation.telemetry.ports import SpanRecord
from backend.reads.health import Losses
from backend.reads.views import PartHealth
from state.admin.health import HealthState
from state.admin.keys import KeysState
from state.admin.trace import TraceState
from state.admin.traces import TracesState
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab
from tests.integration.state.test_session import target

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


def entry(
    tenant: str, name: str, *, status: str = "ok", took_ms: int = 1, age_s: int = 0, trace: str = ""
) -> SpanRecord:
    """The first span of a trace."""
    return SpanRecord(
        tenant=tenant, trace_id=trace or secrets.token_hex(16), span_id=secrets.token_hex(8), parent="", name=name,
        service="web", kind="server", start_us=time.time_ns() // 1_000 - age_s * 1_000_000,
        duration_us=took_ms * 1_000, status=status, attributes={},
    )  # fmt: skip


async def store(house: Installation, *spans: SpanRecord) -> None:
    async with house.backend.database.system_write() as session:
        await repository.insert_spans(session, spans)


async def listed(house: Installation, address: str) -> list[str]:
    state = await Tab(house.ada_cookie, address).state(TracesState)
    await state.load()
    return [line["title"] for line in state.lines]


async def test_traces_are_listed_newest_first_and_filtered_by_the_address(sqlite_installation: Installation) -> None:
    """OBS-2."""
    ada, bob = sqlite_installation.ada.tenant, sqlite_installation.bob.tenant
    twice = secrets.token_hex(16)
    await store(
        sqlite_installation,
        entry(ada, "chat.send", age_s=1),
        entry(ada, "POST /v1/agents/50%_off/runs", took_ms=2_000, age_s=2, status="error"),
        entry(ada, "run concierge", took_ms=150, age_s=3, trace=twice),
        entry(ada, "run concierge", took_ms=140, age_s=4, trace=twice),
        entry(bob, "chat.send"),
    )
    chat, failed, run = "chat.send", "POST /v1/agents/50%_off/runs", "run concierge"
    for query, titles in {
        "": [chat, failed, run],
        "?text=CHAT": [chat],
        "?text=50%25_": [failed],
        "?text=5__": [],
        "?status=error": [failed],
        "?status=made-up": [chat, failed, run],
        "?at_least=100": [failed, run],
        "?at_least=1000&text=run": [failed],
        "?at_least=7": [chat, failed, run],
    }.items():
        assert await listed(sqlite_installation, f"/admin/traces{query}") == titles, query


async def test_a_filter_becomes_the_address_and_a_new_trace_comes_by_itself(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OBS-2."""
    monkeypatch.setattr("state.admin.traces.EVERY_S", 0.02)
    state = await Tab(sqlite_installation.ada_cookie, "/admin/traces").state(TracesState)
    await state.load()
    assert (state.lines, state.filtered) == ([], False)
    watching = asyncio.create_task(TracesState.watch.fn(state))
    new = entry(sqlite_installation.ada.tenant, "chat.send")
    await store(sqlite_installation, new)
    await until(lambda: state.fresh == [new.trace_id])
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert target(state.search("a b")) == "/admin/traces?text=a+b"
    assert target(state.choose_status("error")) == "/admin/traces?text=a+b&status=error"
    assert target(state.choose_at_least("100")) == "/admin/traces?text=a+b&status=error&at_least=100"
    state.search("")
    state.choose_status("")
    assert target(state.choose_at_least("")) == "/admin/traces"


async def test_lost_spans_are_said_with_what_to_do_and_forgotten_after_a_while(
    sqlite_installation: Installation,
) -> None:
    """OBS-2, ADM-1."""
    state = await Tab(sqlite_installation.ada_cookie, "/admin/health").state(HealthState)

    async def shown(lost: int) -> PartHealth:
        process: dict[str, Any] = {"id": "prc_1", "service": "worker", "roles": ["agents"], "host": "h", "pid": 1}
        figures = {"spans_dropped": lost, "spans_waiting": 7}
        async with sqlite_installation.backend.database.system_write() as session:
            await repository.upsert_process(session, {**process, "figures": figures, "samples": {}})
        await state.load()
        return next(part for part in state.parts if part.name == "telemetry")

    well, losing = await shown(0), await shown(1_234)
    assert (well.status, well.cause, well.fix) == ("ok", "", "")
    assert losing.status == "attention"
    assert "AUTOWEAVE_TRACE_EVENTS" in losing.fix
    assert losing.figures == (("Waiting", "7"), ("Dropped", "1,234"))


def test_a_process_that_loses_no_more_is_well_again() -> None:
    """OBS-2."""
    now = [0.0]
    losses = Losses(lambda: now[0])
    assert not losses.lately({"web": 0})
    assert losses.lately({"web": 3})
    now[0] = 599.0
    assert losses.lately({"web": 3, "worker": 0})
    now[0] = 601.0
    assert not losses.lately({"web": 3})
    assert losses.lately({"web": 3, "worker": 1})

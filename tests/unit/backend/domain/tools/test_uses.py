"""TOL-1, TOL-9. Places for calls of a tool, and counts."""

import asyncio

import pytest

from backend.domain.tools.ports import SandboxResult
from backend.domain.tools.service.uses import NoPlace, Uses
from backend.foundation.kernel.ids import TenantId
from tests.fixtures.waiting import until

HOME, OTHER = TenantId("tnt_home"), TenantId("tnt_other")
OK = SandboxResult(outcome="ok", output=b"1", fuel_used=7)
TIMEOUT = SandboxResult(outcome="timeout", error="Too slow.")


async def hold(uses: Uses, ends: asyncio.Event, tenant: TenantId = HOME, concurrency: int = 2) -> None:
    async with uses.place(tenant, "a.b", concurrency, 5):
        await ends.wait()


async def test_no_more_calls_of_a_tool_run_than_its_concurrency() -> None:
    uses, ends = Uses(), asyncio.Event()
    calls = [asyncio.create_task(hold(uses, ends)) for _ in range(5)]
    await until(lambda: uses.active == 2)
    with pytest.raises(NoPlace):
        async with uses.place(HOME, "a.b", 2, 0.01):
            raise AssertionError("there was a place")
    async with uses.place(HOME, "c.d", 1, 1), uses.place(OTHER, "a.b", 1, 1):
        assert uses.active == 4
    ends.set()
    await asyncio.gather(*calls)
    assert uses.active == 0


async def test_a_place_is_given_back_when_its_call_is_cancelled() -> None:
    uses, ends = Uses(), asyncio.Event()
    call = asyncio.create_task(hold(uses, ends, concurrency=1))
    await until(lambda: uses.active == 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    async with uses.place(HOME, "a.b", 1, 1):
        assert uses.active == 1


async def test_a_new_concurrency_counts_once_the_tool_is_at_rest() -> None:
    uses, ends = Uses(), asyncio.Event()
    first = asyncio.create_task(hold(uses, ends, concurrency=1))
    await until(lambda: uses.active == 1)
    with pytest.raises(NoPlace):
        async with uses.place(HOME, "a.b", 2, 0.01):
            raise AssertionError("there was a place")
    ends.set()
    await first
    async with uses.place(HOME, "a.b", 2, 1), uses.place(HOME, "a.b", 2, 1):
        assert uses.active == 2


async def test_counts_are_of_a_tenants_own_tools() -> None:
    uses = Uses()
    for result in (OK, OK, TIMEOUT):
        async with uses.place(HOME, "a.b", 1, 1):
            uses.count(HOME, "a.b", result)
    (use,) = uses.of(HOME)
    assert (use.id, use.calls, use.succeeded, use.failed, use.active, use.fuel) == ("a.b", 3, 2, 1, 0, 14)
    assert uses.of(OTHER) == ()


async def test_of_very_many_tools_those_at_rest_are_forgotten() -> None:
    uses, ends = Uses(), asyncio.Event()
    running = asyncio.create_task(hold(uses, ends))
    await until(lambda: uses.active == 1)
    for number in range(1500):
        async with uses.place(HOME, f"tool.n{number}", 1, 1):
            pass
    assert len(uses.of(HOME)) == 1000
    assert uses.of(HOME)[0].id == "a.b"
    ends.set()
    await running

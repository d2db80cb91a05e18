"""FLW-3, AGT-2: claims, lanes, leases and timers on both databases."""

from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlmodel import col

from backend.adapters.database.database import SqlDatabase
from backend.domain.flows.models import RunRow, TimerRow
from backend.domain.flows.repository import runs as rows
from backend.domain.flows.rules import MAX_CLAIMS
from backend.foundation.kernel.ids import TenantId, new_id
from backend.foundation.kernel.tables import now_ms, row_count

pytestmark = pytest.mark.integration

DEFAULTS: dict[str, Any] = {
    "tenant": "ten_a", "agent": "agt_1", "snapshot": "snp_1", "thread": "", "source": "rest", "subject": "key_1",
    "status": "QUEUED", "owner": "", "epoch": 0, "lease_until": 0, "claims": 0, "cancel": False, "input": "hello",
    "output": "", "error_code": "", "error_message": "", "error_hint": "", "limits": {}, "input_tokens": 0,
    "output_tokens": 0, "cost_micros": 0, "tool_calls": 0, "traceparent": "", "started_ms": 0, "finished_ms": 0,
}  # fmt: skip


async def add_run(database: SqlDatabase, **columns: Any) -> str:
    run = new_id("run")
    row = DEFAULTS | {"id": run, "lane": run, "trigger": run} | columns
    async with database.system_write() as session:
        assert await rows.insert_run(session, row, wall_ms=columns.pop("wall_ms", 600_000))
    return run


async def claim(database: SqlDatabase, owner: str = "w1", limit: int = 10) -> list[rows.Claimed]:
    async with database.system_write() as session:
        return await rows.claim(session, owner, limit)


async def column(database: SqlDatabase, run: str, name: str) -> Any:
    async with database.system_read() as session:
        return (await session.execute(select(getattr(RunRow, name)).where(col(RunRow.id) == run))).scalar_one()


async def change(database: SqlDatabase, run: str, **columns: Any) -> None:
    async with database.system_write() as session:
        await session.execute(update(RunRow).where(col(RunRow.id) == run).values(**columns))


async def test_a_second_run_of_the_same_trigger_is_not_made(database: SqlDatabase) -> None:
    await add_run(database, trigger="evt_1")
    async with database.system_write() as session:
        again = DEFAULTS | {"id": new_id("run"), "lane": "x", "trigger": "evt_1"}
        assert not await rows.insert_run(session, again, wall_ms=1000)


async def test_the_same_trigger_in_another_tenant_is_another_run(database: SqlDatabase) -> None:
    await add_run(database, trigger="evt_1")
    await add_run(database, trigger="evt_1", tenant="ten_b")


async def test_a_claim_takes_the_oldest_under_a_new_epoch_and_only_once(database: SqlDatabase) -> None:
    first, second = await add_run(database), await add_run(database)
    assert [(run.id, run.epoch) for run in await claim(database, limit=1)] == [(first, 1)]
    assert [(run.id, run.epoch) for run in await claim(database)] == [(second, 1)]
    assert await claim(database) == []


async def test_a_lane_runs_one_after_the_other(database: SqlDatabase) -> None:
    first = await add_run(database, lane="thr_1")
    second = await add_run(database, lane="thr_1")
    other = await add_run(database, lane="thr_1", tenant="ten_b")
    assert [run.id for run in await claim(database)] == [first, other]
    await change(database, first, status="WAITING")
    assert await claim(database) == []
    await change(database, first, status="FAILED")
    assert [run.id for run in await claim(database)] == [second]


async def test_an_expired_lease_is_claimed_by_another_under_the_next_epoch(database: SqlDatabase) -> None:
    run = await add_run(database)
    await claim(database, "w1")
    await change(database, run, lease_until=1)
    taken = await claim(database, "w2")
    assert [(one.id, one.epoch, one.claims) for one in taken] == [(run, 2, 2)]
    async with database.system_write() as session:
        kept = await rows.renew(session, "w1", [run])
    assert kept == {}


async def test_a_lease_on_what_is_not_at_work_any_more_is_not_renewed(database: SqlDatabase) -> None:
    at_work, left = await add_run(database), await add_run(database)
    await claim(database, "w1")
    await change(database, left, lease_until=1)
    async with database.system_write() as session:
        assert await rows.renew(session, "w1", [at_work]) == {at_work: (1, False)}
    assert [one.id for one in await claim(database, "w2")] == [left]


async def test_a_run_claimed_five_times_without_a_step_is_left_to_the_sweeper(database: SqlDatabase) -> None:
    run = await add_run(database)
    await change(database, run, status="RUNNING", claims=MAX_CLAIMS, lease_until=1)
    assert await claim(database) == []
    async with database.system_write() as session:
        assert [row["id"] for row in await rows.take_overdue(session, lock=True)] == [run]
        assert await rows.end_run(session, run, 0, {"status": "FAILED"})
        assert not await rows.end_run(session, run, 0, {"status": "FAILED"})
    assert await column(database, run, "epoch") == 1


async def test_a_run_past_its_deadline_is_not_claimed(database: SqlDatabase) -> None:
    run = await add_run(database)
    await change(database, run, deadline_ms=1)
    assert await claim(database) == []
    async with database.system_read() as session:
        assert [row["id"] for row in await rows.take_overdue(session, lock=False)] == [run]


async def test_a_run_that_is_given_back_is_runnable_at_once_and_not_counted_as_a_crash(database: SqlDatabase) -> None:
    run = await add_run(database)
    await claim(database, "w1")
    async with database.system_write() as session:
        assert await rows.give_back(session, "w1", [(run, 1)]) == 1
    assert [(one.id, one.epoch, one.claims) for one in await claim(database, "w2")] == [(run, 2, 1)]


async def test_the_leases_of_a_dead_worker_are_given_back_and_counted(database: SqlDatabase) -> None:
    run = await add_run(database)
    await claim(database, "w1")
    async with database.system_write() as session:
        assert await rows.give_back(session, "w1") == 1
    assert [(one.id, one.claims) for one in await claim(database, "w2")] == [(run, 2)]


async def test_a_due_timer_makes_its_run_runnable_and_is_gone(database: SqlDatabase) -> None:
    run = await add_run(database, status="WAITING")
    timer = {"id": "tmr_1", "tenant": "ten_a", "run": run, "path": "", "kind": "retry", "wait_ms": 60_000}
    async with database.system_write() as session:
        await session.execute(insert(TimerRow).values(**timer, due_ms=now_ms() + 60_000))
        assert await rows.fire_timers(session) == 0
        assert 0 < (await rows.next_timer_ms(session) or 0) <= 60_000
        await session.execute(update(TimerRow).values(due_ms=now_ms()))
        assert await rows.fire_timers(session) == 1
        assert await rows.next_timer_ms(session) is None
    assert [one.id for one in await claim(database)] == [run]


async def test_after_the_clock_was_put_back_timers_and_leases_begin_their_terms_again(database: SqlDatabase) -> None:
    waits, held = await add_run(database, status="WAITING"), await add_run(database)
    await claim(database, "w1")
    timer = {"id": "tmr_1", "tenant": "ten_a", "run": waits, "path": "", "kind": "retry", "wait_ms": 30_000}
    async with database.system_write() as session:
        await session.execute(insert(TimerRow).values(**timer, due_ms=now_ms() + 30_000))
        assert not await rows.is_put_back(session)
        # The clock was an hour ahead when they were set.
        await session.execute(update(TimerRow).values(due_ms=TimerRow.due_ms + 3_600_000))
        assert await rows.is_put_back(session)
        await session.execute(update(RunRow).where(col(RunRow.id) == held).values(lease_until=now_ms() + 3_600_000))
        await rows.begin_terms_again(session)
        assert not await rows.is_put_back(session)
        assert 25_000 < (await rows.next_timer_ms(session) or 0) <= 30_000
        left = select(col(RunRow.lease_until) - now_ms()).where(col(RunRow.id) == held)
        assert 10_000 < (await session.execute(left)).scalar_one() <= rows.LEASE_MS


async def test_a_session_of_one_tenant_sees_no_run_of_another(database: SqlDatabase) -> None:
    """IDN-3."""
    run = await add_run(database)
    async with database.read(TenantId("ten_b")) as session:
        assert (await session.execute(select(RunRow).where(col(RunRow.id) == run))).first() is None
    async with database.write(TenantId("ten_b")) as session:
        changed = await session.execute(update(RunRow).where(col(RunRow.id) == run).values(cancel=True))
        assert row_count(changed) == 0

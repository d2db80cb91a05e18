"""Telemetry on real databases and over real processes."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from backend.adapters.database.database import SqlDatabase
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden, NotFound, Unavailable
from backend.foundation.kernel.ids import TenantId
from backend.foundation.telemetry import current_traceparent, metrics, set_tenant, span
from backend.foundation.telemetry.ports import SpanRecord
from backend.foundation.telemetry.repository import insert_spans
from backend.foundation.telemetry.service import Limits, Telemetry
from backend.reads.traces import Traces

pytestmark = pytest.mark.integration

QUIET = Limits(every_s=60, beat_s=60)
"""Nothing happens by itself: the test says when."""


def _caller(tenant: str, *permissions: Permission) -> Caller:
    granted = frozenset(permissions or (Permission.TRACES_READ, Permission.HEALTH_READ))
    return Caller(tenant=TenantId(tenant), subject="usr_1", permissions=granted)


ADA = _caller("ten_1")
BEN = _caller("ten_2")


async def _until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


@pytest.fixture
async def telemetry(database: SqlDatabase) -> AsyncIterator[Telemetry]:
    """This process's telemetry at work."""
    started = Telemetry(database, "web", roles=("web",), limits=QUIET)
    await started.start()
    yield started
    await started.close()


async def test_a_trace_is_read_back_as_a_tree(telemetry: Telemetry) -> None:
    """OBS-1."""
    with span("chat.send", tenant="ten_1", attributes={"autoweave.thread.id": "thr_1"}) as outer:
        with span("db.write"):
            pass
        with span("bus.publish", kind="producer") as inner:
            inner.fail("refused")
    await telemetry.flush()
    view = await Traces(telemetry).trace(ADA, outer.context.trace_id)
    assert [(one.name, one.depth, one.status) for one in view.spans] == [
        ("chat.send", 0, "ok"),
        ("db.write", 1, "ok"),
        ("bus.publish", 1, "error"),
    ]
    assert view.title == "chat.send"
    assert ("autoweave.thread.id", "thr_1") in view.spans[0].attributes
    assert ("autoweave.tenant.id", "ten_1") in view.spans[0].attributes
    assert view.duration_ms >= view.spans[1].duration_ms
    assert abs(view.started_ms - time.time() * 1_000) < 60_000


async def test_another_tenants_trace_is_not_found(telemetry: Telemetry) -> None:
    """IDN-3."""
    with span("chat.send", tenant="ten_1") as mine:
        pass
    await telemetry.flush()
    assert await telemetry.spans_of(BEN, mine.context.trace_id) == []
    assert await telemetry.recent(BEN) == []
    with pytest.raises(NotFound):
        await Traces(telemetry).trace(BEN, mine.context.trace_id)
    with pytest.raises(NotFound):
        await Traces(telemetry).trace(ADA, "%")


async def test_a_trace_over_two_tenants_shows_each_its_own_part(telemetry: Telemetry) -> None:
    """IDN-3: a client may send a traceparent that it saw elsewhere."""
    with span("chat.send", tenant="ten_1") as first:
        sent = current_traceparent()
    with span("HTTP POST", tenant="ten_2", parent=sent, kind="server"):
        pass
    await telemetry.flush()
    for caller, name in ((ADA, "chat.send"), (BEN, "HTTP POST")):
        view = await Traces(telemetry).trace(caller, first.context.trace_id)
        assert [one.name for one in view.spans] == [name]


async def test_each_verb_asks_for_its_permission(telemetry: Telemetry) -> None:
    """IDN-2."""
    nobody = _caller("ten_1", Permission.CHAT_USE)
    for asked in (telemetry.spans_of(nobody, "a" * 32), telemetry.recent(nobody), telemetry.processes(nobody)):
        with pytest.raises(Forbidden):
            await asked


async def test_recent_traces_are_listed_by_what_they_entered_with(telemetry: Telemetry) -> None:
    """OBS-2."""
    for number in range(3):
        with span(f"chat.send{number}", tenant="ten_1"), span("inside"):
            pass
    with span("GET /v1/threads", parent=f"00-{'a' * 32}-{'b' * 16}-01", kind="server"):
        set_tenant("ten_1")
    await telemetry.flush()
    found = await telemetry.recent(ADA, limit=3)
    assert [one.title for one in found] == ["GET /v1/threads", "chat.send2", "chat.send1"]
    assert found[0].id == "a" * 32


async def test_credentials_do_not_reach_the_table(telemetry: Telemetry) -> None:
    """IDN-6."""
    with span("model.turn", tenant="ten_1", attributes={"api_key": "hunter22", "url": "redis://:hunter22@h"}) as turn:
        turn.fail("401 for Authorization: Bearer hunter22hunter22")
    await telemetry.flush()
    (stored,) = await telemetry.spans_of(ADA, turn.context.trace_id)
    assert "hunter22" not in str(stored)
    assert stored.attributes["api_key"] == "•••"


async def test_hostile_values_neither_fail_the_work_nor_the_batch(telemetry: Telemetry) -> None:
    """OBS-1."""
    with span("n\0" * 500, tenant="ten_1") as odd:
        odd.set_attribute("a\0b", "zero \0 and \ud800 lone")
        odd.set_attribute("long", "x" * 100_000)
        odd.set_attribute("big", 10**40)
        odd.set_attribute("nan", float("nan"))
        odd.set_attribute("list", [1, "two", None])
    with span("after", tenant="t" * 100):
        pass
    await telemetry.flush()
    (stored,) = await telemetry.spans_of(ADA, odd.context.trace_id)
    assert len(str(stored.attributes["long"])) <= 1_000
    assert stored.attributes["list"] == '[1,"two",null]'
    assert telemetry.health().stored == 2
    assert telemetry.health().waiting == 0


async def test_a_batch_that_was_stored_without_an_answer_is_not_stored_twice(
    telemetry: Telemetry, database: SqlDatabase
) -> None:
    """OBS-1."""
    with span("once", tenant="ten_1") as once:
        pass
    await telemetry.flush()
    stored = await telemetry.spans_of(ADA, once.context.trace_id)
    async with database.system_write() as session:
        await insert_spans(session, stored)
    assert await telemetry.spans_of(ADA, once.context.trace_id) == stored


_WORKER = """
import asyncio, sys
from backend.adapters.database.database import SqlDatabase
from backend.foundation.telemetry import span
from backend.foundation.telemetry.service import Telemetry

async def main(url, traceparent):
    database = SqlDatabase(url)
    telemetry = Telemetry(database, "worker", roles=("agents",))
    await telemetry.start()
    with span("flows.run", tenant="ten_1", parent=traceparent), span("tool.call", kind="client"):
        pass
    await telemetry.close()
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_one_trace_goes_from_the_message_to_the_reply_over_two_processes(
    telemetry: Telemetry, database_url: str
) -> None:
    """OBS-1."""
    with span("chat.send", tenant="ten_1") as sent:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WORKER, database_url, current_traceparent(), cwd=Path.cwd()
        )
    assert await asyncio.wait_for(worker.wait(), 60) == 0
    await telemetry.flush()
    view = await Traces(telemetry).trace(ADA, sent.context.trace_id)
    assert [(one.name, one.service, one.depth) for one in view.spans] == [
        ("chat.send", "web", 0),
        ("flows.run", "worker", 1),
        ("tool.call", "worker", 2),
    ]


async def test_what_waits_is_stored_by_itself(database: SqlDatabase) -> None:
    """OBS-1."""
    telemetry = Telemetry(database, "web", limits=Limits(every_s=0.02))
    await telemetry.start()
    with span("chat.send", tenant="ten_1"):
        pass
    await _until(lambda: telemetry.health().stored == 1)
    await telemetry.close()


async def test_more_than_a_batch_is_stored_and_close_drains(database: SqlDatabase) -> None:
    """OBS-1."""
    telemetry = Telemetry(database, "web", limits=Limits(every_s=60, batch=10))
    await telemetry.start()
    with span("root", tenant="ten_1") as root:
        for _ in range(104):
            with span("inside"):
                pass
    await telemetry.close()
    assert len(await telemetry.spans_of(ADA, root.context.trace_id)) == 105
    with span("unheard", tenant="ten_1"):
        pass
    assert telemetry.health().waiting == 0


async def test_a_full_queue_drops_counts_and_never_waits(database: SqlDatabase) -> None:
    """OBS-1."""
    telemetry = Telemetry(database, "web", limits=Limits(every_s=60, waiting=50))
    await telemetry.start()
    before = metrics.SPANS_DROPPED.labels("full")._value.get()
    started = time.perf_counter()
    for _ in range(2_050):
        with span("chat.send", tenant="ten_1"):
            pass
    assert time.perf_counter() - started < 2
    health = telemetry.health()
    assert (health.waiting, health.dropped) == (50, 2_000)
    assert metrics.SPANS_DROPPED.labels("full")._value.get() == before + 2_000
    await telemetry.flush()
    assert telemetry.health().stored == 50
    await telemetry.close()


async def test_with_the_database_down_spans_are_dropped_and_counted_and_the_work_goes_on() -> None:
    """OBS-1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"postgresql://u:p@127.0.0.1:{taken.getsockname()[1]}/none"
        database = SqlDatabase(nowhere)
        limits = Limits(every_s=0.001, beat_s=0.05, waiting=20, batch=10, attempts=2, drain_s=0.5)
        telemetry = Telemetry(database, "worker", limits=limits)
        await telemetry.start()
        done = 0
        for _ in range(100):
            with span("chat.send", tenant="ten_1"):
                done += 1
        await _until(lambda: telemetry.health().dropped > 80)
        health = telemetry.health()
        assert done == 100
        assert not health.ok
        assert "database" in health.cause
        assert health.waiting <= 20
        with pytest.raises(Unavailable):
            await telemetry.processes(ADA)
        assert b"autoweave_spans_dropped_total" in await telemetry.exposition()
        started = time.perf_counter()
        await telemetry.close()
        assert time.perf_counter() - started < 5
        assert telemetry.health().dropped == 100
        await database.close()


async def test_spans_wait_for_a_database_that_is_busy_and_are_stored_when_it_is_not(
    sqlite_database: SqlDatabase,
) -> None:
    """OBS-1."""
    telemetry = Telemetry(sqlite_database, "web", limits=Limits(every_s=60, beat_s=60, give_up_s=0.2))
    await telemetry.start()
    with span("chat.send", tenant="ten_1") as sent:
        pass
    async with sqlite_database.system_write() as session:
        await session.execute(text("SELECT 1"))
        await telemetry.flush()
        assert telemetry.health().waiting == 1
        assert "too long" in telemetry.health().cause
    await telemetry.flush()
    assert telemetry.health().ok
    assert len(await telemetry.spans_of(ADA, sent.context.trace_id)) == 1
    await telemetry.close()


async def test_the_oldest_spans_are_deleted_beyond_the_count(database: SqlDatabase) -> None:
    """JOB-1: retention of spans."""
    limits = Limits(every_s=60, keep=30, sweep_s=0.05, sweep_batch=7)
    telemetry = Telemetry(database, "web", limits=limits)
    await telemetry.start()
    for number in range(100):
        with span(f"n{number}", tenant="ten_1"):
            pass
    await telemetry.flush()
    deadline = time.monotonic() + 10
    while len(left := await telemetry.recent(ADA, limit=200)) > 30:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert {one.title for one in left} == {f"n{number}" for number in range(70, 100)}
    await telemetry.close()


async def test_spans_beyond_their_age_are_deleted(database: SqlDatabase) -> None:
    """JOB-1: retention of spans."""
    telemetry = Telemetry(database, "web", limits=Limits(every_s=60, keep_ms=60_000, sweep_s=0.05))
    await telemetry.start()
    with span("old", tenant="ten_1") as old:
        old.start_ns -= 120 * 1_000_000_000
    with span("new", tenant="ten_1"):
        pass
    await telemetry.flush()
    deadline = time.monotonic() + 10
    while [one.title for one in await telemetry.recent(ADA)] != ["new"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await telemetry.close()


async def test_processes_are_alive_by_their_heartbeat_and_gone_when_they_end(database: SqlDatabase) -> None:
    """ADM-1."""
    web = Telemetry(database, "web", limits=Limits(beat_s=0.05))
    worker = Telemetry(database, "worker", roles=("agents", "relay"), limits=Limits(beat_s=0.05))
    worker.figure("active_runs", lambda: 3)
    await web.start()
    await worker.start()
    deadline = time.monotonic() + 10
    while len(found := await web.processes(ADA)) < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert [(one.service, one.roles, one.alive) for one in found] == [
        ("web", ("web",), True),
        ("worker", ("agents", "relay"), True),
    ]
    assert found[1].figures["active_runs"] == 3
    assert found[1].figures["rss_mb"] > 1
    assert found[1].figures["loop_lag_ms"] >= 0
    await worker.close()
    assert [one.service for one in await web.processes(ADA)] == ["web"]
    await web.close()


async def test_a_process_that_died_is_shown_as_dead_and_then_forgotten(database: SqlDatabase) -> None:
    """ADM-1."""
    dead = Telemetry(database, "worker", limits=Limits(beat_s=60))
    await dead._heart.beat()
    web = Telemetry(database, "web", limits=Limits(beat_s=60, dead_ms=0))
    assert [(one.service, one.alive) for one in await web.processes(ADA)] == [("worker", False)]
    forgetful = Telemetry(database, "web", limits=Limits(beat_s=60, forget_ms=-1_000))
    await forgetful._heart.beat()
    assert await web.processes(ADA) == []


async def test_a_beat_keeps_the_start_and_moves_what_was_seen(database: SqlDatabase) -> None:
    """ADM-1."""
    worker = Telemetry(database, "worker")
    await worker._heart.beat()
    (first,) = await worker.processes(ADA)
    deadline = time.monotonic() + 10
    while (last := (await worker.processes(ADA))[0]).seen_ms == first.seen_ms:
        assert time.monotonic() < deadline
        await worker._heart.beat()
    assert last.started_ms == first.started_ms
    assert last.seen_ms > first.seen_ms


async def test_one_page_shows_the_figures_of_all_processes(telemetry: Telemetry, database: SqlDatabase) -> None:
    """API-2."""
    metrics.RUNS.labels("SUCCEEDED").inc()
    metrics.RUN_SECONDS.observe(0.3)
    other = Telemetry(database, "worker")
    await other._heart.beat()
    page = (await telemetry.exposition()).decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    for name in ("autoweave_runs", "autoweave_run_seconds"):
        assert len({sample.labels["process"] for sample in families[name].samples}) == 2
    buckets = [sample for sample in families["autoweave_run_seconds"].samples if sample.name.endswith("_bucket")]
    assert all(sample.value >= 1 for sample in buckets if sample.labels["le"] == "+Inf")
    assert page.count("# TYPE autoweave_runs_total counter") == 1


async def test_figures_do_not_name_tenants(telemetry: Telemetry) -> None:
    """IDN-3."""
    with span("chat.send", tenant="ten_1"):
        pass
    await telemetry.flush()
    assert b"ten_1" not in await telemetry.exposition()


class _Receiver:
    """A second place for spans, as slow as told."""

    def __init__(self) -> None:
        self.got: list[SpanRecord] = []
        self.down = False
        self.slow = asyncio.Event()
        self.slow.set()
        self.closed = False

    async def export(self, spans: Sequence[SpanRecord]) -> None:
        await self.slow.wait()
        if self.down:
            raise Unavailable("It is down.")
        self.got += spans

    async def close(self) -> None:
        self.closed = True


async def test_a_second_place_gets_what_is_stored_and_holds_nobody_up(database: SqlDatabase) -> None:
    """OBS-1."""
    receiver = _Receiver()
    receiver.slow.clear()
    telemetry = Telemetry(database, "web", limits=Limits(every_s=60, batch=1, waiting=1_000), exporters=[receiver])
    await telemetry.start()
    before = metrics.SPANS_DROPPED.labels("otlp")._value.get()
    for _ in range(40):
        with span("chat.send", tenant="ten_1"):
            pass
    await telemetry.flush()
    assert telemetry.health().stored == 40
    assert metrics.SPANS_DROPPED.labels("otlp")._value.get() > before
    receiver.slow.set()
    await telemetry.close()
    assert len(receiver.got) >= 32
    assert receiver.closed


async def test_a_second_place_that_is_down_costs_its_spans_only(database: SqlDatabase) -> None:
    """OBS-1."""
    receiver = _Receiver()
    receiver.down = True
    telemetry = Telemetry(database, "web", limits=QUIET, exporters=[receiver])
    await telemetry.start()
    before = metrics.SPANS_DROPPED.labels("otlp")._value.get()
    with span("chat.send", tenant="ten_1"):
        pass
    await telemetry.flush()
    await _until(lambda: metrics.SPANS_DROPPED.labels("otlp")._value.get() == before + 1)
    assert telemetry.health().ok
    await telemetry.close()

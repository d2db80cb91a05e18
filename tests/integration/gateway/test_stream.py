"""API-2, CHT-3: a run as server-sent events, right also when the live stream is trimmed, wiped or gone."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import update

from backend.domain.flows.models import RunRow
from backend.foundation.kernel.errors import Unavailable
from backend.gateway.http import stream
from tests.fixtures.asgi import Event, Streamed
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


async def _queued(house: Installation) -> str:
    run = await house.backend.agents.run(house.ada, "concierge", input="Hello")
    return run.id


async def _finish(house: Installation, run: str, status: str = "SUCCEEDED", **values: Any) -> None:
    async with house.backend.database.system_write() as session:
        await session.execute(update(RunRow).where(RunRow.id == run).values(status=status, output="whole", **values))


@asynccontextmanager
async def _watch(house: Installation, run: str, after: str = "", **headers: str) -> AsyncGenerator[Streamed]:
    sent = {"authorization": f"Bearer {house.ada_key}", **headers}
    if after:
        sent["last-event-id"] = after
    async with Streamed(house.app, f"/v1/runs/{run}/events", headers=sent) as watching:
        yield watching


async def _rest(watching: Streamed) -> list[Event]:
    events: list[Event] = []
    while not events or events[-1].name not in ("done", "error"):
        events.append(await watching.event())
    assert await watching.ended()
    return events


async def test_a_run_is_watched_from_its_start_to_its_end(installation: Installation) -> None:
    async with installation.worker():
        sent = {
            "authorization": f"Bearer {installation.ada_key}",
            "accept": "text/event-stream",
            "content-type": "application/json",
        }
        body = b'{"input": "Hello there"}'
        async with Streamed(
            installation.app, "/v1/agents/concierge/runs", method="POST", headers=sent, body=body
        ) as watching:
            assert watching.status == 200
            assert watching.received["content-type"].startswith("text/event-stream")
            assert watching.received["cache-control"] == "no-store"
            events = await _rest(watching)
    assert events[0].name == "status"
    run = json.loads(events[0].data)["run"]
    assert watching.received["location"] == f"/v1/runs/{run}"
    tokens = "".join(json.loads(event.data)["text"] for event in events if event.name == "token")
    done = json.loads(events[-1].data)
    assert (events[-1].name, done["status"]) == ("done", "SUCCEEDED")
    assert tokens == done["output"]


async def test_a_client_that_comes_back_goes_on_after_its_cursor(sqlite_installation: Installation) -> None:
    run = await _queued(sqlite_installation)
    writer = sqlite_installation.backend.live.writer(run, 1)
    writer.token("llm#0/turn[0]", "Hel")
    await writer.flush()
    async with _watch(sqlite_installation, run) as watching:
        await watching.event()
        first = await watching.event()
    writer.token("llm#0/turn[0]", "lo")
    await writer.done({"status": "SUCCEEDED", "output": "Hello"})
    async with _watch(sqlite_installation, run, first.id) as watching:
        events = await _rest(watching)
    assert [(event.name, json.loads(event.data)) for event in events[1:]] == [
        ("token", {"path": "llm#0/turn[0]", "text": "lo"}),
        ("done", {"status": "SUCCEEDED", "output": "Hello"}),
    ]


async def test_the_session_of_the_chat_page_may_watch(sqlite_installation: Installation) -> None:
    run = await _queued(sqlite_installation)
    headers = {"cookie": f"aw_session={sqlite_installation.ada_cookie}"}
    async with Streamed(sqlite_installation.app, f"/v1/runs/{run}/events", headers=headers) as watching:
        assert json.loads((await watching.event()).data) == {"status": "QUEUED", "run": run}


async def test_a_wiped_stream_of_a_finished_run_gives_the_whole_output(installation: Installation) -> None:
    run = await _queued(installation)
    await _finish(installation, run)
    async with _watch(installation, run, "5-0.1.7") as watching:
        events = await _rest(watching)
    assert [event.name for event in events] == ["status", "done"]
    assert json.loads(events[-1].data) == {"status": "SUCCEEDED", "output": "whole"}


async def test_an_end_that_nobody_announced_is_found_in_the_row(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_QUIET_S", 0.05)
    run = await _queued(sqlite_installation)
    async with _watch(sqlite_installation, run) as watching:
        await watching.event()
        await _finish(sqlite_installation, run)
        events = await _rest(watching)
    assert json.loads(events[-1].data)["output"] == "whole"


async def test_a_trimmed_stream_tells_to_forget_and_ends_with_the_whole_output(
    sqlite_installation: Installation,
) -> None:
    run = await _queued(sqlite_installation)
    writer = sqlite_installation.backend.live.writer(run, 1)
    writer.token("p", "lost")
    await writer.flush()
    await sqlite_installation.backend.live.forget_run(run)
    writer.token("p", "kept")
    await writer.done({"status": "SUCCEEDED", "output": "lostkept"})
    async with _watch(sqlite_installation, run) as watching:
        events = await _rest(watching)
    assert [event.name for event in events] == ["status", "reset", "token", "done"]
    assert json.loads(events[1].data)["path"] == ""
    assert json.loads(events[-1].data)["output"] == "lostkept"


async def test_a_failed_run_ends_with_an_error_that_says_what_to_do(sqlite_installation: Installation) -> None:
    run = await _queued(sqlite_installation)
    told = {"status": "FAILED", "output": "", "code": "model_timed_out", "message": "No answer.", "hint": "Try again."}
    await sqlite_installation.backend.live.writer(run, 1).done(told)
    async with _watch(sqlite_installation, run) as watching:
        live = (await _rest(watching))[-1]
    await sqlite_installation.backend.live.forget_run(run)
    await _finish(
        sqlite_installation,
        run,
        "FAILED",
        error_code="model_timed_out",
        error_message="No answer.",
        error_hint="Try again.",
    )
    async with _watch(sqlite_installation, run) as watching:
        row = (await _rest(watching))[-1]
    assert live.name == row.name == "error"
    words = {name: told[name] for name in ("code", "message", "hint")}
    assert words.items() <= json.loads(live.data).items()
    assert words.items() <= json.loads(row.data).items()


async def test_without_the_live_store_the_row_ends_the_stream(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> Any:
        raise Unavailable("The live store does not answer.")

    run = await _queued(sqlite_installation)
    monkeypatch.setattr(stream, "_STORE_AGAIN_S", 0.02)
    monkeypatch.setattr(type(sqlite_installation.backend.live), "run_entries", down)
    async with _watch(sqlite_installation, run) as watching:
        await watching.event()
        await _finish(sqlite_installation, run)
        events = await _rest(watching)
    assert json.loads(events[-1].data)["output"] == "whole"


async def test_a_quiet_stream_is_kept_open_by_comments(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_QUIET_S", 0.02)
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 0.02)
    run = await _queued(sqlite_installation)
    async with _watch(sqlite_installation, run) as watching:
        await watching.piece()
        assert [await watching.piece() for _ in range(3)] == [": still here"] * 3


async def test_a_revoked_key_ends_the_stream_at_the_next_heartbeat(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IDN-1."""
    monkeypatch.setattr(stream, "_QUIET_S", 0.02)
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 0.02)
    identity = sqlite_installation.backend.identity
    run = await _queued(sqlite_installation)
    async with _watch(sqlite_installation, run) as watching:
        await watching.piece()
        for key in await identity.api_keys(sqlite_installation.ada):
            await identity.revoke_api_key(sqlite_installation.ada, key.id)
        assert await watching.ended()


@pytest.mark.parametrize("cursor", ["x", "-1", "1-2.3", "1-0.a.b", "9" * 100, "0\x00"])
async def test_a_made_up_cursor_is_refused_before_the_stream_begins(
    sqlite_installation: Installation, cursor: str
) -> None:
    run = await _queued(sqlite_installation)
    async with _watch(sqlite_installation, run, cursor) as watching:
        assert watching.status == 422


async def test_a_client_that_leaves_is_forgotten(sqlite_installation: Installation) -> None:
    run = await _queued(sqlite_installation)
    before = len(asyncio.all_tasks())
    for _ in range(3):
        async with _watch(sqlite_installation, run) as watching:
            assert watching.status == 200
            await watching.event()
    await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_more_streams_than_places_are_turned_away() -> None:
    seats = stream.Seats(most=1)
    back = seats.take()
    with pytest.raises(stream.StreamsFull):
        seats.take()
    back()
    assert seats.take()


async def test_an_unknown_run_has_no_stream(sqlite_installation: Installation) -> None:
    async with _watch(sqlite_installation, "run_none") as watching:
        assert watching.status == 404
        assert watching.received["content-type"] == "application/problem+json"


async def test_asking_for_the_headers_only_opens_no_stream(sqlite_installation: Installation) -> None:
    run = await _queued(sqlite_installation)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.head(f"/v1/runs/{run}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")

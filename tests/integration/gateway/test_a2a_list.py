"""BUS-7: tasks of A2A are listed page by page, by the protocol's own client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from a2a.client import ClientConfig
from a2a.client.client_factory import create_client
from a2a.types import ListTasksRequest, ListTasksResponse, TaskState
from sqlalchemy import insert, text

from backend.domain.flows.models import RunRow
from backend.domain.flows.repository import lists
from backend.domain.flows.rules import RunsWanted
from backend.foundation.kernel.caller import Caller
from tests.fixtures.a2a import said
from tests.fixtures.door import BASE, Installation

pytestmark = pytest.mark.integration
HEADERS = {"a2a-version": "1.0", "content-type": "application/json"}


async def agent_of(house: Installation, caller: Caller) -> str:
    [one] = (await house.backend.directory.agents(caller)).agents
    return one.agent


async def write(house: Installation, agent: str, *runs: dict[str, Any], caller: Caller | None = None) -> None:
    """Store runs as if they had been; each is told by what differs."""
    tenant = (caller or house.ada).tenant
    usual = {
        "tenant": tenant, "agent": agent, "snapshot": "snp_1", "thread": "", "source": "rest", "status": "SUCCEEDED",
        "input": "question", "output": "answer", "limits": {}, "created_ms": 1, "deadline_ms": 1,
    }  # fmt: skip
    rows = [usual | {"lane": run.get("thread") or run["id"], "trigger": run["id"]} | run for run in runs]
    async with house.backend.database.write(tenant) as session:
        for row in rows:
            await session.execute(insert(RunRow).values(row))


@asynccontextmanager
async def lister(house: Installation, key: str, agent: str) -> AsyncIterator[Any]:
    async with house.client(key) as http:
        client = await create_client(f"{BASE}/a2a/{agent}", ClientConfig(streaming=False, httpx_client=http))

        async def page(**how: Any) -> ListTasksResponse:
            return await client.list_tasks(ListTasksRequest(**how))

        yield page


def ids(page: ListTasksResponse) -> list[str]:
    return [task.id for task in page.tasks]


async def test_tasks_come_page_by_page_those_first_that_changed_last(installation: Installation) -> None:
    house = installation
    agent = await agent_of(house, house.ada)
    at = {"run_a": 5, "run_b": 9, "run_c": 9, "run_d": 7, "run_e": 1}
    await write(house, agent, *({"id": name, "finished_ms": at_ms} for name, at_ms in at.items()))
    async with lister(house, house.ada_key, agent) as page:
        whole = await page()
        assert ids(whole) == ["run_c", "run_b", "run_d", "run_a", "run_e"]
        assert (whole.next_page_token, whole.page_size, whole.total_size) == ("", 50, 5)
        first = await page(page_size=2)
        # What comes or changes in between moves no other task to another page.
        await write(house, agent, {"id": "run_new", "finished_ms": 10})
        second = await page(page_size=2, page_token=first.next_page_token)
        third = await page(page_size=2, page_token=second.next_page_token)
        assert [ids(one) for one in (first, second, third)] == [["run_c", "run_b"], ["run_d", "run_a"], ["run_e"]]
        assert (third.next_page_token, third.page_size, third.total_size) == ("", 2, 6)
        assert ids(await page(page_token="1.run_e")) == []


async def test_a_list_is_filtered_by_context_status_and_time(installation: Installation) -> None:
    house = installation
    agent = await agent_of(house, house.ada)
    second = 1_000
    await write(
        house,
        agent,
        {"id": "run_new", "status": "QUEUED", "created_ms": 5 * second},
        {"id": "run_at", "status": "RUNNING", "created_ms": 1, "started_ms": 4 * second, "thread": "c1"},
        {"id": "run_waits", "status": "WAITING", "created_ms": 1, "started_ms": 3 * second, "thread": "c1"},
        {"id": "run_done", "started_ms": 1, "finished_ms": 2 * second, "thread": "c1"},
        {"id": "run_failed", "status": "FAILED", "error_message": "No.", "error_code": "x", "finished_ms": second},
    )
    async with lister(house, house.ada_key, agent) as page:
        assert ids(await page(context_id="c1")) == ["run_at", "run_waits", "run_done"]
        working = await page(status=TaskState.TASK_STATE_WORKING)
        assert (ids(working), working.total_size) == (["run_at", "run_waits"], 2)
        assert ids(await page(status=TaskState.TASK_STATE_SUBMITTED)) == ["run_new"]
        assert ids(await page(status=TaskState.TASK_STATE_FAILED)) == ["run_failed"]
        never = await page(status=TaskState.TASK_STATE_REJECTED)
        assert (ids(never), never.total_size, never.page_size) == ([], 0, 50)
        # From that very moment on, in which nanoseconds make the next millisecond.
        assert ids(await page(status_timestamp_after=moment(3 * second))) == ["run_new", "run_at", "run_waits"]
        assert ids(await page(status_timestamp_after=moment(3 * second, 1_000))) == ["run_new", "run_at"]
        assert ids(await page(context_id="c1", status=TaskState.TASK_STATE_COMPLETED)) == ["run_done"]
        assert ids(await page(context_id="run_new")) == []
        assert ids(await page(context_id="a\tb\x01")) == []


def moment(at_ms: int, ns: int = 0) -> dict[str, int]:
    return {"seconds": at_ms // 1_000, "nanos": at_ms % 1_000 * 1_000_000 + ns}


async def test_artifacts_come_where_they_are_wanted_and_history_where_it_is_not_refused(
    sqlite_installation: Installation,
) -> None:
    house = sqlite_installation
    agent = await agent_of(house, house.ada)
    await write(house, agent, {"id": "run_a"}, {"id": "run_b", "output": ""})
    async with house.client(house.ada_key) as client:

        async def tasks(**params: Any) -> list[dict[str, Any]]:
            body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params}
            result = (await client.post(f"/a2a/{agent}", json=body, headers=HEADERS)).json()["result"]
            assert result["nextPageToken"] == ""
            return result["tasks"]

        assert all("artifacts" not in task and task["history"] for task in await tasks())
        assert [len(task["artifacts"]) for task in await tasks(includeArtifacts=True)] == [0, 1]
        assert all("history" not in task for task in await tasks(historyLength=0))
        for extreme in ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z"):
            assert len(await tasks(statusTimestampAfter=extreme)) == 2
        for extreme in ("9999-12-31T23:59:59.999999-23:59", "9999-12-31T23:59:59Z"):
            assert await tasks(statusTimestampAfter=extreme) == []


async def test_a_list_is_of_one_agent_of_one_tenant_and_shows_no_chats(sqlite_installation: Installation) -> None:
    """IDN-3: what people say in chats is theirs, also before programs of their workspace."""
    house = sqlite_installation
    agent, bobs = await agent_of(house, house.ada), await agent_of(house, house.bob)
    await write(house, agent, {"id": "run_mine"}, {"id": "run_event", "source": "event"})
    await write(house, agent, {"id": "run_chat", "source": "chat", "thread": "thr_1"})
    await write(house, "agt_other", {"id": "run_other"})
    await write(house, bobs, {"id": "run_bobs"}, caller=house.bob)
    async with lister(house, house.ada_key, agent) as page:
        assert ids(await page()) == ["run_mine", "run_event"]
        assert ids(await page(context_id="thr_1")) == []
    async with lister(house, house.bob_key, bobs) as page:
        assert ids(await page()) == ["run_bobs"]
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}
    key = await house.backend.identity.create_api_key(house.ada, name="k", scopes=["agents:run"], expires_days=1)
    for secret, status in ((house.bob_key, 404), (key.secret, 403), ("", 401)):
        async with house.client(secret) as client:
            assert (await client.post(f"/a2a/{agent}", json=body, headers=HEADERS)).status_code == status


async def test_a_page_of_long_texts_is_cut_short_and_nothing_is_left_out(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sqlite_installation
    agent = await agent_of(house, house.ada)
    monkeypatch.setattr(lists, "MOST_CHARACTERS", 100)
    monkeypatch.setattr(lists, "COUNTED", 4)
    names = [f"run_{number}" for number in range(6)]
    await write(house, agent, *({"id": name, "input": "x" * 60, "output": "y" * 60} for name in names))
    async with lister(house, house.ada_key, agent) as page:
        assert len(ids(await page(history_length=0))) == 6
        found, token = list[str](), ""
        while not found or token:
            some = await page(page_token=token, include_artifacts=True)
            assert (len(some.tasks), some.total_size) == (1, 4)
            found, token = found + ids(some), some.next_page_token
        assert sorted(found) == names


async def test_names_that_cannot_be_are_of_nothing(installation: Installation) -> None:
    agent = await agent_of(installation, installation.ada)
    await write(installation, agent, {"id": "run_a", "thread": "a"})
    async with installation.client(installation.ada_key) as client:
        for name in ("a\x00", "\x00", "\x1b", "' OR 1=1"):
            for method, params in ((one, {"id": name}) for one in ("GetTask", "CancelTask", "SubscribeToTask")):
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                answer = await client.post(f"/a2a/{agent}", json=body, headers=HEADERS)
                assert answer.json()["error"]["code"] == -32001
            body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {"contextId": name}}
            answer = await client.post(f"/a2a/{agent}", json=body, headers=HEADERS)
            assert answer.json()["result"]["tasks"] == []


async def test_what_was_sent_is_listed(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    agent = await agent_of(house, house.ada)
    async with house.client(house.ada_key) as http:
        client = await create_client(f"{BASE}/a2a/{agent}", ClientConfig(streaming=False, httpx_client=http))
        [sent] = [one.task async for one in client.send_message(said("Hello", return_immediately=True))]
        [listed] = (await client.list_tasks(ListTasksRequest(include_artifacts=True))).tasks
        assert listed == sent
        after = datetime.fromtimestamp(sent.status.timestamp.ToMilliseconds() / 1_000, UTC)
        request = ListTasksRequest(context_id=sent.context_id, status_timestamp_after=after)
        assert [task.id for task in (await client.list_tasks(request)).tasks] == [sent.id]


async def test_places_in_a_list_and_their_number_come_from_an_index(installation: Installation) -> None:
    """A list of a million runs is not sorted for each page."""
    database, tenant = installation.backend.database, installation.ada.tenant
    wanted = RunsWanted(agent="agt_1", statuses=("FAILED",), since_ms=1)
    async with database.read(tenant) as session:
        engine = session.get_bind().dialect
        query = lists._places(tenant, wanted, lists.Place(5, "run_x"))
        words = str(query.compile(dialect=engine, compile_kwargs={"literal_binds": True}))
        if engine.name == "postgresql":
            # A table of no rows is read as a whole, whatever indexes there are.
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            await session.execute(text("SET LOCAL enable_bitmapscan = off"))
        explain = "EXPLAIN " if engine.name == "postgresql" else "EXPLAIN QUERY PLAN "
        plan = "\n".join(str(tuple(row)) for row in await session.execute(text(explain + words.replace(":", "\\:"))))
    assert "ix_flows_run_listed" in plan
    assert "SORT" not in plan.upper()
    assert "TEMP B-TREE" not in plan

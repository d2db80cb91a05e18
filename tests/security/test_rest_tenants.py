"""IDN-3: by REST, another tenant's things look exactly like things that do not exist."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.fixtures.asgi import Streamed
from tests.fixtures.door import BASE, Installation

pytestmark = pytest.mark.security

NONE = "run_00000000000000000000000000"


async def _run(house: Installation, **more: str) -> str:
    return (await house.backend.agents.run(house.ada, "concierge", input="Ada's secret", **more)).id


def _without_ids(answer: httpx.Response, *ids: str) -> Mapping[str, Any]:
    problem = {name: value for name, value in answer.json().items() if name != "trace_id"}
    for one in ids:
        problem["detail"] = problem["detail"].replace(one, "<id>")
    return {"status": answer.status_code, **problem}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/runs/{}"), ("POST", "/v1/runs/{}/cancel"), ("GET", "/v1/runs/{}/events")]
)
async def test_a_strangers_run_is_the_same_as_none(installation: Installation, method: str, path: str) -> None:
    run = await _run(installation)
    for key, cookie in ((installation.bob_key, ""), ("", installation.bob_cookie)):
        async with installation.client(key, cookie=cookie) as client:
            theirs = await client.request(method, path.format(run), headers={"origin": BASE})
            nobodys = await client.request(method, path.format(NONE), headers={"origin": BASE})
        assert theirs.status_code == 404
        assert _without_ids(theirs, run) == _without_ids(nobodys, NONE)
        assert "Ada" not in theirs.text
    assert (await installation.backend.flows.get(installation.ada, run)).status == "QUEUED"


async def test_a_strangers_agent_is_the_same_as_none(installation: Installation) -> None:
    (agent,) = await installation.backend.agents.list(installation.ada)
    async with installation.client(installation.bob_key) as client:
        theirs = await client.post(f"/v1/agents/{agent.id}/runs", json={"input": "x"})
        nobodys = await client.post("/v1/agents/agt_none/runs", json={"input": "x"})
        listed = (await client.get("/v1/agents")).json()["agents"]
    assert theirs.status_code == 404
    assert _without_ids(theirs, agent.id) == _without_ids(nobodys, "agt_none")
    assert agent.id not in {one["id"] for one in listed}


async def test_threads_and_idempotency_keys_of_two_tenants_do_not_meet(installation: Installation) -> None:
    runs: list[dict[str, Any]] = []
    for key in (installation.ada_key, installation.bob_key):
        async with installation.client(key) as client:
            answer = await client.post(
                "/v1/agents/concierge/runs",
                json={"input": "Hello", "thread": "support", "wait": False},
                headers={"idempotency-key": "order-1"},
            )
            assert answer.status_code == 202
            runs.append(answer.json())
    assert runs[0]["id"] != runs[1]["id"]
    async with installation.worker(), installation.client(installation.bob_key) as client:
        done = await client.post("/v1/agents/concierge/runs", json={"input": "Go on", "thread": "support"})
    assert done.json()["status"] in ("SUCCEEDED", "FAILED")


async def test_a_live_stream_belongs_to_its_tenant(sqlite_installation: Installation) -> None:
    run = await _run(sqlite_installation)
    writer = sqlite_installation.backend.live.writer(run, 1)
    writer.token("p", "Ada's secret")
    await writer.flush()
    headers = {"authorization": f"Bearer {sqlite_installation.bob_key}"}
    async with Streamed(sqlite_installation.app, f"/v1/runs/{run}/events", headers=headers) as watching:
        assert watching.status == 404
        assert "secret" not in await watching.piece()


async def test_a_key_and_a_session_at_once_are_not_mixed(sqlite_installation: Installation) -> None:
    run = await _run(sqlite_installation)
    async with sqlite_installation.client(sqlite_installation.bob_key, cookie=sqlite_installation.ada_cookie) as client:
        assert (await client.get(f"/v1/runs/{run}")).status_code == 404
    async with sqlite_installation.client("aw_made_up", cookie=sqlite_installation.ada_cookie) as client:
        assert (await client.get(f"/v1/runs/{run}")).status_code == 401


@pytest.mark.parametrize("path", ["/v1/runs/{}", "/v1/runs/{}/events"])
@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer aw_x", "Bearer null", "Basic eDp5", "aw_x"])
async def test_without_a_good_key_nothing_is_seen(
    sqlite_installation: Installation, path: str, authorization: str
) -> None:
    run = await _run(sqlite_installation)
    headers = {"authorization": authorization} if authorization else {}
    async with sqlite_installation.client() as client:
        answer = await client.get(path.format(run), headers=headers)
    assert answer.status_code == 401
    assert run not in answer.text

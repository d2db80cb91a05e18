"""API-2: run an agent by REST, wait for it, look at it, stop it."""

import asyncio

import httpx
import pytest
from sqlalchemy import update

from backend.domain.flows.models import RunRow
from tests.fixtures.door import Installation

pytestmark = pytest.mark.integration

RUNS = "/v1/agents/concierge/runs"


async def test_a_run_waits_for_its_end_and_answers_with_all_of_it(installation: Installation) -> None:
    async with installation.worker(), installation.client(installation.ada_key) as client:
        answer = await client.post(RUNS, json={"input": "Hello there"})
    assert answer.status_code == 200
    run = answer.json()
    assert run["status"] == "SUCCEEDED"
    assert run["output"]
    assert set(run["usage"]) == {"input_tokens", "output_tokens", "cost"}
    assert {"path", "node", "status", "duration_ms"} == set(run["steps"][0])
    assert run["error"] is None


async def test_a_run_that_is_not_waited_for_tells_where_it_is(installation: Installation) -> None:
    async with installation.client(installation.ada_key) as client:
        answer = await client.post(RUNS, json={"input": "Hello", "wait": False})
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/v1/runs/{answer.json()['id']}"
        found = await client.get(answer.headers["location"])
    assert (found.status_code, found.json()["status"]) == (200, "QUEUED")


async def test_agents_are_listed_and_run_by_id_or_slug(installation: Installation) -> None:
    async with installation.client(installation.ada_key) as client:
        (agent,) = (await client.get("/v1/agents")).json()["agents"]
        assert agent["slug"] == "concierge"
        answer = await client.post(f"/v1/agents/{agent['id']}/runs", json={"input": "x", "wait": False})
    assert answer.status_code == 202


async def test_an_idempotency_key_gives_the_same_run(installation: Installation) -> None:
    body = {"input": "Hello", "thread": "t1", "wait": False}
    async with installation.client(installation.ada_key) as client:
        headers = {"idempotency-key": "order-1"}
        answers = await asyncio.gather(*(client.post(RUNS, json=body, headers=headers) for _ in range(5)))
        other = await client.post(RUNS, json=body | {"input": "Other"}, headers=headers)
        fresh = await client.post(RUNS, json=body, headers={"idempotency-key": "order-2"})
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert fresh.json()["id"] != answers[0].json()["id"]


async def test_a_queued_run_is_stopped_at_once(installation: Installation) -> None:
    async with installation.client(installation.ada_key) as client:
        run = (await client.post(RUNS, json={"input": "Hello", "wait": False})).json()["id"]
        stopped = await client.post(f"/v1/runs/{run}/cancel")
        again = await client.post(f"/v1/runs/{run}/cancel")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "CANCELLED")
    assert again.json()["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "$"),
        ({"input": 3}, "$.input"),
        ({"input": "x", "wait": "no"}, "$.wait"),
        ({"input": "x", "stream": True}, "$"),
        ({"input": "  "}, "input"),
        ({"input": "x", "thread": "t" * 81}, "thread"),
        ([], "$"),
    ],
)
async def test_a_wrong_body_is_refused_with_the_field(
    sqlite_installation: Installation, body: object, field: str
) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post(RUNS, json=body)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_an_unknown_agent_or_run_is_a_problem_with_a_next_step(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        agent = await client.post("/v1/agents/nobody/runs", json={"input": "x"})
        run = await client.get("/v1/runs/run_none")
    assert (agent.status_code, agent.json()["code"]) == (404, "agent_not_found")
    _is_problem(run, 404, "run_not_found")


async def test_a_key_needs_its_scopes(sqlite_installation: Installation) -> None:
    """IDN-2."""
    identity = sqlite_installation.backend.identity
    for scopes in (["chat:use"], ["agents:run"], ["agents:read"]):
        made = await identity.create_api_key(sqlite_installation.ada, name="k", scopes=scopes, expires_days=1)
        async with sqlite_installation.client(made.secret) as client:
            _is_problem(await client.post(RUNS, json={"input": "x"}), 403, "forbidden")


async def test_a_run_that_failed_says_why(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        run = (await client.post(RUNS, json={"input": "x", "wait": False})).json()["id"]
        async with sqlite_installation.backend.database.system_write() as session:
            await session.execute(
                update(RunRow).values(
                    status="FAILED", error_code="model_timed_out", error_message="No answer.", error_hint="Try again."
                )
            )
        found = (await client.get(f"/v1/runs/{run}")).json()
    assert found["error"] == {"code": "model_timed_out", "message": "No answer.", "hint": "Try again."}


def _is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code", "hint", "trace_id"} <= set(problem)
    assert (problem["status"], problem["code"]) == (status, code)
    assert len(problem["trace_id"]) == 32

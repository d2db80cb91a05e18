"""FLW-3, AGT-7, AGT-8, CHT-1: runs from their start to their end, over real rooms and a model that does as told."""

import asyncio
import json

import pytest

from backend.domain.agents.errors import AgentNotFound
from backend.domain.flows.errors import RunNotFound
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Forbidden, KeyReused
from tests.fixtures.engine import Engine
from tests.fixtures.runs import finished
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


async def test_a_run_without_tools_answers_and_stores_its_steps_in_order(engine: Engine) -> None:
    run = await engine.run("Good morning")
    assert (run.status, run.output) == ("SUCCEEDED", "You said: Good morning")
    steps = (await engine.backend.flows.with_steps(engine.ada, run.id))[1]
    assert [(step.path, step.status) for step in steps] == [
        ("input#0", "DONE"),
        ("prompt#0", "DONE"),
        ("llm#0", "DONE"),
        ("llm#0/turn[0]", "DONE"),
        ("output#0", "DONE"),
    ]
    assert run.usage.output_tokens > 0
    assert run.started_ms <= run.finished_ms


async def test_each_turn_is_stored_before_its_calls_which_run_side_by_side(engine: Engine) -> None:
    run = await engine.run('#tool calculator {"expression": "40+2"} #tool text_stats {"text": "a b c"}')
    assert run.status == "SUCCEEDED"
    assert "42" in run.output
    assert run.usage.tool_calls == 2
    steps = {step.path: step for step in (await engine.backend.flows.with_steps(engine.ada, run.id))[1]}
    assert steps["llm#0/turn[0]/call[0]"].output["result"]["result"] == "42"
    assert steps["llm#0/turn[0]/call[1]"].output["result"]["words"] == 3
    assert steps["llm#0/turn[1]"].status == "DONE"


async def test_what_a_tool_refuses_goes_back_to_the_model_and_not_to_the_person(sqlite_engine: Engine) -> None:
    run = await sqlite_engine.run('#tool calculator {"expression": "1/0"}')
    assert run.status == "SUCCEEDED"
    assert "zero" in run.output


async def test_a_later_run_of_a_thread_reads_what_was_said_before(sqlite_engine: Engine) -> None:
    await sqlite_engine.run("My name is Ada", thread="thr_1")
    await sqlite_engine.run("And mine is Bob", thread="thr_2")
    await sqlite_engine.run("Who am I?", thread="thr_1")
    said = [message["content"] for message in sqlite_engine.stub.requests()[-1]["body"]["messages"]]
    assert said[1:] == ["My name is Ada", "You said: My name is Ada", "Who am I?"]


async def test_runs_of_one_thread_go_one_after_the_other_and_those_of_others_beside_them(engine: Engine) -> None:
    backend, ada = engine.backend, engine.ada
    slow = await backend.agents.run(ada, "concierge", input="first #tokens 20 #slow 50", thread="thr_1")
    queued = await backend.agents.run(ada, "concierge", input="second", thread="thr_1")
    other = await backend.agents.run(ada, "concierge", input="other", thread="thr_2")
    assert (await finished(backend, ada, other.id, 10)).status == "SUCCEEDED"
    assert (await backend.flows.get(ada, queued.id)).status == "QUEUED"
    first, second = [await finished(backend, ada, run.id, 20) for run in (slow, queued)]
    assert first.finished_ms <= second.started_ms


async def test_a_failure_that_may_pass_is_tried_again_by_a_timer(engine: Engine) -> None:
    run = await engine.run("Be patient #fail 2 503")
    assert run.status == "SUCCEEDED"
    turn = next(s for s in (await engine.backend.flows.with_steps(engine.ada, run.id))[1] if s.path == "llm#0/turn[0]")
    assert turn.attempt > 1


@pytest.mark.parametrize(
    ("directive", "code"),
    [
        ("#401", "model_key_rejected"),
        ("#404", "model_unknown"),
        ("#context", "context_too_long"),
        ("#filter", "model_refused"),
    ],
)
async def test_a_failure_that_stays_ends_the_run_with_its_cause_and_the_next_step(
    sqlite_engine: Engine, directive: str, code: str
) -> None:
    run = await sqlite_engine.run(f"Hello {directive}")
    assert (run.status, run.error_code) == ("FAILED", code)
    assert run.error_message
    assert run.error_hint
    assert "test-key" not in run.error_message


async def test_a_provider_that_breaks_off_every_time_leaves_what_came(sqlite_engine: Engine) -> None:
    run = await sqlite_engine.run("Tell me #tokens 12 #break", deadline_s=60)
    assert (run.status, run.error_code) == ("FAILED", "model_broke_off")
    assert run.output


async def test_a_budget_of_turns_stops_an_endless_loop_and_keeps_the_partial_result(engine: Engine) -> None:
    await engine.limit(turns=3)
    run = await engine.run('Count for ever #loop calculator {"expression": "1+1"}')
    assert (run.status, run.error_code) == ("FAILED", "budget_exhausted")
    assert "3 model turns" in run.error_message
    assert len(engine.stub.requests()) == 3


async def test_a_budget_of_tool_calls_is_reserved_before_the_call(sqlite_engine: Engine) -> None:
    await sqlite_engine.limit(tool_calls=1)
    run = await sqlite_engine.run('#tool calculator {"expression": "1"} #tool calculator {"expression": "2"}')
    assert (run.status, run.error_code) == ("FAILED", "budget_exhausted")
    assert run.usage.tool_calls <= 1


async def test_a_budget_of_tokens_refuses_a_turn_that_would_not_fit(sqlite_engine: Engine) -> None:
    await sqlite_engine.limit(tokens=50)
    run = await sqlite_engine.run("word " * 200)
    assert (run.status, run.error_code) == ("FAILED", "budget_exhausted")
    assert sqlite_engine.stub.requests() == []


async def test_a_deadline_ends_a_run_that_takes_too_long(sqlite_engine: Engine) -> None:
    await sqlite_engine.limit(wall_s=2)
    run = await sqlite_engine.run("Slowly #tokens 200 #slow 100", deadline_s=30)
    assert (run.status, run.error_code) == ("FAILED", "deadline_exceeded")
    await sqlite_engine.stub.outcome("gone", 20)


async def test_an_idempotency_key_starts_one_run_and_is_refused_with_another_input(engine: Engine) -> None:
    """API-2."""
    agents, ada = engine.backend.agents, engine.ada
    runs = await asyncio.gather(*(agents.run(ada, "concierge", input="once", idempotency_key="k1") for _ in range(5)))
    assert len({run.id for run in runs}) == 1
    with pytest.raises(KeyReused):
        await agents.run(ada, "concierge", input="twice", idempotency_key="k1")
    other = await agents.run(engine.other(), "concierge", input="twice", idempotency_key="k1")
    assert other.id != runs[0].id


async def test_a_chat_message_comes_back_as_one_reply_with_its_tool_line(engine: Engine) -> None:
    backend, ada = engine.backend, engine.ada
    sent = await backend.chat.send(ada, thread=None, agent="concierge", text='#tool calculator {"expression": "6*7"}')
    again = await backend.chat.send(ada, thread=sent.thread, agent="concierge", text="Thanks", client_id="c1")
    twice = await backend.chat.send(ada, thread=sent.thread, agent="concierge", text="Thanks", client_id="c1")
    assert twice == again

    async def replies() -> int:
        messages = await backend.chat.messages(ada, sent.thread)
        return sum(message.role == "assistant" for message in messages)

    async def all_came() -> bool:
        return await replies() == 2

    await until(all_came, 20)
    view = await backend.conversations.conversation(ada, sent.thread)
    answer = next(turn for turn in view.turns if turn.message.role == "assistant")
    assert [(line.name, line.status) for line in answer.tools] == [("dev_autoweave_calculator", "ok")]
    assert json.loads(answer.tools[0].result)["result"] == "42"
    assert answer.trace
    assert (view.active_run, view.pending) == ("", 0)


async def test_a_message_to_an_agent_that_is_stopped_is_answered_with_the_reason(sqlite_engine: Engine) -> None:
    backend, ada = sqlite_engine.backend, sqlite_engine.ada
    await sqlite_engine.set_agent(status="STOPPED")
    sent = await backend.chat.send(ada, thread=None, agent="concierge", text="Hello?")

    async def refused() -> bool:
        return len(await backend.chat.messages(ada, sent.thread)) == 2

    await until(refused, 10)
    reply = (await backend.chat.messages(ada, sent.thread))[1]
    assert (reply.status, reply.error_code) == ("failed", "agent_not_running")


async def test_a_caller_without_the_permission_starts_sees_and_stops_nothing(sqlite_engine: Engine) -> None:
    """IDN-2."""
    backend = sqlite_engine.backend
    run = await sqlite_engine.run("Hello")
    nobody = Caller(tenant=sqlite_engine.ada.tenant, subject="usr_nobody")
    for refused in (
        backend.agents.run(nobody, "concierge", input="x"),
        backend.agents.list(nobody),
        backend.flows.get(nobody, run.id),
        backend.flows.cancel(nobody, run.id),
        backend.chat.send(nobody, thread=None, agent="concierge", text="x"),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_another_tenant_meets_the_same_error_as_for_what_does_not_exist(engine: Engine) -> None:
    """IDN-3."""
    backend = engine.backend
    run = await engine.run("Hello")
    garden = await backend.identity.create_tenant("Garden", "bob@example.org", "correct horse battery staple")
    bob = Caller(tenant=garden, subject="usr_bob", permissions=engine.ada.permissions)
    for asked in (run.id, "run_nothing"):
        with pytest.raises(RunNotFound) as error:
            await backend.flows.get(bob, asked)
        assert error.value.message == f"There is no run {asked!r}."
        with pytest.raises(RunNotFound):
            await backend.flows.cancel(bob, asked)
    mine = await backend.agents.get(engine.ada, "concierge")
    with pytest.raises(AgentNotFound):
        await backend.agents.get(bob, mine.id)

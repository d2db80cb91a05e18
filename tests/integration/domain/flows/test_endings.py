"""AGT-7, API-2: whoever waits for a run hears its end, also when no notice comes."""

import asyncio

from backend.domain.flows.views import RunView
from backend.foundation.live.rules import ended_channel
from tests.fixtures.engine import Engine
from tests.fixtures.runs import finished


async def test_the_end_is_heard_by_all_who_wait(engine: Engine) -> None:
    run = await _start(engine, "hello")
    ended = await asyncio.gather(*(finished(engine.backend, engine.ada, run.id, 20) for _ in range(3)))
    assert {view.status for view in ended} == {"SUCCEEDED"}


async def test_odd_notices_end_no_waiting(engine: Engine) -> None:
    live = engine.backend.live
    run = await _start(engine, "hello #tokens 10 #slow 50")
    waiting = asyncio.create_task(finished(engine.backend, engine.ada, run.id, 20))
    await engine.model_asked(1)
    for payload in (b"run_of_somebody_else", b"", b"\xff\xfe"):
        await live.notify(ended_channel(), payload)
    assert (await waiting).status == "SUCCEEDED"


async def test_a_waiter_whose_time_is_over_gets_the_run_as_it_is(engine: Engine) -> None:
    run = await _start(engine, "hello #tokens 20 #slow 80")
    await engine.model_asked(1)
    assert (await finished(engine.backend, engine.ada, run.id, 0.05)).status == "RUNNING"


async def _start(engine: Engine, text: str) -> RunView:
    return await engine.backend.agents.run(engine.ada, "concierge", input=text)

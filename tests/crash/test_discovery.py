"""BUS-7: a worker dies without a word, and agents are shown dead within 15 seconds, alive when another takes over."""

import signal
from contextlib import aclosing

import pytest

from backend.domain.directory.views import DirectoryView
from tests.crash.stand import Stand, person
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]


@pytest.mark.on_servers
async def test_agents_die_with_their_last_worker_and_live_with_the_next(stand: Stand) -> None:
    async with stand.open() as backend:
        caller = person(await tenant_of(backend))
        first = await stand.worker()

        async def shown() -> DirectoryView:
            return await backend.directory.agents(caller)

        async def every(status: str) -> bool:
            agents = (await shown()).agents
            return bool(agents) and {agent.status for agent in agents} == {status}

        await until(lambda: every("alive"), 30)
        async with aclosing(backend.directory.follow(caller)) as views:
            assert [agent.status for agent in (await anext(views)).agents] == ["alive"]
            first.kill()
            [dead] = (await anext(views)).agents
            assert dead.status == "dead"
            assert dead.since_ms > 0
            second = await stand.worker(replaces=first.name)
            [alive] = (await anext(views)).agents
            assert (alive.status, alive.sequence) == ("alive", dead.sequence)
            # One that ends well says so itself: nobody waits for its time to be over.
            second.process.send_signal(signal.SIGTERM)
            await second.died()
            assert await every("dead")

"""CHT-1, BUS-9: an agent begins to work when an event asks it to, and a chat hears of it."""

import asyncio

import pytest
from sqlalchemy import select
from sqlmodel import col

from backend.domain.flows.models import RunRow
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.ids import RunId, ThreadId
from backend.foundation.live.rules import thread_channel
from backend.reads.views import ConversationView
from tests.fixtures.engine import Engine
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


async def _shown(engine: Engine, thread: ThreadId) -> ConversationView:
    return await engine.backend.conversations.conversation(engine.ada, thread)


async def test_a_chat_is_told_once_the_run_that_answers_it_can_be_followed(sqlite_engine: Engine) -> None:
    """CHT-1 CHT-3: without that notice the page would not open the stream, and show the answer all at once."""
    chat, ada = sqlite_engine.backend.chat, sqlite_engine.ada
    thread = (await chat.send(ada, thread=None, agent="concierge", text="Hello")).thread

    async def answered() -> bool:
        return [turn.message.role for turn in (await _shown(sqlite_engine, thread)).turns] == ["user", "assistant"]

    await until(answered, 20)
    async with sqlite_engine.backend.live.listen(thread_channel(ada.tenant, thread)) as notices:
        await chat.send(ada, thread=thread, agent="concierge", text="#stall-first")
        async with asyncio.timeout(20):
            async for _ in notices:
                if run := (await _shown(sqlite_engine, thread)).active_run:
                    break
    await sqlite_engine.backend.flows.cancel(ada, RunId(run))


async def test_an_event_of_a_sender_with_a_long_name_starts_its_run(engine: Engine) -> None:
    """BUS-9: PostgreSQL refuses what is longer than its column."""
    data = StartRun(agent="concierge", input="Hello")
    event = Event(type="agents.start_run.v1", tenant=engine.ada.tenant, key="k", source="/" + "x" * 250, data=data)
    async with engine.backend.database.write(engine.ada.tenant) as session:
        await engine.backend.bus.publish(session, event)
    await until(lambda: _succeeded(engine), 60)


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        (StartRun(agent="nobody", input="Hello"), "AgentNotFound: There is no agent 'nobody'."),
        (StartRun(agent="con\x00cierge", input="Hello"), "AgentNotFound"),
        (StartRun(agent="concierge", input=" "), "InputInvalid: The input is empty."),
    ],
)
async def test_a_command_that_cannot_succeed_is_a_dead_letter_after_one_try(
    engine: Engine, asked: StartRun, cause: str
) -> None:
    """BUS-4, BUS-9: it waits for a person, not for the end of its tries."""
    backend, ada = engine.backend, engine.ada
    event = Event(type="agents.start_run.v1", tenant=ada.tenant, key="k", source="/test", data=asked)
    async with backend.database.write(ada.tenant) as session:
        await backend.bus.publish(session, event)

    async def given_up() -> bool:
        return bool(await backend.dead_letters.letters(ada))

    await until(given_up, 60)
    (letter,) = await backend.dead_letters.letters(ada)
    assert (letter.consumer, letter.attempts) == ("agents", 1)
    assert letter.cause.startswith(cause)


async def _succeeded(engine: Engine) -> bool:
    async with engine.backend.database.read(engine.ada.tenant) as session:
        runs = (await session.execute(select(RunRow).where(col(RunRow.source) == "event"))).scalars().all()
    return [run.status for run in runs] == ["SUCCEEDED"]

"""A chat tab over real rooms: sending, watching, stopping, another tenant's chat."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import insert

from backend.domain.chat.models import MessageRow
from state.chat.agents import AgentsState
from state.chat.conversation import ChatState
from state.chat.history import HistoryState
from state.chat.sending import SendingState
from state.notices import NoticeState
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab
from tests.integration.state.test_session import target

pytestmark = pytest.mark.integration


async def run_through(steps: Any) -> None:
    """Run a handler that yields in between."""
    async for _ in steps:
        pass


@asynccontextmanager
async def watching(state: Any) -> AsyncIterator[None]:
    """A tab's background handler, for as long as the tab stays on the page."""
    task = asyncio.create_task(type(state).watch.fn(state))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass
class Chatting:
    """The states of a chat tab."""

    tab: Tab
    chat: ChatState
    sending: SendingState
    agents: AgentsState

    async def load(self) -> None:
        """What the page does when it is opened."""
        await self.sending.arrive()
        await run_through(self.agents.load())
        await run_through(self.chat.load())

    @property
    def said(self) -> list[str]:
        """The texts of the conversation."""
        return [turn.message.text for turn in self.chat.turns]


async def opened(cookie: str, address: str = "/chat") -> Chatting:
    """Open a chat page."""
    tab = Tab(cookie, address)
    page = Chatting(tab, await tab.state(ChatState), await tab.state(SendingState), await tab.state(AgentsState))
    await page.load()
    return page


async def begin_run(installation: Installation, thread: str) -> None:
    """What the agents do when they hear of the thread's last message."""
    backend, ada = installation.backend, installation.ada
    last = (await backend.chat.messages(ada, thread))[-1]
    async with backend.database.write(ada.tenant) as session:
        await backend.agents.start_for_event(
            session, ada.tenant, "concierge", input=last.text, thread=thread, trigger=last.trigger, source="/chat",
            by=ada.subject,
        )  # fmt: skip


async def test_the_first_message_makes_a_chat_and_changes_the_address(sqlite_installation: Installation) -> None:
    """CHT-1."""
    page = await opened(sqlite_installation.ada_cookie)
    assert (page.chat.phase, page.chat.fresh, page.agents.chosen.name) == ("ready", True, "Concierge")
    assert page.agents.placeholder == "Message Concierge"
    assert len(page.agents.chosen.prompts) == 3
    assert "AUTOWEAVE_MODEL" in page.agents.hint
    went = await page.sending.send("How many words are here?", "one", "")
    assert target(went) == f"/chat/{page.chat.shown}"
    assert page.said == ["How many words are here?"]
    assert page.sending.taken == ["one"]
    assert page.chat.running
    assert page.chat.waiting


async def test_a_second_message_follows_the_first_before_the_page_has_its_address(
    sqlite_installation: Installation,
) -> None:
    """CHT-1."""
    page = await opened(sqlite_installation.ada_cookie)
    await page.sending.send("First", "one", "")
    assert await page.sending.send("Second", "two", "") is None
    assert len(await sqlite_installation.backend.chat.threads(sqlite_installation.ada)) == 1
    assert page.said == ["First"]
    assert [turn.message.text for turn in page.chat.queued] == ["Second"]
    await page.sending.arrive()
    await page.sending.send("Elsewhere", "three", "")
    assert len(await sqlite_installation.backend.chat.threads(sqlite_installation.ada)) == 2


async def test_a_message_goes_to_the_chat_of_its_page_whatever_the_server_remembers(
    sqlite_installation: Installation,
) -> None:
    """CHT-3."""
    sent = await sqlite_installation.backend.chat.send(
        sqlite_installation.ada, thread=None, agent="concierge", text="One"
    )
    forgot = await Tab(sqlite_installation.ada_cookie, f"/chat/{sent.thread}").state(SendingState)
    assert await forgot.send("Two", "two", sent.thread) is None
    said = await sqlite_installation.backend.chat.messages(sqlite_installation.ada, sent.thread)
    assert [message.text for message in said] == ["One", "Two"]


async def test_a_message_sent_before_the_agents_are_on_the_page_has_one(sqlite_installation: Installation) -> None:
    """CHT-1."""
    state = await Tab(sqlite_installation.ada_cookie, "/chat").state(SendingState)
    await state.send("Hello", "one", "")
    threads = await sqlite_installation.backend.chat.threads(sqlite_installation.ada)
    assert threads[0].agent == "concierge"


async def test_an_agent_is_chosen_by_the_address(sqlite_installation: Installation) -> None:
    """CHT-1."""
    assert (await opened(sqlite_installation.ada_cookie, "/chat?agent=nobody")).agents.agent == "concierge"


async def test_a_workspace_without_an_agent_shows_it_as_soon_as_there_is_one(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CHT-1."""
    monkeypatch.setattr("state.chat.agents.RETRY_S", 0)
    tab = Tab(sqlite_installation.ada_cookie, "/chat")
    state = await tab.state(AgentsState)
    assert state.placeholder == "Message"
    await AgentsState.await_agents.fn(state)
    assert state.chosen.name == "Concierge"


async def test_sending_twice_with_one_id_sends_once(sqlite_installation: Installation) -> None:
    """CHT-3."""
    page = await opened(sqlite_installation.ada_cookie)
    await page.sending.send("Hello", "same", "")
    await page.sending.send("Hello", "same", "")
    assert page.said == ["Hello"]


async def test_a_refused_message_is_named_and_not_lost(sqlite_installation: Installation) -> None:
    """CHT-1."""
    page = await opened(sqlite_installation.ada_cookie)
    told = await page.sending.send("x" * 1_000_000, "long", "")
    assert page.sending.refused == "long"
    assert told.handler.fn.__qualname__ == NoticeState.tell.fn.__qualname__
    assert page.said == []


async def test_a_chat_of_another_tenant_is_just_not_there(sqlite_installation: Installation) -> None:
    """IDN-3."""
    sent = await sqlite_installation.backend.chat.send(
        sqlite_installation.ada, thread=None, agent="concierge", text="Mine"
    )
    page = await opened(sqlite_installation.bob_cookie, f"/chat/{sent.thread}")
    assert (page.chat.phase, page.said, page.chat.title) == ("missing", [], "")
    await page.sending.send("Let me in", "one", sent.thread)
    assert page.sending.refused == "one"
    assert page.said == []


async def test_a_message_shows_in_every_tab_of_the_chat(sqlite_installation: Installation) -> None:
    """CHT-3."""
    first = await opened(sqlite_installation.ada_cookie)
    await first.sending.send("One", "one", "")
    second = await opened(sqlite_installation.ada_cookie, f"/chat/{first.chat.shown}")
    async with watching(second.chat):
        await first.sending.send("Two", "two", first.chat.shown)
        await until(lambda: [turn.message.text for turn in second.chat.queued] == ["Two"])


async def test_a_chat_that_is_loaded_again_does_not_send_its_agent_again(sqlite_installation: Installation) -> None:
    """CHT-3: a notice costs the page what has changed."""
    page = await opened(sqlite_installation.ada_cookie)
    await page.sending.send("One", "one", "")
    page.agents._clean()
    await page.chat.settled()
    assert page.agents.agent == "concierge"
    assert page.agents.dirty_vars == set()


async def test_stop_ends_the_run_at_work(sqlite_installation: Installation) -> None:
    """CHT-1."""
    page = await opened(sqlite_installation.ada_cookie)
    await page.sending.send("Count slowly", "one", "")
    await begin_run(sqlite_installation, page.chat.shown)
    await page.chat.settled()
    assert page.chat.active_run
    await page.chat.stop()
    await page.chat.settled()
    assert not page.chat.running
    assert not page.chat.stopping
    assert page.chat.turns[-1].message.status == "cancelled"


async def test_stop_before_a_run_has_begun_ends_it_when_it_does(sqlite_installation: Installation) -> None:
    """CHT-1."""
    page = await opened(sqlite_installation.ada_cookie)
    await page.sending.send("Count slowly", "one", "")
    await page.chat.stop()
    assert page.chat.stopping
    await begin_run(sqlite_installation, page.chat.shown)
    await page.chat.settled()
    await page.chat.settled()
    assert page.chat.turns[-1].message.status == "cancelled"
    assert not page.chat.stopping


async def fill(installation: Installation, thread: str, count: int) -> None:
    """Put answers ``1`` to ``count`` behind what a chat holds."""
    rows = [
        {"tenant": installation.ada.tenant, "id": f"msg_{n:05}", "thread": thread, "role": "assistant", "text": str(n),
         "client_id": f"fill {n}", "trigger": f"evt_{n}", "run": "", "status": "done", "error_code": "",
         "error_message": "", "error_hint": "", "created_ms": 4_000_000_000_000 + n}
        for n in range(1, count + 1)
    ]  # fmt: skip
    async with installation.backend.database.write(installation.ada.tenant) as session:
        await session.execute(insert(MessageRow), rows)


async def test_a_long_chat_is_a_window_that_moves_both_ways(sqlite_installation: Installation) -> None:
    """CHT-5."""
    page = await opened(sqlite_installation.ada_cookie)
    await page.sending.send("0", "0", "")
    thread, chat = page.chat.shown, page.chat
    await fill(sqlite_installation, thread, 400)
    await page.chat.settled()

    def window() -> tuple[int, int, bool, bool]:
        numbers = [int(text) for text in page.said]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        return numbers[0], numbers[-1], chat.has_older, chat.has_newer

    assert window() == (351, 400, True, False)
    await chat.older()
    await chat.older()
    await chat.older()
    assert window() == (201, 400, True, False)
    await chat.settled()
    assert window() == (201, 400, True, False)
    await chat.older()
    assert window() == (151, 350, True, True)
    await chat.settled()
    assert window() == (151, 350, True, True)
    for _ in range(5):
        await chat.older()
    assert window() == (0, 199, False, True)
    await chat.newer()
    assert window() == (50, 249, True, True)
    for _ in range(5):
        await chat.newer()
    assert window() == (201, 400, True, False)
    await chat.older()
    await chat.to_end()
    assert window() == (351, 400, True, False)


async def test_what_comes_in_a_long_chat_joins_its_end_or_takes_its_place(sqlite_installation: Installation) -> None:
    """CHT-5."""
    page = await opened(sqlite_installation.ada_cookie)
    await page.sending.send("0", "0", "")
    await fill(sqlite_installation, page.chat.shown, 60)
    await page.chat.settled()
    await page.chat.older()
    assert page.said[0] == "0"
    assert not page.chat.has_older
    await page.chat.settled()
    assert len(page.said) == 61
    assert not page.chat.has_older
    here, there = page.chat.shown, await opened(sqlite_installation.ada_cookie, f"/chat/{page.chat.shown}")
    assert there.said == page.said[-50:]
    turns = list(page.chat.turns)
    page.chat.turns = turns[:5]
    await page.chat.settled()
    assert page.said == there.said
    assert page.chat.has_older
    assert page.chat.shown == here


async def test_history_changes_in_every_tab(sqlite_installation: Installation) -> None:
    """CHT-1."""
    tabs = [Tab(sqlite_installation.ada_cookie, "/chat") for _ in range(2)]
    here, there = [await tab.state(HistoryState) for tab in tabs]
    await there.load()
    sent = await sqlite_installation.backend.chat.send(
        sqlite_installation.ada, thread=None, agent="concierge", text="Count to three"
    )
    async with watching(there):
        await until(lambda: [thread.title for thread in there.threads] == ["Count to three"])
        await here.rename(sent.thread, "Counting")
        await until(lambda: [thread.title for thread in there.threads] == ["Counting"])
        await here.delete(sent.thread)
        assert here.deleted_words == "Deleted “Counting”"
        await until(lambda: there.threads == [])
        assert target(await here.undo()) == f"/chat/{sent.thread}"
        await until(lambda: len(there.threads) == 1)


async def test_deleting_the_open_chat_leaves_it(sqlite_installation: Installation) -> None:
    """CHT-1."""
    sent = await sqlite_installation.backend.chat.send(
        sqlite_installation.ada, thread=None, agent="concierge", text="Bye"
    )
    state = await Tab(sqlite_installation.ada_cookie, f"/chat/{sent.thread}").state(HistoryState)
    await state.load()
    assert target(await state.delete(sent.thread)) == "/chat"
    state.forget()
    assert state.deleted_words == ""

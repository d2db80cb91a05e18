"""Dead letters in admin tabs over real rooms."""

import asyncio

import pytest

from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import NotFound, Unauthenticated
from state.admin.chosen import ChosenState
from state.admin.letter import LetterState
from state.admin.letters import LettersState
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab
from tests.integration.state.test_session import target

pytestmark = pytest.mark.integration

LIST = "/admin/dead-letters"


async def given_up(house: Installation, owner: Caller, *numbers: int, by: str = "flows") -> list[int]:
    """Give events up; return the numbers of their letters."""
    async with house.backend.database.system_write() as session:
        for number in numbers:
            data = StartRun(agent="concierge", input=str(number))
            event = Event(type="agents.start_run.v1", tenant=owner.tenant, key="k", source="/test", data=data)
            await house.backend.bus.give_up(session, by, event, ValueError(f"event {number} fails"), 5)
    letters = await house.backend.dead_letters.letters(owner, consumer=by)
    return [letter.id for letter in letters[: len(numbers)]][::-1]


async def opened(house: Installation, address: str) -> LettersState:
    state = await Tab(house.ada_cookie, address).state(LettersState)
    await state.load()
    return state


async def one(house: Installation, letter: int | str) -> LetterState:
    state = await Tab(house.ada_cookie, f"{LIST}/{letter}").state(LetterState)
    await state.load()
    return state


async def test_letters_that_wait_are_listed_and_filtered_by_the_address(sqlite_installation: Installation) -> None:
    """BUS-4."""
    first, second = await given_up(sqlite_installation, sqlite_installation.ada, 1, 2)
    [other] = await given_up(sqlite_installation, sqlite_installation.ada, 3, by="chat")
    await given_up(sqlite_installation, sqlite_installation.bob, 4)
    await sqlite_installation.backend.dead_letters.discard(sqlite_installation.ada, [first], reason="a test")
    for query, letters in {
        "": [other, second],
        "?status=ALL": [other, second, first],
        "?status=DISCARDED": [first],
        "?status=REPLAYED": [],
        "?status=made-up": [other, second],
        "?consumer=chat": [other],
        "?consumer=nobody": [],
        "?type=agents.start_run.v1&consumer=flows": [second],
    }.items():
        state = await opened(sqlite_installation, LIST + query)
        assert [line["id"] for line in state.lines] == letters, query
    state = await opened(sqlite_installation, LIST)
    assert (state.consumers, state.types, state.waiting) == (["chat", "flows"], ["agents.start_run.v1"], 2)
    assert target(state.choose("consumer", "chat")) == f"{LIST}?consumer=chat"


async def test_a_letter_that_comes_is_listed_by_itself(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-4."""
    monkeypatch.setattr("state.admin.letters.EVERY_S", 0.02)
    state = await opened(sqlite_installation, LIST)
    assert (state.lines, state.filtered) == ([], False)
    watching = asyncio.create_task(LettersState.watch.fn(state))
    await given_up(sqlite_installation, sqlite_installation.ada, 1)
    await until(lambda: [line["cause"] for line in state.lines] == ["ValueError: event 1 fails"])
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_all_that_fit_are_replayed_with_progress(sqlite_installation: Installation) -> None:
    """BUS-4."""
    await given_up(sqlite_installation, sqlite_installation.ada, *range(30))
    await given_up(sqlite_installation, sqlite_installation.ada, 99, by="chat")
    state = await opened(sqlite_installation, f"{LIST}?consumer=flows")
    state.ask_replay()
    await LettersState.replay.fn(state, {"rate": "500"})
    assert (state.replaying, state.progress) == ("done", {"total": 30, "done": 30, "failed": 0})
    assert (state.lines, state.waiting) == ([], 0)
    state.close()
    assert (await opened(sqlite_installation, LIST)).waiting == 1


async def test_a_replay_whose_dialog_was_closed_stops_and_the_rest_waits(sqlite_installation: Installation) -> None:
    """BUS-4."""
    await given_up(sqlite_installation, sqlite_installation.ada, *range(30))
    state = await opened(sqlite_installation, LIST)
    state.ask_replay()
    replaying = asyncio.create_task(LettersState.replay.fn(state, {"rate": "5"}))
    await until(lambda: bool(state.progress.get("done")))
    state.close()
    await replaying
    left = (await opened(sqlite_installation, LIST)).waiting
    assert 0 < left < 30


async def test_letters_are_chosen_and_replayed_or_discarded_together(sqlite_installation: Installation) -> None:
    """BUS-4."""
    house = sqlite_installation
    one_, two, three = await given_up(house, house.ada, 1, 2, 3)
    tab = Tab(house.ada_cookie, f"{LIST}?status=ALL")
    listed, chosen = await tab.state(LettersState), await tab.state(ChosenState)
    await listed.load()
    chosen.tick(one_, True)
    chosen.tick(two, True)
    chosen.tick(two, False)
    assert list(chosen.ids) == [one_]
    await chosen.replay()
    assert (list(chosen.ids), chosen.told) == ([], "1 sent again.")
    await listed.load()
    assert listed.choosable == 2
    await chosen.tick_all(True)
    assert sorted(chosen.ids) == [two, three]
    chosen.ask_discard()
    await chosen.discard({"reason": ""})
    assert (chosen.discarding, bool(chosen.error)) == (True, True)
    await house.backend.dead_letters.discard(house.ada, [two], reason="somebody else was quicker")
    await chosen.discard({"reason": "a test"})
    assert "already" in chosen.error
    chosen.tick(two, False)
    await chosen.discard({"reason": "a test"})
    assert (chosen.discarding, chosen.told) == (False, "1 discarded.")
    chosen.tick(three, True)
    await chosen.replay()
    assert chosen.told == "None was sent. 1 cannot be sent: open each to see why."


async def test_letters_of_another_tenant_cannot_be_chosen(sqlite_installation: Installation) -> None:
    """IDN-2."""
    house = sqlite_installation
    [bobs] = await given_up(house, house.bob, 1)
    chosen = await Tab(house.ada_cookie, LIST).state(ChosenState)
    chosen.tick(bobs, True)
    with pytest.raises(NotFound):
        await chosen.discard({"reason": "not mine"})
    await chosen.replay()
    assert chosen.told.startswith("None was sent.")
    assert [letter.status for letter in await house.backend.dead_letters.letters(house.bob)] == ["WAITING"]


async def test_a_letter_is_checked_mended_and_sent_again(sqlite_installation: Installation) -> None:
    """BUS-4: the check sends nothing, and says what does not fit."""
    house = sqlite_installation
    before = (await house.backend.bus.outbox()).waiting
    [letter] = await given_up(house, house.ada, 1)
    state = await one(house, letter)
    assert (state.phase, state.view["cause"]) == ("ready", "ValueError: event 1 fails")
    assert '"agent": "concierge"' in state.payload
    await state.check()
    assert (state.plan["problem"], state.plan["topic"], state.plan["consumers"]) == ("", "aw.agents", "agents")
    state.edit('{"agent": 7}')
    assert state.plan == {}
    await state.check()
    assert "agent" in state.plan["problem"]
    await state.replay()
    assert state.plan["problem"]
    assert state.view["waits"] is True
    state.edit('{"agent": "concierge", "input": "mended"}')
    await state.replay()
    assert (state.view["waits"], state.view["status"], state.view["replays"]) == (False, "Replayed", 1)
    # With the event that told of the letter.
    assert (await house.backend.bus.outbox()).waiting == before + 2


async def test_a_letter_is_discarded_with_a_reason_only(sqlite_installation: Installation) -> None:
    """BUS-4."""
    [letter] = await given_up(sqlite_installation, sqlite_installation.ada, 1)
    state = await one(sqlite_installation, letter)
    state.ask_discard()
    await state.discard({"reason": " "})
    assert (state.discarding, bool(state.error)) == (True, True)
    await state.discard({"reason": "A test order"})
    assert (state.discarding, state.view["status"], state.view["reason"]) == (False, "Discarded", "A test order")


async def test_who_comes_second_sees_what_became_of_the_letter(sqlite_installation: Installation) -> None:
    """BUS-4."""
    [letter] = await given_up(sqlite_installation, sqlite_installation.ada, 1)
    first, second = await one(sqlite_installation, letter), await one(sqlite_installation, letter)
    await first.replay()
    second.ask_discard()
    await second.discard({"reason": "too late"})
    assert (second.view["status"], second.view["reason"]) == ("Replayed", "")
    await second.replay()
    assert second.view["replays"] == 1


@pytest.mark.parametrize("address", ["0", "999", "-1", "x", "9" * 30, "٣"])
async def test_what_is_no_letter_of_the_tenant_is_just_not_there(
    sqlite_installation: Installation, address: str
) -> None:
    """IDN-2."""
    assert (await one(sqlite_installation, address)).phase == "missing"
    [of_bob] = await given_up(sqlite_installation, sqlite_installation.bob, 1)
    assert (await one(sqlite_installation, of_bob)).phase == "missing"


@pytest.mark.parametrize("kind", [LettersState, LetterState])
async def test_no_dead_letter_is_shown_without_a_session(sqlite_installation: Installation, kind: type) -> None:
    """IDN-2."""
    state = await Tab("", f"{LIST}/1").state(kind)
    with pytest.raises(Unauthenticated):
        await state.load()

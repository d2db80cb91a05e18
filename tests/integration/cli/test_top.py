"""BUS-10: the dashboard on the terminal, by keys, on both buses: lists, messages, outages, hostile contents."""

import pytest

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.cli.top.lookout import Lookout
from backend.foundation.bus.ports import Message
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Forbidden, Unavailable
from tests.fixtures import screens
from tests.fixtures.door import Installation, installed
from tests.fixtures.screens import LONG_S, Screen
from tests.fixtures.valkey import PrivateValkey, Shared
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration

SIZES = [(20, 6), (1, 1), (300, 80), (80, 24)]
WIDE = (120, 40)
NASTY = "\x1b[2J\x1b]0;owned\x07 [red]red[/red] \x9b31m \u202egnp.exe\u202c \u200bzero \x7f \U000e0041 \r"


@pytest.fixture(params=["valkey", "kafka"])
def house(request: pytest.FixtureRequest) -> Installation:
    """An installation on each bus."""
    return request.getfixturevalue({"valkey": "sqlite_installation", "kafka": "kafka_installation"}[request.param])


def event(owner: Caller, text: str, key: str = "k") -> Event:
    data = StartRun(agent="concierge", input=text)
    return Event(type="agents.start_run.v1", tenant=owner.tenant, key=key, source="/test", data=data)


async def give_up(house: Installation, cause: str, key: str = "k") -> None:
    async with house.backend.database.write(house.ada.tenant) as session:
        given = event(house.ada, "mend me", key)
        await house.backend.bus.give_up(session, "agents", given, RuntimeError(cause), 5)


async def test_topics_and_their_messages_are_seen_live(house: Installation) -> None:
    await house.backend.bus.emit(*[event(house.ada, f"apple {number}", f"key-{number}") for number in range(7)])
    await house.backend.bus.emit(event(house.bob, "Bob's"))
    async with screens.on(house, size=WIDE) as screen:
        await screen.shows("aw.agents", "aw.dead.flows", "1 Topics", "? Help", "q Quit")
        assert screen.line("aw.agents").split()[3] == "8"
        await house.backend.bus.emit(event(house.ada, "one more"))
        await until(lambda: screen.line("aw.agents").split()[3] == "9", LONG_S)
        await screen.press("enter")
        await screen.shows("from 1h", "key-6", "apple 0", "one more")
        assert "Bob's" not in screen.text

        async def comes_by_itself() -> bool:
            await house.backend.bus.emit(event(house.ada, "late", "late-key"), event(house.bob, "Bob's late"))
            return "late-key" in screen.text

        await until(comes_by_itself, LONG_S)
        await screen.press("slash")
        await screen.type("apple 3")
        await screen.press("enter")
        await screen.shows("key-3", "with 'apple 3'")
        await screen.hides("key-6")
        await screen.press("enter")
        await screen.shows('"input": "apple 3"', "Key    key-3")
        assert "Bob's" not in screen.text


async def test_messages_are_read_from_a_time_on(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    await house.backend.bus.emit(event(house.ada, "apple"))
    async with screens.on(house, size=WIDE) as screen:
        await screen.shows("aw.agents")
        await screen.press("enter")
        await screen.shows("apple", "from 1h")
        for typed, told, there in [("2099-01-01", "No event since then", False), ("all", "from all", True)]:
            await screen.press("f", "ctrl+u")
            await screen.type(typed)
            await screen.press("enter")
            await screen.shows(told)
            assert ("apple" in screen.text) is there
        await screen.press("f", "ctrl+u")
        await screen.type("yesterdayish")
        await screen.press("enter")
        await screen.shows("'yesterdayish' is no time.", "Type 15m")
        assert "from all" in screen.text
        await screen.press("y")
        await screen.shows("from all  agents.start_run.v1")
        await screen.press("escape", "question_mark")
        await screen.shows("sort by the next column")


async def test_a_partition_is_browsed_from_an_offset(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.reads.topics._MOST", 2)
    await house.backend.bus.emit(*[event(house.ada, f"number {number}", f"key-{number}") for number in range(3)])
    [partition] = await house.backend.topics.partitions(house.ada, "aw.agents")
    async with screens.on(house, size=WIDE) as screen:
        await screen.shows("aw.agents")
        await screen.press("enter", "f", "ctrl+u")
        await screen.type(f"0@{partition.first}")
        await screen.press("enter")
        await screen.shows("more follow", "key-0", "key-1")
        await screen.press("n")
        await screen.shows("key-2")
        await screen.hides("key-1")
        await screen.press("f", "ctrl+u")
        await screen.type("0@nowhere")
        await screen.press("enter")
        await screen.shows("'nowhere' is no offset of")


async def test_lists_are_sorted_filtered_and_held_still(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    async with screens.on(house, size=WIDE) as screen:
        await screen.shows("aw.runs")

        def order() -> list[str]:
            return [line.split()[0] for line in screen.text.splitlines() if line.startswith(" aw.")]

        names = order()
        assert names == sorted(names)
        await screen.press("s", "r")
        await until(lambda: order() == names[::-1], LONG_S)
        assert "Topic▼" in screen.text
        await screen.press("s", "s", "s")
        await house.backend.bus.emit(event(house.ada, "one"))
        await until(lambda: order()[0] == "aw.agents", LONG_S)
        assert "Written▼" in screen.text
        await screen.press("slash")
        await screen.type("DEAD.c")
        await until(lambda: order() == ["aw.dead.chat"], LONG_S)
        await screen.press("enter", "p")
        await screen.shows("held still")
        await screen.press("escape")
        await until(lambda: len(order()) == len(names), LONG_S)
        await house.backend.bus.emit(*[event(house.ada, "more") for _ in range(5)])
        await screen.pilot.pause(0.5)
        assert screen.line("aw.agents").split()[3] == "1"
        await screen.press("p")
        await until(lambda: screen.line("aw.agents").split()[3] == "6", LONG_S)


async def test_consumers_agents_dead_letters_and_health_have_a_key_each(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    await give_up(house, "it broke")
    async with screens.on(house, size=WIDE) as screen:
        await screen.shows("4 Dead letters ▲1")
        await screen.press("2")
        await screen.shows("Consumer", "up to date", "aw.runs")
        await screen.press("3")
        await screen.shows("concierge", "● running")
        await screen.press("enter")
        await screen.shows("dev.autoweave.calculator")
        await screen.press("escape", "tab")
        await screen.shows("▲ waiting", "RuntimeError: it broke")
        await screen.press("enter")
        await screen.shows("Dead letter 1", "after 5 attempts", '"input": "mend me"', "/admin/dead-letters/1")
        await screen.press("escape", "5")
        await screen.shows("Event bus", "● works", "✕ failed")
        await screen.press("down", "enter")
        await screen.shows("Worker: agents", "Next step", "autoweave run worker --roles agents")
        await screen.press("escape", "escape", "shift+tab", "shift+tab", "shift+tab", "shift+tab")
        await screen.shows("Written")


async def test_nothing_in_a_message_a_name_or_a_cause_acts_on_the_terminal(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    headers = {"ce_type": "agents.start_run.v1", "ce_tenantid": house.ada.tenant, "ce_id": NASTY, "ce_subject": NASTY}
    await house.backend.bus._bus.publish(
        [
            Message("aw.agents", f"{NASTY}1", headers, NASTY.encode()),
            Message("aw.agents", f"{NASTY}2", headers, b"\xff\x9b31m\x00 \xed\xa0\x80 " + b"x" * 9_000),
        ]
    )
    await give_up(house, f"{NASTY}\n{NASTY}", NASTY)

    def clean(screen: Screen) -> bool:
        return all(char.isprintable() for line in screen.text.splitlines() for char in line)

    async with screens.on(house, size=(120, 40)) as screen:
        await screen.shows("aw.agents")
        await screen.press("enter")
        await screen.shows("\\u001b[2J", "[red]")
        assert clean(screen)
        await screen.press("enter")
        await screen.shows("Subject")
        assert clean(screen)
        await screen.press("escape", "down", "enter")
        await screen.shows("\\u001b[2J\\u001b]0;owned\\u0007 [red]red[/red] \\u009b31m \\u202egnp.exe")
        assert clean(screen)
        await screen.press("escape", "escape", "4")
        await screen.shows("RuntimeError: \\u001b[2J")
        await screen.press("enter")
        await screen.shows("Cause", "[red]red[/red]", "\\udb40\\udc41")
        assert clean(screen)
        await screen.press("escape", "slash")
        await screen.type("[red")
        await screen.shows("RuntimeError: \\u001b[2J")
        assert clean(screen)


async def test_no_size_breaks_it(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    await house.backend.bus.emit(*[event(house.ada, "long " * 200, "k" * 900) for _ in range(40)])
    await give_up(house, "long " * 200)
    async with screens.on(house) as screen:
        await screen.shows("aw.agents", "4 Dead letters ▲1")
        for keys in (["1"], ["enter"], ["enter"], ["escape", "escape", "2"], ["3"], ["5"], ["4"], ["enter"]):
            await screen.press(*keys)
            await screen.shows("q Quit")
            for size in SIZES:
                await screen.pilot.resize_terminal(*size)
                await screen.pilot.pause()
                assert max(map(len, screen.text.splitlines()), default=0) <= size[0]
            await screen.shows("q Quit")


async def test_a_broker_that_is_away_is_told_and_comes_back_by_itself(
    sqlite_database: SqlDatabase, shared: Shared, private_valkey: PrivateValkey, tmp_path
) -> None:
    bus = ValkeyBus(private_valkey.url)

    async def made() -> ValkeyBus:
        return bus

    try:
        async with installed(sqlite_database, shared, made, tmp_path) as house:
            await house.backend.bus.emit(event(house.ada, "before"))
            async with screens.on(house, size=WIDE) as screen:
                await screen.shows("aw.agents")
                private_valkey.kill()
                await screen.shows("✕ Valkey does not answer.", "AUTOWEAVE_REDIS_URL", "▲ as of")
                assert screen.line("aw.agents").split()[3] == "1"
                await screen.press("enter")
                await screen.shows("aw.agents", "from 1h", "✕ Valkey does not answer.")
                private_valkey.start()
                await screen.shows("before")
                await screen.hides("✕ Valkey")
                await screen.press("escape")
                await screen.shows("aw.dead.chat")
                await screen.hides("✕ Valkey")
                assert "as of" not in screen.text
    finally:
        await bus.close()


async def test_what_is_not_there_at_the_start_is_told_until_it_is(sqlite_installation: Installation) -> None:
    house, away = sqlite_installation, [True]

    async def connect() -> Lookout:
        if away:
            raise Unavailable("The database does not answer.", hint="Start it.")
        return Lookout(house.backend, house.ada)

    async with screens.opened(connect) as screen:
        await screen.shows("✕ The database does not answer. Start it.", "▲ trying")
        await screen.press("enter", "4", "enter", "slash", "escape", "p", "p")
        away.clear()
        await screen.press("1")
        await screen.shows("aw.agents")
        assert "✕" not in screen.text


async def test_who_may_not_look_is_told_so(sqlite_installation: Installation) -> None:
    """IDN-2."""
    house = sqlite_installation
    nobody = Caller(tenant=house.ada.tenant, subject="usr_none")
    async with screens.on(house, nobody) as screen:
        await screen.shows("✕ This needs the permission 'health:read'.", "✕ This needs the permission 'bus:repair'.")
        assert "aw.agents" not in screen.text


async def test_wrong_use_ends_it_with_its_error(sqlite_installation: Installation) -> None:
    async def connect() -> Lookout:
        raise Forbidden("Not you.")

    async with screens.opened(connect) as screen:
        app = screen.pilot.app
        await until(lambda: isinstance(app.return_value, Forbidden), LONG_S)

"""CHT-3, IDN-3: what open pages know, in memory and in Valkey: whose it is, who may write it, what an outage does."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
import reflex as rx
from redis.asyncio import Redis
from reflex.istate.manager import StateManager
from reflex.istate.manager.token import BaseStateToken
from reflex.state import BaseState, StateUpdate
from reflex_base.event.context import EventContext
from reflex_base.utils.exceptions import LockExpiredError

from autoweave_ui.autoweave_ui import app
from autoweave_ui.tabs.naming import TabToken, tab_token
from autoweave_ui.tabs.sealing import seal, stored_fields, unseal
from autoweave_ui.tabs.sockets import SharedSockets
from autoweave_ui.tabs.store import MemoryTabs, SharedTabs
from backend.adapters.valkey.tabs import LockLost, ValkeyTabs
from backend.foundation.kernel.ids import ApiKeyId
from backend.governance.identity.views import ApiKeyView
from state.admin.keys import KeysState
from state.notices import TabUnavailable
from state.session import SessionState
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

__all__ = ["app"]

ADA, BOB = "aw_session=ada", "theme=dark; aw_session=bob"
KEY = ApiKeyView(
    id=ApiKeyId("key_1"), name="Till", start="aw_1", scopes=("agents:run",), created_ms=1, used_ms=0, expires_ms=2
)
Stores = Callable[[], ValkeyTabs]


@pytest_asyncio.fixture
async def stores(valkey_url: str, valkey_namespace: str) -> AsyncGenerator[Stores]:
    """Stores on one name space; each is another process, as it were."""
    made: list[ValkeyTabs] = []

    def make() -> ValkeyTabs:
        made.append(ValkeyTabs(valkey_url, namespace=valkey_namespace))
        return made[-1]

    yield make
    for store in made:
        await store.close()


@pytest_asyncio.fixture(params=["memory", "shared"])
async def manager(request: pytest.FixtureRequest, stores: Stores) -> AsyncGenerator[StateManager]:
    """Each state manager."""
    made = MemoryTabs() if request.param == "memory" else SharedTabs(stores(), "one")
    yield made
    await made.close()


@contextmanager
def event(manager: StateManager, cookie: str) -> Iterator[None]:
    """An event of a tab whose socket carries this cookie."""

    async def nothing(token: str, *events: Any) -> None: ...

    headers = {"host": "house.example", "cookie": cookie}
    data = {"headers": headers, "pathname": "/admin/keys", "asPath": "/admin/keys", "token": "tab"}
    context = EventContext(token="tab", state_manager=manager, enqueue_impl=nothing, router_data=data)
    token = EventContext.set(context)
    try:
        yield
    finally:
        EventContext.reset(token)


async def write_secret(manager: StateManager, cookie: str = ADA, secret: str = "s3cret") -> None:
    with event(manager, cookie):
        async with manager.modify_state(BaseStateToken(ident="tab", cls=KeysState)) as root:
            root.router_data = root._update_router_vars(EventContext.get().router_data, {})
            keys = await root.get_state(KeysState)
            keys.secret, keys.making, keys.keys = secret, "made", [KEY]


async def read_keys(manager: StateManager, cookie: str = ADA) -> KeysState:
    with event(manager, cookie):
        async with manager.modify_state(BaseStateToken(ident="tab", cls=KeysState)) as root:
            return await root.get_state(KeysState)


async def test_a_tab_finds_its_state_again(manager: StateManager) -> None:
    await write_secret(manager)
    keys = await read_keys(manager)
    assert (keys.secret, keys.making, list(keys.keys)) == ("s3cret", "made", [KEY])
    assert keys.router.headers.cookie == ADA
    assert keys.router.url.path == "/admin/keys"


async def test_the_same_tab_with_another_session_knows_nothing(manager: StateManager) -> None:
    """Who signs in after somebody else is not shown the pages of that person for a moment."""
    await write_secret(manager)
    for cookie in (BOB, ""):
        assert (await read_keys(manager, cookie)).secret == ""
    assert (await read_keys(manager)).secret == "s3cret"


async def test_another_process_reads_what_one_has_written(stores: Stores) -> None:
    await write_secret(SharedTabs(stores(), "one"))
    other = SharedTabs(stores(), "two")
    assert (await read_keys(other)).secret == "s3cret"
    with event(other, ADA):
        async with other.modify_state(BaseStateToken(ident="tab", cls=SessionState)) as root:
            # A state that the event did not ask for is fetched when the handler does.
            assert (await (await root.get_state(SessionState)).get_state(KeysState)).secret == "s3cret"


async def test_another_installation_on_the_same_server_reads_nothing(stores: Stores, valkey_url: str) -> None:
    await write_secret(SharedTabs(stores(), "one"))
    elsewhere = ValkeyTabs(valkey_url, namespace="other")
    assert (await read_keys(SharedTabs(elsewhere, "one"))).secret == ""
    await elsewhere.close()


async def test_who_reads_the_server_learns_nothing_and_what_is_put_there_is_not_believed(
    stores: Stores, valkey_url: str, valkey_namespace: str
) -> None:
    manager = SharedTabs(stores(), "one")
    await write_secret(manager)
    server: Any = Redis.from_url(valkey_url)
    (key,) = await server.keys(f"{valkey_namespace}:tabs:tab:*")
    stored = await server.hgetall(key)
    everything = key + b"".join(name + value for name, value in stored.items())
    assert not re.search(rb"s3cret|ada|Till|made|cos\nsystem", everything)
    assert 0 < await server.ttl(key) <= 3600
    mine = KeysState.get_full_name().encode()
    for forged in (b"cos\nsystem\n(S'true'\ntR.", stored[mine][:-1] + b"\0", stored[b"reflex___state____state"], b""):
        await server.hset(key, mine, forged)
        assert (await read_keys(manager)).secret == ""
    await server.aclose()


async def test_changes_of_two_processes_are_made_one_after_the_other(stores: Stores) -> None:
    managers = [SharedTabs(stores(), name) for name in ("one", "two")]

    async def add(manager: SharedTabs) -> None:
        with event(manager, ADA):
            async with manager.modify_state(BaseStateToken(ident="tab", cls=KeysState)) as root:
                keys = await root.get_state(KeysState)
                before = len(keys.secret)
                await asyncio.sleep(0)
                keys.secret = "x" * (before + 1)

    async with asyncio.TaskGroup() as tasks, _living(stores, "one"), _living(stores, "two"):
        for number in range(20):
            tasks.create_task(add(managers[number % 2]))
    assert (await read_keys(managers[0])).secret == "x" * 20


def _living(stores: Stores, instance: str) -> Any:
    return stores().hear(instance)


async def test_the_lock_of_a_dead_process_is_taken_over(stores: Stores) -> None:
    dead, mine = stores(), stores()
    hold = dead.hold("tab", "dead")
    holder = await hold.__aenter__()
    async with asyncio.timeout(8), mine.hold("tab", "two"):
        with pytest.raises(LockLost):
            await dead.save("tab", holder, {"x": b"1"})
        await mine.read("tab", ["x"])
    await hold.__aexit__(None, None, None)


async def test_who_held_a_tab_too_long_writes_nothing(stores: Stores, valkey_url: str, valkey_namespace: str) -> None:
    manager = SharedTabs(stores(), "one")
    server: Any = Redis.from_url(valkey_url)

    async def too_long() -> None:
        async with manager.modify_state(BaseStateToken(ident="tab", cls=KeysState)) as root:
            (await root.get_state(KeysState)).secret = "late"
            (lock,) = await server.keys(f"{valkey_namespace}:tabs:lock:*")
            await server.delete(lock)

    with event(manager, ADA), pytest.raises(LockExpiredError):
        await too_long()
    await server.aclose()
    assert (await read_keys(manager)).secret == ""


async def test_a_short_outage_is_waited_for_and_a_long_one_is_said(private_valkey: PrivateValkey) -> None:
    store = ValkeyTabs(private_valkey.url, namespace="t", patience_s=0.1)
    patient = ValkeyTabs(private_valkey.url, namespace="t", patience_s=20)
    await write_secret(SharedTabs(store, "one"))
    private_valkey.kill()
    with pytest.raises(TabUnavailable):
        await read_keys(SharedTabs(store, "one"))
    waiting = asyncio.create_task(read_keys(SharedTabs(patient, "two")))
    await asyncio.to_thread(private_valkey.start)
    assert (await waiting).secret == "s3cret"
    await store.close()
    await patient.close()


def every_state(kind: type[BaseState] = rx.State) -> Iterator[type[BaseState]]:
    yield kind
    for below in kind.get_substates():
        yield from every_state(below)


@pytest.mark.parametrize("kind", sorted(every_state(), key=str), ids=lambda kind: kind.__name__)
async def test_every_state_of_the_pages_can_be_stored(kind: type[BaseState]) -> None:
    token = TabToken(ident="t", cls=kind, key=b"k" * 32)
    state = kind(init_substates=False, _reflex_internal_init=True)
    before = {name: getattr(state, name) for name in stored_fields(kind)}
    again = unseal(token, kind, seal(token, state))
    assert again is not None
    assert {name: getattr(again, name) for name in before} == before
    assert not again._was_touched


def test_the_name_of_a_tab_does_not_tell_its_token() -> None:
    named = tab_token(BaseStateToken(ident="3f0c", cls=rx.State))
    assert "3f0c" not in named.ident
    assert tab_token(named) is named


Heard = Callable[[Any, str], Awaitable[None]]


def sockets_of(stores: Stores, heard: list[Any]) -> SharedSockets:
    async def emit(update: Any, token: str) -> None:
        heard.append((token, update))

    sockets = SharedSockets(stores())
    sockets._reset_instance_id()
    sockets.ensure_lost_and_found_task(emit)
    return sockets


async def test_a_tab_that_comes_back_keeps_its_name_and_a_copy_of_it_gets_another(stores: Stores) -> None:
    one, two = sockets_of(stores, []), sockets_of(stores, [])
    assert await one.link_token_to_sid("tab", "s1") is None
    copy = await two.link_token_to_sid("tab", "s2")
    assert copy not in (None, "tab")
    assert await one.link_token_to_sid("tab", "s3") not in (None, "tab")
    await one.disconnect_token("tab", "s1")
    assert await two.link_token_to_sid("tab", "s4") is None
    await one.close()
    # Its process is gone without a word: the record is still there.
    assert await one._store.owner(str(copy)) == two.instance_id
    await two.close()
    three = sockets_of(stores, [])
    assert await three.link_token_to_sid("tab", "s5") is None
    await three.close()


async def test_an_update_finds_the_tab_in_another_process(stores: Stores) -> None:
    heard: list[Any] = []
    one, two = sockets_of(stores, []), sockets_of(stores, heard)
    await two.link_token_to_sid("tab", "s1")
    assert await one.emit_lost_and_found("tab", StateUpdate(delta={"state": {"keys": [KEY]}}))
    await until(lambda: bool(heard))
    token, update = heard[0]
    assert token == "tab"
    assert update["delta"]["state"]["keys"][0]["name"] == "Till"
    assert not await one.emit_lost_and_found("nobody", StateUpdate())
    await one.close()
    await two.close()

"""IDN-2, IDN-3: every page and every handler of a page, asked for another person's things.

Pages and handlers are taken from Reflex's registries, so a new one is probed without being named here; one whose route
or arguments are not known here fails.
"""

import asyncio
import inspect
import itertools
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
import reflex as rx
from reflex_base.event import EventHandler
from reflex_base.registry import RegistrationContext

from autoweave_ui.autoweave_ui import app
from backend.foundation.kernel.errors import AutoWeaveError, Unauthenticated
from state.admin.card import CardState
from state.admin.chosen import ChosenState
from state.admin.deliveries import DeliveriesState
from state.admin.keys import KeysState
from state.admin.letter import LetterState
from state.admin.trace import TraceState
from state.admin.webhook import WebhookState
from state.chat.conversation import ChatState
from state.chat.history import HistoryState
from tests.fixtures.door import Installation
from tests.integration.state.conftest import Tab
from tests.security.probing import NONE, SECRET, Ids, Person, masked, others, things_of_ada

pytestmark = pytest.mark.security
__all__ = ["app"]

PUBLIC_PAGES = {"404", "sign-in", "setup"}
"""Pages outside the door."""
WITHOUT_ANYBODY = {
    "EntranceState.load", "HistoryState.forget", "KeysState.start", "KeysState.finish", "KeysState.ask_revoke",
    "KeysState.keep", "NoticeState.tell", "NoticeState.close", "SendingState.arrive", "SessionState.enter",
    "TracesState.search", "TracesState.choose_status", "TracesState.choose_at_least", "LettersState.choose",
    "TopicState.choose", "EventTypesState.choose",
    "ChosenState.clear", "ChosenState.tick", "ChosenState.tick_all", "ChosenState.ask_discard", "ChosenState.keep",
    "WebhooksState.start", "WebhooksState.choose", "WebhooksState.finish", "WebhookState.ask", "WebhookState.choose",
    "WebhookState.close", "DeliveriesState.choose",
    "LettersState.ask_replay", "LettersState.close", "LetterState.edit", "LetterState.ask_discard", "LetterState.keep",
}  # fmt: skip
"""Handlers that touch nothing but the tab itself, or are the door."""
FIRST = {
    "ChatState.newer": lambda tab, ids: _set(tab, ChatState, shown=ids.thread, has_newer=True),
    "ChatState.older": lambda tab, ids: _set(tab, ChatState, shown=ids.thread, has_older=True),
    "ChatState.settled": lambda tab, ids: _set(tab, ChatState, shown=ids.thread),
    "ChatState.stop": lambda tab, ids: _set(tab, ChatState, shown=ids.thread),
    "ChatState.to_end": lambda tab, ids: _set(tab, ChatState, shown=ids.thread),
    **{
        f"CardState.{verb}": lambda tab, ids: _set(tab, CardState, agent=ids.agent)
        for verb in ("start", "stop", "publish", "unpublish")
    },
    "HistoryState.undo": lambda tab, ids: _set(tab, HistoryState, deleted=ids.thread),
    "KeysState.revoke": lambda tab, ids: _set(tab, KeysState, revoking=ids.key),
    "ChosenState.replay": lambda tab, ids: _set(tab, ChosenState, ids=[int(ids.letter)]),
    "ChosenState.discard": lambda tab, ids: _set(tab, ChosenState, ids=[int(ids.letter)]),
    "LetterState.check": lambda tab, ids: _set(tab, LetterState, letter=int(ids.letter)),
    "LetterState.replay": lambda tab, ids: _set(tab, LetterState, letter=int(ids.letter)),
    **{
        f"WebhookState.{name}": lambda tab, ids: _set(tab, WebhookState, webhook=ids.webhook)
        for name in ("save", "turn", "rotate", "delete")
    },
    **{
        f"DeliveriesState.{name}": lambda tab, ids: _set(
            tab, DeliveriesState, webhook=ids.webhook, shown=ids.delivery, loaded=True
        )
        for name in ("test", "redeliver", "redeliver_failed", "watch")
    },
    "LetterState.discard": lambda tab, ids: _set(tab, LetterState, letter=int(ids.letter)),
    "TraceState.wait": lambda tab, ids: _set(tab, TraceState, trace=ids.trace),
}
"""What a tab holds before a handler that works on what it holds."""
LOOKED_AT_S, PATIENCE_S = 0.25, 10.0
"""How long a handler without an end is looked at, and one that may be on its way to its end on a busy machine."""
GOES_ON = "goes on"


SIMPLE = (str, int, bool, float, dict[str, Any])
"""What a browser may send. Of anything else Reflex would make an object, such as a caller of the browser's choice."""


PLAIN = ("text", "client_id", "title", "name", "value", "payload", "what", "hint", "code", "status", "at_least")
"""Parameters that name nothing of anybody's."""


def arguments(ids: Ids) -> dict[str, Any]:
    """What a handler's parameters are given, by name."""
    words = dict.fromkeys(PLAIN, "x")
    return {
        **words,
        "thread": ids.thread,
        "session": ids.session,
        "key": ids.key,
        "letter": int(ids.letter),
        "on": False,
        "form": {"key_name": ids.key, "reason": "x", "url": ids.webhook},
    }


def addresses(ids: Ids) -> dict[str, str]:
    """What stands in the place of a route's parameter."""
    return {
        "[[thread_id]]": ids.thread,
        "[agent_id]": ids.agent,
        "[trace_id]": ids.trace,
        "[letter_id]": ids.letter,
        "[topic_name]": "aw.agents",
        "[event_type]": "agents.start_run.v1",
        "[webhook_id]": f"{ids.webhook}?open={ids.delivery}",
    }


def pages() -> list[tuple[str, list[EventHandler]]]:
    """Every page: its route and what it does when it is opened."""
    decorated = RegistrationContext.ensure_context().decorated_pages
    return [(options["route"].removeprefix("/"), options.get("on_load", [])) for _, options in decorated]


def address(route: str, ids: Ids) -> str:
    """A route with the ids in the place of its parameters."""
    known = addresses(ids)
    return "/" + "/".join(known[part] if part.startswith("[") else part for part in route.split("/"))


def handlers(kind: type[Any] = rx.State) -> Iterator[tuple[type[Any], str, EventHandler]]:
    """Every handler of our states, by its name, such as ``KeysState.revoke``."""
    for below in kind.get_substates():
        if below.__module__.startswith("state."):
            for name, handler in below.event_handlers.items():
                if handler.fn.__qualname__.startswith(below.__name__):
                    yield below, f"{below.__name__}.{name}", handler
        yield from handlers(below)


HANDLERS = sorted(handlers(), key=lambda each: each[1])


def parameters(handler: EventHandler) -> list[str]:
    """The names of what a browser sends along."""
    return list(inspect.signature(handler.fn).parameters)[1:]


async def _set(tab: Tab, kind: type[Any], **values: str | int | bool) -> None:
    for name, value in values.items():
        setattr(await tab.state(kind), name, value)


async def call(
    tab: Tab, kind: type[Any], handler: EventHandler, given: dict[str, Any], looked_at_s: float = LOOKED_AT_S
) -> str:
    """Run a handler as its event would; return what it said, in words."""
    work = _finish(handler.fn(await tab.state(kind), **{name: given[name] for name in parameters(handler)}))
    try:
        return repr(await (asyncio.wait_for(work, looked_at_s) if handler.is_background else work))
    except TimeoutError:
        return GOES_ON
    except AutoWeaveError as error:
        return f"{type(error).__name__} {error.message} {error.hint} {error.field}"


async def _finish(outcome: Any) -> Any:
    if inspect.isasyncgen(outcome):
        return [each async for each in outcome]
    return await outcome if inspect.isawaitable(outcome) else outcome


async def everything(tab: Tab) -> str:
    """All that a tab's states hold."""
    return str((await tab.state(rx.State))._get_root_state().dict())


async def ada_has(house: Installation, ids: Ids) -> str:
    """What of Ada's could have been changed."""
    backend, ada = house.backend, house.ada
    thread = await backend.chat.thread(ada, ids.thread)
    messages = await backend.chat.messages(ada, ids.thread)
    run = await backend.flows.get(ada, ids.run)
    letters = await backend.dead_letters.letters(ada)
    webhooks = (await backend.webhooks.all(ada), await backend.webhooks.delivery(ada, ids.delivery))
    cards = await backend.directory.agents(ada)
    keys = await backend.identity.api_keys(ada)
    return str((thread, messages, run.status, keys, len(await _sessions(house)), letters, webhooks, cards))


async def _sessions(house: Installation) -> list[Any]:
    return [*await house.backend.identity.sessions(house.ada)]


async def probe(
    person: Person, kind: type[Any], name: str, handler: EventHandler, ids: Ids, route: str, *, patiently: bool = False
) -> str:
    """Open a tab at the address, call the handler, and return all that came of it."""
    tab = Tab(person.cookie, address(route, ids))
    if name in FIRST:
        await FIRST[name](tab, ids)
    said = await call(tab, kind, handler, arguments(ids), PATIENCE_S if patiently else LOOKED_AT_S)
    return f"{said}\n{await everything(tab)}"


async def both(
    person: Person, kind: type[Any], name: str, handler: EventHandler, ids: Ids, route: str, *, patiently: bool = False
) -> tuple[str, str]:
    """What came of a probe for Ada's things, and of one for things that are not."""
    probes = (probe(person, kind, name, handler, each, route, patiently=patiently) for each in (ids, NONE))
    real, none = await asyncio.gather(*probes)
    return real, none


@pytest.mark.parametrize(("kind", "name", "handler"), HANDLERS, ids=[name for _, name, _ in HANDLERS])
async def test_a_handler_gives_nothing_of_anybody_else(
    sqlite_installation: Installation, kind: type[Any], name: str, handler: EventHandler
) -> None:
    ids = await things_of_ada(sqlite_installation)
    before = await ada_has(sqlite_installation, ids)
    people, routes = await others(sqlite_installation), [route for route, _ in pages() if "[" in route]

    async def tries(person: Person, route: str) -> None:
        """At this address the handler tells Ada's things from none at all in nothing."""
        ends = not person.cookie and name not in WITHOUT_ANYBODY
        real, none = await both(person, kind, name, handler, ids, route)
        if GOES_ON in (real[: len(GOES_ON)], none[: len(GOES_ON)]) and (ends or masked(real) != masked(none)):
            real, none = await both(person, kind, name, handler, ids, route, patiently=True)
        assert masked(real) == masked(none), person.name
        assert SECRET not in real, person.name
        if ends:
            assert real.startswith(Unauthenticated.__name__) or "SessionEnded" in real.split()[0], real[:80]

    if handler.is_background and not parameters(handler):
        # It looks and changes nothing, and each look has to be waited out.
        await asyncio.gather(*(tries(person, route) for person in people for route in routes))
    else:
        for person, route in itertools.product(people, routes):
            await tries(person, route)
    assert await ada_has(sqlite_installation, ids) == before


@pytest.mark.parametrize(("route", "loads"), pages(), ids=[route for route, _ in pages()])
async def test_a_page_shows_nothing_of_anybody_else(
    sqlite_installation: Installation, route: str, loads: list[EventHandler]
) -> None:
    ids = await things_of_ada(sqlite_installation)
    known = {handler.fn: kind for kind, _, handler in HANDLERS}

    async def opened(person: Person, these: Ids) -> str:
        tab = Tab(person.cookie, address(route, these))
        said = [await call(tab, known[load.fn], load, {}) for load in loads]
        return f"{said}\n{await everything(tab)}"

    for person in await others(sqlite_installation):
        real, none = await asyncio.gather(opened(person, ids), opened(person, NONE))
        assert masked(real) == masked(none), person.name
        assert SECRET not in real, person.name


@pytest.mark.parametrize("handler", [handler for _, _, handler in HANDLERS], ids=[name for _, name, _ in HANDLERS])
def test_a_handler_is_meant_to_be_one_and_takes_plain_values(handler: EventHandler) -> None:
    """Reflex lets a browser call every public method of a state: what is none of its business is a function."""
    assert inspect.getsource(handler.fn).lstrip().startswith("@rx.event")
    hints = get_type_hints(handler.fn)
    assert [hints.get(name) for name in parameters(handler) if hints.get(name) not in SIMPLE] == []


@pytest.mark.parametrize(("route", "loads"), pages(), ids=[route for route, _ in pages()])
def test_every_page_inside_asks_first_who_is_there(route: str, loads: list[EventHandler]) -> None:
    names = [load.fn.__qualname__ for load in loads]
    assert route in PUBLIC_PAGES or names[:2] == ["SessionState.enter", "SessionState.watch"]


async def test_the_probe_would_see_what_leaks(sqlite_installation: Installation) -> None:
    """The same calls, made by Ada herself, do find her things: the probe is not blind."""
    ids = await things_of_ada(sqlite_installation)
    ada = Person("ada", sqlite_installation.ada_cookie)
    by_name = {name: (kind, handler) for kind, name, handler in HANDLERS}
    for name, route in (
        ("ChatState.load", "chat/[[thread_id]]"),
        ("TraceState.load", "admin/traces/[trace_id]"),
        ("LetterState.load", "admin/dead-letters/[letter_id]"),
        ("WebhookState.load", "admin/webhooks/[webhook_id]"),
        ("DeliveriesState.load", "admin/webhooks/[webhook_id]"),
    ):
        kind, handler = by_name[name]
        real = await probe(ada, kind, name, handler, ids, route)
        none = await probe(ada, kind, name, handler, NONE, route)
        assert SECRET in real
        assert masked(real) != masked(none)

"""The state managers: in memory for one web process, in Valkey for several."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from weakref import WeakValueDictionary

from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import StateToken
from reflex.state import BaseState
from reflex_base.utils.exceptions import LockExpiredError

from autoweave_ui.tabs.naming import TabToken, tab_token
from autoweave_ui.tabs.sealing import seal, unseal
from backend.adapters.valkey.tabs import LockLost, ValkeyTabs
from backend.foundation.kernel.errors import Unavailable
from state.notices import TabUnavailable


class MemoryTabs(StateManagerMemory):
    """States in this process, each under its tab and session."""

    @staticmethod
    def _coerce_token(token: StateToken) -> TabToken:
        return tab_token(token)


class SharedTabs(StateManagerRedis):
    """States in Valkey, for any web process. Of Reflex's own manager only its knowledge of the tree is used.

    Args:
        store: where the sealed states are.
        instance: the name of this process.
    """

    def __init__(self, store: ValkeyTabs, instance: str) -> None:
        self._store = store
        self._instance = instance
        # Most events of a tab come to one process: they wait for each other here, without asking the server.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @staticmethod
    def _coerce_token(token: StateToken) -> TabToken:
        return tab_token(token)

    async def get_state(
        self, token: StateToken, top_level: bool = True, for_state_instance: BaseState | None = None
    ) -> Any:
        token = tab_token(token)
        tree = self._get_populated_states(for_state_instance) if for_state_instance else {}
        wanted = self._get_required_state_classes(token.cls, subclasses=True) - {type(state) for state in tree.values()}
        # Parents come before their children, since a child's full name begins with its parent's.
        kinds = sorted(wanted, key=lambda kind: kind.get_full_name())
        stored = await self._store.read(token.ident, [kind.get_full_name() for kind in kinds]) if kinds else []
        for kind, sealed in zip(kinds, stored, strict=True):
            state = unseal(token, kind, sealed) if sealed else None
            _attach(state or kind(init_substates=False, _reflex_internal_init=True), tree)
        asked = token.cls.get_root_state() if top_level else token.cls
        return tree[asked.get_full_name()]

    async def set_state(self, token: StateToken, state: BaseState, *, lock_id: bytes | None = None, **_: Any) -> None:
        token = tab_token(token)
        if lock_id is None:
            raise LockExpiredError(f"Nobody holds {token.ident}.")
        fields = {type(each).get_full_name(): seal(token, each) for each in _touched(state)}
        try:
            await self._store.save(token.ident, lock_id.decode(), fields)
        except LockLost as error:
            raise LockExpiredError(str(error)) from error

    @asynccontextmanager
    async def modify_state(self, token: StateToken, **_: Any) -> AsyncIterator[Any]:
        token = tab_token(token)
        turn = self._turns.setdefault(token.ident, asyncio.Lock())
        async with turn, AsyncExitStack() as stack:
            with _told():
                holder = await stack.enter_async_context(self._store.hold(token.ident, self._instance))
                state = await self.get_state(token)
            yield state
            with _told():
                await self.set_state(token, state, lock_id=holder.encode())

    async def close(self) -> None:
        await self._store.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        raise TabUnavailable(error.message, hint=error.hint) from error


def _attach(state: BaseState, tree: dict[str, BaseState]) -> None:
    full_name = type(state).get_full_name()
    tree[full_name] = state
    above, _, name = full_name.rpartition(".")
    if above:
        state.parent_state = tree[above]
        tree[above].substates[name] = state


def _touched(state: BaseState) -> list[BaseState]:
    found, waiting = [], [state]
    while waiting:
        each = waiting.pop()
        waiting.extend(each.substates.values())
        if each._was_touched:
            found.append(each)
    return found

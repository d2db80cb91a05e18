"""Which web process has a tab's socket, and how an update finds it."""

import asyncio
import json
import os
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog
from reflex.state import StateUpdate
from reflex.utils.token_manager import LocalTokenManager, RedisTokenManager, SocketRecord
from reflex_base.utils.format import json_dumps

from backend.adapters.valkey.tabs import ValkeyTabs
from backend.foundation.kernel.errors import Unavailable

log = structlog.get_logger(__name__)

Emit = Callable[[Any, str], Coroutine[None, None, None]]
_HEARD_S = 2.0
_RETRY_S = 1.0


class SharedSockets(RedisTokenManager):
    """Tells a tab that comes back from a duplicate of an open one, in whatever process that is.

    Reflex's own takes every token that has a record for a duplicate, also that of a process which was killed, and
    gives the tab a new, empty state. Here a record counts as long as its process is alive.
    """

    def __init__(self, store: ValkeyTabs) -> None:
        self._pid = 0
        LocalTokenManager.__init__(self)
        self._store = store
        self._hearing: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    def _reset_instance_id(self) -> None:
        # Once a process: states are locked in its name.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self.instance_id = f"{self._pid}-{secrets.token_hex(8)}"

    async def link_token_to_sid(self, token: str, sid: str) -> str | None:
        known = self.token_to_socket.get(token)
        if known is not None and known.sid == sid:
            return None
        duplicate = known is not None or await self._open_elsewhere(token)
        name = str(uuid.uuid4()) if duplicate else token
        self.token_to_socket[name] = SocketRecord(instance_id=self.instance_id, sid=sid)
        self.sid_to_token[sid] = name
        try:
            await self._store.own(name, self.instance_id)
        except Unavailable:
            log.warning("tabs.owner_not_stored")
        return name if duplicate else None

    async def disconnect_token(self, token: str, sid: str) -> None:
        self.sid_to_token.pop(sid, None)
        record = self.token_to_socket.get(token)
        if record is None or record.sid != sid:
            return
        del self.token_to_socket[token]
        try:
            await self._store.disown(token, self.instance_id)
        except Unavailable:
            log.debug("tabs.not_disowned")

    async def is_token_connected(self, token: str) -> bool:
        return token in self.token_to_socket or await self._open_elsewhere(token)

    async def enumerate_tokens(self) -> AsyncIterator[str]:
        for token in tuple(self.token_to_socket):
            yield token

    def ensure_lost_and_found_task(self, emit_update: Emit) -> None:
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(self._hear(emit_update), name="tabs")

    async def emit_lost_and_found(self, token: str, update: StateUpdate) -> bool:
        try:
            owner = await self._store.owner(token)
            if owner in ("", self.instance_id):
                return False
            await self._store.tell(owner, json_dumps({"token": token, "update": update}).encode())
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.wait([self._hearing])

    async def _open_elsewhere(self, token: str) -> bool:
        try:
            async with asyncio.timeout(_HEARD_S):
                # Who is not heard yet would be taken for dead by the others.
                await self._heard.wait()
            owner = await self._store.owner(token)
            return owner not in ("", self.instance_id) and await self._store.alive(owner)
        except (Unavailable, TimeoutError):
            log.warning("tabs.owner_unknown")
            return False

    async def _hear(self, emit: Emit) -> None:
        while True:
            try:
                async with self._store.hear(self.instance_id) as notices:
                    self._heard.set()
                    async for notice in notices:
                        # An empty one says that some may have been missed: the tab has loaded its state by then.
                        if notice.payload:
                            message = json.loads(notice.payload)
                            if message["token"] in self.token_to_socket:
                                await emit(message["update"], message["token"])
            except Unavailable:
                await asyncio.sleep(_RETRY_S)

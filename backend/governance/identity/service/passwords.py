"""Argon2id in a small thread pool: slow on purpose, so bounded on purpose."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib.hashers.argon2 import Argon2Hasher

from backend.governance.identity.errors import SignInBusy

T = TypeVar("T")

_AT_ONCE = 2
_MOST_WAITING = 32


class Passwords:
    """Hashes and checks passwords; at most two at once, 32 more may wait, the next is told to come back.

    Args:
        memory_kib: memory of one hash; two at once need twice as much.
        rounds: passes over that memory.
    """

    def __init__(self, *, memory_kib: int = 65_536, rounds: int = 3) -> None:
        self._hasher = Argon2Hasher(time_cost=rounds, memory_cost=memory_kib, parallelism=2)
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody: asyncio.Future[str] | None = None

    async def hash(self, password: str) -> str:
        """Return the hash to store; raise `SignInBusy` when too many wait."""
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def check(self, password: str, stored: str | None) -> bool:
        """Return whether the password fits; costs the same when there is nothing ``stored``."""
        nobody = await self._nobody_hash()
        fits = await self._run(lambda: self._hasher.verify(_bytes(password), stored or nobody))
        return fits and stored is not None

    def outdated(self, stored: str) -> bool:
        """Return whether a hash was made with other costs than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Give the threads back; what is at work finishes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _nobody_hash(self) -> str:
        if self._nobody is None:
            self._nobody = asyncio.ensure_future(self.hash(secrets.token_hex()))
        try:
            return await asyncio.shield(self._nobody)
        except SignInBusy:
            self._nobody = None
            raise

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _AT_ONCE + _MOST_WAITING:
            raise SignInBusy("Too many sign-ins are being checked at once.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")

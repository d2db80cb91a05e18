"""Modules to native code, each in a process of its own that never ran a guest: so the cache can trust what it gets."""

import asyncio
import hashlib
from asyncio import Semaphore
from pathlib import Path
from typing import NamedTuple

from backend.adapters.wasmtime.cache import CodeCache
from backend.adapters.wasmtime.frames import BODY_MAX
from backend.adapters.wasmtime.process import ChildGone, ChildLate, ChildProcess
from backend.adapters.wasmtime.settings import SandboxSettings
from backend.domain.tools.errors import ModuleRefused

_GRACE_S = 2.0


class Native(NamedTuple):
    """Compiled code, and whether it was there already."""

    code: bytes
    was_cached: bool


class Compiler:
    """Native code from the cache, or compiled once however many ask for it."""

    def __init__(self, settings: SandboxSettings, empty: Path) -> None:
        self._settings = settings
        self._empty = empty
        self._cache = CodeCache(settings.folder / "code", settings.folder / "code.key", settings.cache)
        self._one_at_a_time = Semaphore(1)

    async def native(self, sha256: str, code: bytes) -> Native:
        """Return the native code of a module; raise `ModuleRefused` for what may not run here."""
        if (native := await self._cached(sha256)) is not None:
            return Native(native, was_cached=True)
        async with self._one_at_a_time:
            if (native := await self._cached(sha256)) is not None:
                return Native(native, was_cached=True)
            if hashlib.sha256(code).hexdigest() != sha256:
                raise ModuleRefused("The module's bytes are not those of its digest.")
            native = await self._compile(code)
            await asyncio.to_thread(self._cache.put, sha256, native)
            return Native(native, was_cached=False)

    async def forget(self, sha256: str) -> None:
        """Drop native code that wasmtime did not take, so that it is compiled again."""
        await asyncio.to_thread(self._cache.discard, sha256)

    async def _cached(self, sha256: str) -> bytes | None:
        return await asyncio.to_thread(self._cache.get, sha256)

    async def _compile(self, code: bytes) -> bytes:
        limit = self._settings.compile_s
        child = await ChildProcess.start(self._empty, self._settings.compile_memory)
        try:
            header = {"op": "compile", "timeout": limit}
            answer = await child.ask(header, code, answer_max=BODY_MAX, deadline_s=limit + _GRACE_S)
        except (ChildLate, ChildGone) as error:
            raise ModuleRefused(
                f"The module could not be compiled within {limit:g} s and the memory for it."
            ) from error
        finally:
            await asyncio.shield(child.end())
        if answer.header.get("ok") is not True:
            raise ModuleRefused(str(answer.header.get("error", "The module could not be compiled.")))
        return answer.body

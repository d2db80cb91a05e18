"""`WasmtimeSandbox`: the tools room's `Sandbox` over a pool of children."""

import logging
import signal
from dataclasses import replace
from typing import Literal

from backend.adapters.wasmtime.answers import Ended, Loaded, opened, understood
from backend.adapters.wasmtime.compiler import Compiler, Native
from backend.adapters.wasmtime.pool import Busy, Pool
from backend.adapters.wasmtime.process import ChildGone, ChildLate, ChildProcess, NotTaken
from backend.adapters.wasmtime.settings import SandboxSettings
from backend.domain.tools.errors import ModuleRefused
from backend.domain.tools.ports import SandboxCall, SandboxHealth, SandboxResult
from backend.foundation.kernel.errors import Unavailable

_log = logging.getLogger(__name__)
_GRACE_S = 1.0
"""How much later than the timeout the parent kills, after the child's own timer: the second net."""

_LOAD_S = 10.0
_OWN_TIMERS = {signal.SIGALRM, signal.SIGXCPU}
_FIX = "Look at the log for what the process said; a restart of the worker starts a new pool."


class WasmtimeSandbox:
    """See the port. It starts processes that die with the thread that started them: start it in a thread that stays.

    Args:
        settings: sizes and the folder, which belongs to this process alone or is shared by those of one installation.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        empty = settings.folder / "empty"
        empty.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._compiler = Compiler(settings, empty.resolve())
        self._pool = Pool(settings, empty.resolve())
        self._calls = 0
        self._hits = 0
        self._misses = 0

    @property
    def children(self) -> int:
        """How many processes live."""
        return self._pool.children

    @property
    def active(self) -> int:
        """How many calls run now."""
        return self._pool.active

    @property
    def calls(self) -> int:
        """How many calls there were since the start."""
        return self._calls

    @property
    def kills(self) -> int:
        """How many processes ended in the middle of a call."""
        return self._pool.kills

    async def start(self) -> None:
        await self._pool.start()

    async def prepare(self, sha256: str, code: bytes) -> None:
        await self._compiler.native(sha256, code)

    async def call(self, call: SandboxCall) -> SandboxResult:
        self._calls += 1
        try:
            native = await self._find(call)
            try:
                return await self._in_child(call, native)
            except NotTaken:
                # It was dying as it was lent, and has seen nothing of the call.
                return await self._in_child(call, native)
        except Busy as busy:
            return SandboxResult(outcome="busy", error=str(busy))
        except Unavailable as error:
            return SandboxResult(outcome="busy", error=error.message)
        except ModuleRefused as refused:
            return SandboxResult(outcome="error", error=refused.message)
        except ChildLate:
            return _timed_out(call)
        except ChildGone as gone:
            return _timed_out(call) if gone.signal in _OWN_TIMERS else _died(gone)

    async def health(self) -> SandboxHealth:
        cause = self._pool.cause
        return SandboxHealth(
            ok=not cause,
            children=self.children,
            active=self.active,
            calls=self._calls,
            kills=self.kills,
            cache_hits=self._hits,
            cache_misses=self._misses,
            cause=cause,
            fix=_FIX if cause else "",
        )

    async def close(self) -> None:
        await self._pool.close()

    async def _in_child(self, call: SandboxCall, native: Native | None) -> SandboxResult:
        async with self._pool.lend() as child:
            await self._load(child, call, native)
            result = await self._run(child, call)
            return replace(result, cache=_cache(native))

    async def _find(self, call: SandboxCall) -> Native | None:
        """Have the module compiled before a child is taken, so that no other call waits for that; unless one has it."""
        if self._pool.has(call.sha256):
            self._hits += 1
            return None
        native = await self._compiler.native(call.sha256, call.code)
        self._hits += native.was_cached
        self._misses += not native.was_cached
        return native

    async def _load(self, child: ChildProcess, call: SandboxCall, native: Native | None) -> None:
        if (size := child.loaded.pop(call.sha256, None)) is not None:
            child.loaded[call.sha256] = size
            return
        native = native or await self._compiler.native(call.sha256, call.code)
        if not await self._loaded(child, call.sha256, native.code):
            # Such as the code of another processor, when the data folder has moved: compile it here.
            await self._compiler.forget(call.sha256)
            native = await self._compiler.native(call.sha256, call.code)
            if not await self._loaded(child, call.sha256, native.code):
                raise ModuleRefused("The compiled module cannot be loaded.")

    async def _loaded(self, child: ChildProcess, sha256: str, code: bytes) -> bool:
        dropped = self._room_for(child, len(code))
        header = {"op": "load", "sha256": sha256, "drop": dropped, "timeout": _LOAD_S}
        answer = await child.ask(header, code, answer_max=0, deadline_s=_LOAD_S + _GRACE_S)
        loaded = understood(answer, Loaded)
        if loaded.ok:
            child.loaded[sha256] = len(code)
        else:
            _log.warning("compiled code of %s was not taken: %s", sha256, loaded.error)
        return loaded.ok

    def _room_for(self, child: ChildProcess, size: int) -> list[str]:
        """Choose what the child unloads, least recently used first, so that its code stays below the bound."""
        dropped: list[str] = []
        while child.loaded and sum(child.loaded.values()) + size > self._settings.loaded:
            oldest = next(iter(child.loaded))
            del child.loaded[oldest]
            dropped.append(oldest)
        return dropped

    async def _run(self, child: ChildProcess, call: SandboxCall) -> SandboxResult:
        limits = call.limits
        header = {
            "op": "call",
            "sha256": call.sha256,
            "memory": limits.memory_bytes,
            "fuel": limits.fuel,
            "timeout": limits.timeout_s,
            "output": limits.output_bytes,
        }
        child.calls += 1
        deadline = limits.timeout_s + _GRACE_S
        answer = await child.ask(header, call.input, answer_max=limits.output_bytes, deadline_s=deadline)
        ended = understood(answer, Ended)
        child.resident = ended.rss
        result = SandboxResult(
            outcome=ended.outcome,
            output=answer.body,
            error=ended.error,
            fuel_used=ended.fuel,
            duration_ms=ended.ms,
        )
        return opened(result) if result.outcome == "ok" else result


def _cache(native: Native | None) -> Literal["loaded", "hit", "miss"]:
    if native is None:
        return "loaded"
    return "hit" if native.was_cached else "miss"


def _timed_out(call: SandboxCall) -> SandboxResult:
    words = f"The tool ran longer than its {call.limits.timeout_s:g} s and was ended."
    return SandboxResult(outcome="timeout", error=words, duration_ms=call.limits.timeout_s * 1000)


def _died(gone: ChildGone) -> SandboxResult:
    return SandboxResult(outcome="trap", error=f"The process that ran the tool ended by signal {gone.signal}.")

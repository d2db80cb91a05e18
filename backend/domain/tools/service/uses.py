"""Places for calls of a tool, and counts of what became of them."""

import asyncio
from asyncio import Semaphore
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from backend.domain.tools.ports import SandboxResult
from backend.domain.tools.views import ToolUse
from backend.foundation.kernel.ids import TenantId, ToolId
from backend.foundation.telemetry import metrics

_TOOLS_MAX = 1000


class NoPlace(Exception):
    """As many calls of the tool as are allowed run, and none ended in time."""


@dataclass(slots=True)
class _Use:
    places: Semaphore
    concurrency: int
    calls: int = 0
    succeeded: int = 0
    failed: int = 0
    fuel: int = 0
    holders: int = 0
    waiting: int = 0


class Uses:
    """The tools of this process that were called, at most a thousand: of those at rest the oldest are forgotten."""

    def __init__(self) -> None:
        self._uses: OrderedDict[tuple[TenantId, str], _Use] = OrderedDict()

    @property
    def active(self) -> int:
        """How many calls run now."""
        return sum(use.holders for use in self._uses.values())

    @asynccontextmanager
    async def place(self, tenant: TenantId, tool: str, concurrency: int, patience_s: float) -> AsyncGenerator[None]:
        """Hold one of a tool's places; raise `NoPlace` when none gets free in time."""
        use = self._of(tenant, tool, concurrency)
        use.waiting += 1
        try:
            async with asyncio.timeout(patience_s):
                await use.places.acquire()
        except TimeoutError as error:
            raise NoPlace from error
        finally:
            use.waiting -= 1
        use.holders += 1
        try:
            yield
        finally:
            use.holders -= 1
            use.places.release()

    def count(self, tenant: TenantId, tool: str, result: SandboxResult) -> None:
        """Note how a call ended, here and in the metrics."""
        ok = result.outcome == "ok"
        use = self._uses.get((tenant, tool))
        if use is not None:
            use.calls += 1
            use.succeeded += ok
            use.failed += not ok
            use.fuel += result.fuel_used
        outcome = "ok" if ok else "timeout" if result.outcome == "timeout" else "failed"
        metrics.TOOL_CALLS.labels(metrics.few_tools(tool), outcome).inc()
        metrics.TOOL_SECONDS.observe(result.duration_ms / 1000)
        metrics.TOOL_FUEL.inc(result.fuel_used)
        metrics.TOOL_CACHE.labels("miss" if result.cache == "miss" else "hit").inc()

    def of(self, tenant: TenantId) -> tuple[ToolUse, ...]:
        """Return the counts of a tenant's tools, most recently used last."""
        return tuple(_view(tool, use) for (owner, tool), use in self._uses.items() if owner == tenant)

    def _of(self, tenant: TenantId, tool: str, concurrency: int) -> _Use:
        key = (tenant, tool)
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = _Use(Semaphore(concurrency), concurrency)
            self._forget()
        elif use.concurrency != concurrency and not use.holders and not use.waiting:
            use.places, use.concurrency = Semaphore(concurrency), concurrency
        self._uses.move_to_end(key)
        return use

    def _forget(self) -> None:
        if len(self._uses) > _TOOLS_MAX:
            resting = next((key for key, use in self._uses.items() if not use.holders and not use.waiting), None)
            if resting is not None:
                del self._uses[resting]


def _view(tool: str, use: _Use) -> ToolUse:
    return ToolUse(
        id=ToolId(tool),
        calls=use.calls,
        succeeded=use.succeeded,
        failed=use.failed,
        active=use.holders,
        fuel=use.fuel,
    )

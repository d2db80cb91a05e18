"""``/health``, ``/ready`` and ``/metrics``: for orchestrators and Prometheus."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from backend.app import Backend, current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.telemetry.metrics import CONTENT_TYPE
from backend.gateway.http.callers import caller_of
from backend.gateway.http.door import is_loopback, peer_address
from backend.gateway.http.runs import json_response
from backend.gateway.http.shapes import Alive, Part, Ready

_PATIENCE_S = 2.5
_FRESH_S = 1.0


class Probes:
    """The endpoints that machines ask every few seconds."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._answer: Ready | None = None
        self._asked = float("-inf")

    async def health(self, _request: Request) -> Response:
        """Say that this process answers; looks at nothing else, so that a broken database restarts no process."""
        return json_response(Alive("alive"))

    async def ready(self, _request: Request) -> Response:
        """Say whether this process can serve: 503 names the part that is down. An answer is good for a second."""
        async with self._asking:
            if self._answer is None or time.monotonic() - self._asked > _FRESH_S:
                self._answer = await _ask(current())
                self._asked = time.monotonic()
        good = self._answer.status == "ready"
        return json_response(self._answer, HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: Request) -> Response:
        """Return the figures as Prometheus' text, to this machine itself or a key with ``health:read``."""
        if not _from_this_machine(request):
            (await caller_of(request)).require(Permission.HEALTH_READ)
        text = await current().telemetry.exposition()
        return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})


def _from_this_machine(request: Request) -> bool:
    # A proxy on this machine makes everybody look local; it says so in a header.
    forwarded = any(name in request.headers for name in ("x-forwarded-for", "forwarded", "via"))
    return is_loopback(peer_address(request)) and not forwarded


async def _ask(backend: Backend) -> Ready:
    parts = await asyncio.gather(
        _part("database", backend.database.ping),
        _part("live", backend.live.ping),
        _part("bus", lambda: _bus(backend)),
    )
    return Ready("ready" if all(part.ok for part in parts) else "not_ready", list(parts))


async def _bus(backend: Backend) -> float:
    health = await backend.bus.health()
    if not health.ok:
        raise Unavailable(health.cause)
    return health.latency_ms


async def _part(name: str, ping: Callable[[], Awaitable[float]]) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return Part(name, ok=True, latency_ms=round(await ping(), 1))
    except (Unavailable, TimeoutError):
        return Part(name, ok=False, latency_ms=0.0)

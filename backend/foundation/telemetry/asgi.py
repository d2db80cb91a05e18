"""One span and one count for each HTTP request, as an ASGI middleware for the gateway."""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final

from backend.foundation.telemetry import metrics
from backend.foundation.telemetry.tracing import Span, span

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DOORS: Final = ("/v1/", "/auth/", "/events/", "/graphql", "/mcp", "/webhooks/")
"""Paths that programs and forms come by. Pages, their assets, their websocket and probes are not traced."""

BULK: Final = ("/events/",)
"""Paths that take very many events: a trace that starts there is kept by ratio."""

TRACE_HEADER: Final = b"x-trace-id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NOT_FOUND = (404, 405)
_SERVER_ERROR = 500


class TraceRequests:
    """Opens a span a request, under the ``traceparent`` that came with it, and answers with ``x-trace-id``.

    The span ends with the response's last byte; the counted seconds end with its first, so that a stream that is
    open for minutes is not a slow request. The query is never recorded: it may hold credentials.

    Args:
        app: what answers.
        doors: prefixes of the paths that are traced and counted; all others pass untouched, as websockets do.
        bulk: prefixes of paths whose traces are kept by ratio.
    """

    def __init__(self, app: App, *, doors: Sequence[str] = DOORS, bulk: Sequence[str] = BULK) -> None:
        self._app = app
        self._doors = tuple(doors)
        self._bulk = tuple(bulk)
        self._few = metrics.Few()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or not path.startswith(self._doors):
            await self._app(scope, receive, send)
            return
        method = str(scope["method"])
        facts = {"http.request.method": method, "url.path": path}
        parent = header(scope.get("headers", ()), b"traceparent")
        bulk = path.startswith(self._bulk)
        with span(f"HTTP {method}", kind="server", parent=parent, attributes=facts, bulk=bulk) as work:
            answer = _Answer(send, work)
            try:
                await self._app(scope, receive, answer.send)
            finally:
                self._tell(scope, method, work, answer)

    def _tell(self, scope: Scope, method: str, work: Span, answer: "_Answer") -> None:
        route = self._few(route_of(scope, answer.status))
        if method not in _METHODS:
            method = "other"
        metrics.HTTP_REQUESTS.labels(method, route, str(answer.status)).inc()
        metrics.HTTP_SECONDS.labels(method, route).observe(answer.seconds)
        work.update_name(f"{method} {route}")
        work.set_attribute("http.route", route)
        work.set_attribute("http.response.status_code", answer.status)
        if answer.status >= _SERVER_ERROR:
            work.fail(f"HTTP {answer.status}")


class _Answer:
    """Watches the response go out; without one the request failed."""

    def __init__(self, send: Send, work: Span) -> None:
        self._send = send
        self._work = work
        self._started = time.perf_counter()
        self._first: float | None = None
        self.status = _SERVER_ERROR

    @property
    def seconds(self) -> float:
        """Seconds until the response began."""
        return (time.perf_counter() if self._first is None else self._first) - self._started

    async def send(self, message: Message) -> None:
        """Pass a part of the response on."""
        if message["type"] == "http.response.start":
            self._first = time.perf_counter()
            self.status = int(message["status"])
            trace = self._work.context.trace_id.encode()
            message["headers"] = [*message.get("headers", ()), (TRACE_HEADER, trace)]
        await self._send(message)


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Return the first header of the (lower-case) name, empty where there is none."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""


def route_of(scope: Scope, status: int) -> str:
    """Return the pattern of the route that answered, such as ``/v1/runs/{run}``; ``other`` where none did."""
    found = scope.get("path_params", {})
    # A mount takes every path below it, known or not: what it does not find has no pattern.
    if "endpoint" not in scope or (status in _NOT_FOUND and not found):
        return "other"
    path = str(scope["path"])
    for name, value in found.items():
        before, there, after = path.rpartition(f"/{value}")
        if there:
            path = f"{before}/{{{name}}}{after}"
    return path

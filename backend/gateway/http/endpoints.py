"""What surrounds every endpoint: a span, a count, and a problem for each error."""

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.foundation.kernel.errors import AutoWeaveError, NotFound
from backend.foundation.telemetry import metrics
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.tracing import record_error, set_attribute, span
from backend.gateway.http.problems import internal_problem, problem

_log = get_logger("http")

Handler = Callable[[Request], Awaitable[Response]]


def endpoint(method: str, path: str, handle: Handler, *, bulk: bool = False) -> Route:
    """Return a route whose work is one trace; a caller's ``traceparent`` is carried on.

    Args:
        bulk: whether it takes so very many requests that traces which start here are kept by ratio.
    """

    async def answer(request: Request) -> Response:
        started = time.perf_counter()
        with span(
            f"{method} {path}",
            kind="server",
            parent=request.headers.get("traceparent"),
            attributes={"http.request.method": method, "http.route": path},
            bulk=bulk,
        ):
            response = await _respond(handle, request)
            set_attribute("http.response.status_code", response.status_code)
        metrics.HTTP_REQUESTS.labels(method, path, str(response.status_code)).inc()
        metrics.HTTP_SECONDS.labels(method, path).observe(time.perf_counter() - started)
        return response

    return Route(path, answer, methods=[method])


def probe(path: str, handle: Handler) -> Route:
    """Return a route that machines ask all the time: no span and no count."""

    async def answer(request: Request) -> Response:
        return await _respond(handle, request)

    return Route(path, answer, methods=["GET"])


async def _respond(handle: Handler, request: Request) -> Response:
    try:
        if _has_nul(request):
            raise NotFound("No name has the character NUL.")
        return await handle(request)
    except AutoWeaveError as error:
        if error.status >= 500:
            record_error(error)
        return problem(error)
    except Exception as error:  # noqa: BLE001 - the edge of a request: the log has it, the client gets a trace id
        _log.exception("request failed", path=request.url.path)
        record_error(error)
        return internal_problem()


def _has_nul(request: Request) -> bool:
    """PostgreSQL takes no text with NUL, not even to look for it."""
    return "\x00" in request.scope["path"] or b"%00" in request.scope["query_string"]

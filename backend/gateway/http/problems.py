"""Every error as RFC 9457 ``application/problem+json``, for people and programs."""

import math
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backend.foundation.kernel.errors import AutoWeaveError, NotFound
from backend.foundation.telemetry.tracing import current_trace_id
from backend.gateway.http.rates import rate_headers
from backend.governance.budgets.errors import EventsLimited

MEDIA_TYPE = "application/problem+json"
_TYPES = "https://autoweave.dev/errors/"


class RouteNotFound(NotFound):
    """No endpoint has this address."""

    code = "route_not_found"
    hint = "See /openapi.json for every endpoint."


class MethodNotAllowed(AutoWeaveError):
    """The endpoint exists, but not for this method."""

    code = "method_not_allowed"
    status = 405
    hint = "See /openapi.json for the methods of every endpoint."


def problem(error: AutoWeaveError) -> Response:
    """Return the response of an error: what happened, the next step, and the trace under which more is found."""
    content: dict[str, Any] = {
        "type": _TYPES + error.code,
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
        "trace_id": current_trace_id(),
    }
    if error.field is not None:
        content["field"] = error.field
    return Response(
        msgspec.json.encode(content), status_code=error.status, media_type=MEDIA_TYPE, headers=_headers(error)
    )


def _headers(error: AutoWeaveError) -> dict[str, str]:
    headers = {"cache-control": "no-store"}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="AutoWeave"'
    wait = getattr(error, "retry_after", None)
    if isinstance(wait, int | float):
        headers["retry-after"] = str(max(1, math.ceil(wait)))
    if isinstance(error, EventsLimited):
        headers |= rate_headers(error.quotas)
    return headers


def internal_problem() -> Response:
    """Return what an unforeseen error looks like from outside: nothing of its inside."""
    return problem(AutoWeaveError("Something in AutoWeave failed."))


async def routing_problem(request: Request, error: Exception) -> Response:
    """Return the problem of an address or method that does not exist."""
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response = problem(MethodNotAllowed(f"{request.method} does not work here."))
        response.headers.update(error.headers or {})
        return response
    return problem(RouteNotFound(f"There is no {request.url.path[:200]!r}."))

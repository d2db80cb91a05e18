"""``/asyncapi.json`` and ``.yaml``: every event, open like the OpenAPI document; one agent's, to its readers."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from backend.app import current
from backend.foundation.bus.rules import TopicPlan
from backend.gateway.http.callers import caller_of
from backend.reads.asyncapi import document

JSON, YAML = "application/json", "application/yaml"


async def as_json(_request: Request) -> Response:
    """Return the whole document as JSON."""
    return Response(_whole(JSON, current().bus.plan), media_type=JSON)


async def as_yaml(_request: Request) -> Response:
    """Return the whole document as YAML."""
    return Response(_whole(YAML, current().bus.plan), media_type=YAML)


async def agent_as_json(request: Request) -> Response:
    """Return the document of one of the tenant's agents as JSON."""
    return Response(_written(await _of_agent(request), JSON), media_type=JSON)


async def agent_as_yaml(request: Request) -> Response:
    """Return the document of one of the tenant's agents as YAML."""
    return Response(_written(await _of_agent(request), YAML), media_type=YAML)


async def _of_agent(request: Request) -> dict[str, Any]:
    caller = await caller_of(request)
    return document(await current().agents.get(caller, request.path_params["agent"]), plan=current().bus.plan)


@lru_cache(maxsize=4)
def _whole(kind: str, plan: Callable[[str], TopicPlan]) -> bytes:
    # Anybody may ask for it as often as he likes; for a process it never changes.
    return _written(document(plan=plan), kind)


def _written(described: dict[str, Any], kind: str) -> bytes:
    return msgspec.yaml.encode(described) if kind == YAML else msgspec.json.encode(described)

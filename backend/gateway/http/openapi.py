"""``/openapi.json``: every endpoint that programs use, described from the types that they take and give."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from backend.foundation.events.codec import STRUCTURED
from backend.foundation.events.types import CATALOGUE
from backend.gateway.http import shapes
from backend.gateway.http.asyncapi import JSON, YAML
from backend.gateway.http.events import BATCH
from backend.gateway.http.problems import MEDIA_TYPE
from backend.gateway.http.stream import EVENT_STREAM
from backend.governance.identity.rules import SESSION_COOKIE

_SCHEMAS = "#/components/schemas/"
_STRUCTS = (
    shapes.RunRequest, shapes.Run, shapes.Agents, shapes.Accepted, shapes.Problem, shapes.Ready, shapes.Alive,
)  # fmt: skip


_RATES = {
    "RateLimit-Policy": 'The limits, as `"caller";q=5000;w=5`: events at once, seconds to be full again.',
    "RateLimit": 'Where they stand, as `"caller";r=4990;t=1`: events left, seconds until all are there again.',
}


async def describe(_request: Request) -> Response:
    """Return the OpenAPI 3.1 document."""
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document as JSON values."""
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template=_SCHEMAS + "{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AutoWeave",
            "version": "1",
            "description": "Run agents, watch them, and publish events. Every error is an RFC 9457 problem.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}],
        "paths": {**_agents(), **_runs(), **_a2a(), **_events(), **_probes()},
        "components": {
            "schemas": {**schemas, **_event_schemas()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, aw_<id>_<secret>."},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "Our pages."},
            },
        },
    }


def _agents() -> dict[str, Any]:
    start = _operation(
        "startRun",
        "Ask an agent to run",
        "Needs `agents:run` and `agents:read`. Waits up to five minutes for the end; with `wait` false, or when it "
        "takes longer, 202 tells where to look. With `Accept: text/event-stream` the run is watched instead.",
        {
            "200": _json("The run is over, or its events follow.", "Run", stream=True),
            "202": _json("The run goes on.", "Run", headers={"Location": "Where the run is found."}),
        },
        parameters=[
            _parameter("agent", "path", "Id or slug of the agent."),
            _parameter("Idempotency-Key", "header", "The same key with the same body gives the same run."),
        ],
        body=_content({"application/json": "RunRequest"}),
    )
    return {
        "/v1/agents": {
            "get": _operation(
                "listAgents", "List the agents", "Needs `agents:read`.", {"200": _json("The agents.", "Agents")}
            )
        },
        "/v1/agents/{agent}/runs": {"post": start},
        "/v1/agents/{agent}/asyncapi.json": {"get": _asyncapi("agentAsyncApiJson", JSON, of_agent=True)},
        "/v1/agents/{agent}/asyncapi.yaml": {"get": _asyncapi("agentAsyncApiYaml", YAML, of_agent=True)},
    }


def _asyncapi(name: str, kind: str, *, of_agent: bool = False) -> dict[str, Any]:
    responses = {"200": {"description": "The AsyncAPI 3 document.", "content": {kind: {"schema": {"type": "object"}}}}}
    if not of_agent:
        return _open(name, "Every event of the product", responses)
    agent = [_parameter("agent", "path", "Id or slug of the agent.")]
    return _operation(name, "The events of an agent", "Needs `agents:read`.", responses, parameters=agent)


def _runs() -> dict[str, Any]:
    run = [_parameter("run", "path", "Id of the run.")]
    cursor = _parameter("Last-Event-ID", "header", "Cursor of the last event seen; what came after it follows.")
    stream = {"description": "The events.", "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
    return {
        "/v1/runs/{run}": {
            "get": _operation(
                "getRun", "Look at a run", "Needs `agents:read`.", {"200": _json("The run.", "Run")}, parameters=run
            )
        },
        "/v1/runs/{run}/events": {
            "get": _operation(
                "watchRun",
                "Watch a run",
                "Server-sent events `status`, `token`, `tool` and `reset`, then `done` or `error`, which ends them. "
                "Needs `agents:read`.",
                {"200": stream},
                parameters=[*run, cursor],
            )
        },
        "/v1/runs/{run}/cancel": {
            "post": _operation(
                "cancelRun",
                "Stop a run",
                "What it made until then is kept. Needs `agents:run`.",
                {"200": _json("The run is over.", "Run"), "202": _json("The run is stopping.", "Run")},
                parameters=run,
            )
        },
    }


def _a2a() -> dict[str, Any]:
    agent = [_parameter("agent", "path", "Id of the agent.")]
    card = {"200": _object("The signed agent card of A2A 1.0.")}
    talk = _operation(
        "talkA2a",
        "Talk to an agent by A2A",
        "JSON-RPC 2.0 with `SendMessage`, `GetTask` and `CancelTask` of A2A 1.0; a task is a run. Send `A2A-Version: "
        "1.0`. Needs `agents:read`, and `agents:run` for messages and cancels.",
        {"200": _object("The response, or an error of the protocol.")},
        parameters=agent,
        body={"content": {"application/json": {"schema": {"type": "object"}}}},
    )
    private = _operation(
        "agentCard",
        "An agent's card",
        "That of a published agent is told to anybody, any other needs a key of its tenant with `agents:read`.",
        card,
        parameters=agent,
    )
    keys = _open("cardKeys", "The public keys that verify a tenant's cards", {"200": _object("A JSON Web Key Set.")})
    only = _open("publishedCard", "The one published card, or that of the query's `agent`", card)
    return {
        "/a2a/{agent}": {"post": talk},
        "/a2a/{agent}/.well-known/agent-card.json": {"get": private},
        "/a2a/keys/{tenant}": {"get": {**keys, "parameters": [_parameter("tenant", "path", "Id of the tenant.")]}},
        "/.well-known/agent-card.json": {"get": only},
    }


def _object(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}


def _events() -> dict[str, Any]:
    topics = sorted({entry.topic for entry in CATALOGUE.values() if entry.public})
    content = _content({STRUCTURED: "CloudEvent", "application/json": "EventData"})
    content["content"][BATCH] = {"schema": {"type": "array", "items": {"$ref": _SCHEMAS + "CloudEvent"}}}
    return {
        "/events/{topic}": {
            "post": _operation(
                "publishEvents",
                "Publish events",
                "CloudEvents 1.0 in binary mode (`ce-` headers, JSON data), structured or batch mode; at most 500 and "
                "1 MiB, all or none. They belong to the key's tenant. Each event counts against the limits of the "
                "caller and of the workspace. Needs `events:publish`.",
                {
                    "202": _json("The events are stored.", "Accepted", headers=_RATES),
                    "429": _too_many(),
                },
                parameters=[_parameter("topic", "path", "Topic of the events.", enum=topics)],
                body=content,
            )
        }
    }


def _too_many() -> dict[str, Any]:
    headers = {"Retry-After": "Seconds after which as many are admitted.", **_RATES}
    return {
        "description": "The caller or the workspace sends too much. Nothing was taken; send it again later.",
        "headers": _headers(headers),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": _SCHEMAS + "Problem"},
                "example": {
                    "type": "https://autoweave.dev/errors/events_limited",
                    "title": "Events limited",
                    "status": 429,
                    "detail": "This caller sends more than 1,000 events a second.",
                    "code": "events_limited",
                    "hint": "Wait 1 s, then send it again; an operator can raise AUTOWEAVE_EVENTS_PER_SECOND.",
                    "trace_id": "0af7651916cd43dd8448eb211c80319c",
                },
            }
        },
    }


def _headers(words: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"description": said, "schema": {"type": "string"}} for name, said in words.items()}


def _probes() -> dict[str, Any]:
    text = {"description": "Figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    ready = {"200": _json("It can serve.", "Ready"), "503": _json("A part is down.", "Ready", problem=True)}
    return {
        "/asyncapi.json": {"get": _asyncapi("asyncApiJson", JSON)},
        "/asyncapi.yaml": {"get": _asyncapi("asyncApiYaml", YAML)},
        "/health": {"get": _open("health", "Whether this process answers", {"200": _json("It does.", "Alive")})},
        "/ready": {"get": _open("ready", "Whether this process can serve", ready)},
        "/metrics": {
            "get": _operation(
                "metrics", "Figures for Prometheus", "To this machine itself, or with `health:read`.", {"200": text}
            )
        },
    }


def _event_schemas() -> dict[str, Any]:
    public = {name: entry for name, entry in CATALOGUE.items() if entry.public}
    _, schemas = msgspec.json.schema_components([one.data for one in public.values()], ref_template=_SCHEMAS + "{name}")
    text = {"type": "string", "minLength": 1, "maxLength": 256}
    event = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": {"enum": sorted(public)},
            "subject": {"type": "string", "maxLength": 256},
            "time": {"type": "string", "format": "date-time"},
            "partitionkey": {"type": "string", "maxLength": 256},
            "data": {"$ref": _SCHEMAS + "EventData"},
        },
    }
    data = {"oneOf": [{"$ref": _SCHEMAS + entry.data.__name__} for entry in public.values()]}
    return {**schemas, "CloudEvent": event, "EventData": data}


def _open(name: str, summary: str, responses: Mapping[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "security": [], "responses": responses}


def _operation(
    name: str,
    summary: str,
    description: str,
    responses: Mapping[str, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    problem = {"description": "It was not done.", "content": {MEDIA_TYPE: {"schema": {"$ref": _SCHEMAS + "Problem"}}}}
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "description": description}
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, **body}
    return {**operation, "responses": {**responses, "default": problem}}


def _parameter(name: str, place: str, description: str, *, enum: list[str] | None = None) -> dict[str, Any]:
    schema = {"type": "string"} | ({"enum": enum} if enum else {})
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


def _content(kinds: Mapping[str, str]) -> dict[str, Any]:
    return {"content": {kind: {"schema": {"$ref": _SCHEMAS + name}} for kind, name in kinds.items()}}


def _json(
    description: str,
    name: str,
    *,
    stream: bool = False,
    problem: bool = False,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    response: dict[str, Any] = {"description": description, **_content({"application/json": name})}
    if stream:
        response["content"][EVENT_STREAM] = {"schema": {"type": "string"}}
    if problem:
        response["content"][MEDIA_TYPE] = {"schema": {"$ref": _SCHEMAS + "Problem"}}
    if headers:
        response["headers"] = _headers(headers)
    return response

"""``/openapi.json``: every endpoint that programs use, described from the types that they take and give."""

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
from backend.gateway.http.openapi_parts import SCHEMAS, content, headers_of, json_answer, opened, operation, parameter
from backend.gateway.http.openapi_webhooks import STRUCTS, webhook_paths
from backend.gateway.http.problems import MEDIA_TYPE
from backend.gateway.http.stream import EVENT_STREAM
from backend.governance.identity.rules import SESSION_COOKIE

_STRUCTS = (
    shapes.RunRequest, shapes.Run, shapes.Agents, shapes.Cards, shapes.Accepted, shapes.Problem, shapes.Ready,
    shapes.Alive, *STRUCTS,
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
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template=SCHEMAS + "{name}")
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
        "paths": {**_agents(), **_runs(), **_a2a(), **_events(), **webhook_paths(), **_probes()},
        "components": {
            "schemas": {**schemas, **_event_schemas()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, aw_<id>_<secret>."},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "Our pages."},
            },
        },
    }


def _agents() -> dict[str, Any]:
    start = operation(
        "startRun",
        "Ask an agent to run",
        "Needs `agents:run` and `agents:read`. Waits up to five minutes for the end; with `wait` false, or when it "
        "takes longer, 202 tells where to look. With `Accept: text/event-stream` the run is watched instead.",
        {
            "200": json_answer("The run is over, or its events follow.", "Run", stream=True),
            "202": json_answer("The run goes on.", "Run", headers={"Location": "Where the run is found."}),
        },
        parameters=[
            parameter("agent", "path", "Id or slug of the agent."),
            parameter("Idempotency-Key", "header", "The same key with the same body gives the same run."),
        ],
        body=content({"application/json": "RunRequest"}),
    )
    return {
        "/v1/agents": {
            "get": operation(
                "listAgents", "List the agents", "Needs `agents:read`.", {"200": json_answer("The agents.", "Agents")}
            )
        },
        "/v1/agents/cards": {
            "get": operation(
                "listCards",
                "List the agents with their cards",
                "Who is there, and who is alive; a hundred by their ids. Needs `agents:read`.",
                {"200": json_answer("The cards.", "Cards")},
                parameters=[parameter("after", "query", "`next` of the page before.")],
            )
        },
        "/v1/agents/{agent}/runs": {"post": start},
        "/v1/agents/{agent}/asyncapi.json": {"get": _asyncapi("agentAsyncApiJson", JSON, of_agent=True)},
        "/v1/agents/{agent}/asyncapi.yaml": {"get": _asyncapi("agentAsyncApiYaml", YAML, of_agent=True)},
    }


def _asyncapi(name: str, kind: str, *, of_agent: bool = False) -> dict[str, Any]:
    responses = {"200": {"description": "The AsyncAPI 3 document.", "content": {kind: {"schema": {"type": "object"}}}}}
    if not of_agent:
        return opened(name, "Every event of the product", responses)
    agent = [parameter("agent", "path", "Id or slug of the agent.")]
    return operation(name, "The events of an agent", "Needs `agents:read`.", responses, parameters=agent)


def _runs() -> dict[str, Any]:
    run = [parameter("run", "path", "Id of the run.")]
    cursor = parameter("Last-Event-ID", "header", "Cursor of the last event seen; what came after it follows.")
    stream = {"description": "The events.", "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
    return {
        "/v1/runs/{run}": {
            "get": operation(
                "getRun",
                "Look at a run",
                "Needs `agents:read`.",
                {"200": json_answer("The run.", "Run")},
                parameters=run,
            )
        },
        "/v1/runs/{run}/events": {
            "get": operation(
                "watchRun",
                "Watch a run",
                "Server-sent events `status`, `token`, `tool` and `reset`, then `done` or `error`, which ends them. "
                "Needs `agents:read`.",
                {"200": stream},
                parameters=[*run, cursor],
            )
        },
        "/v1/runs/{run}/cancel": {
            "post": operation(
                "cancelRun",
                "Stop a run",
                "What it made until then is kept. Needs `agents:run`.",
                {"200": json_answer("The run is over.", "Run"), "202": json_answer("The run is stopping.", "Run")},
                parameters=run,
            )
        },
    }


def _a2a() -> dict[str, Any]:
    agent = [parameter("agent", "path", "Id of the agent.")]
    card = {"200": _object("The signed agent card of A2A 1.0.")}
    talk = operation(
        "talkA2a",
        "Talk to an agent by A2A",
        "JSON-RPC 2.0 with `SendMessage`, `SendStreamingMessage`, `SubscribeToTask`, `GetTask`, `ListTasks` and "
        "`CancelTask` of A2A 1.0; a task is a run. Send `A2A-Version: 1.0`. Needs `agents:read`, and `agents:run` for "
        "messages and cancels.",
        {"200": _talked()},
        parameters=agent,
        body={"content": {"application/json": {"schema": {"type": "object"}}}},
    )
    private = operation(
        "agentCard",
        "An agent's card",
        "That of a published agent is told to anybody, any other needs a key of its tenant with `agents:read`.",
        card,
        parameters=agent,
    )
    keys = opened("cardKeys", "The public keys that verify a tenant's cards", {"200": _object("A JSON Web Key Set.")})
    only = opened("publishedCard", "The one published card, or that of the query's `agent`", card)
    return {
        "/a2a/{agent}": {"post": talk},
        "/a2a/{agent}/.well-known/agent-card.json": {"get": private},
        "/a2a/keys/{tenant}": {"get": {**keys, "parameters": [parameter("tenant", "path", "Id of the tenant.")]}},
        "/.well-known/agent-card.json": {"get": only},
    }


def _talked() -> dict[str, Any]:
    """A response is JSON, but for what is streamed."""
    found = _object("The response, the events of a task, each in a response, or an error of the protocol.")
    return found | {"content": found["content"] | {"text/event-stream": {"schema": {"type": "string"}}}}


def _object(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}


def _events() -> dict[str, Any]:
    topics = sorted({entry.topic for entry in CATALOGUE.values() if entry.public})
    body = content({STRUCTURED: "CloudEvent", "application/json": "EventData"})
    body["content"][BATCH] = {"schema": {"type": "array", "items": {"$ref": SCHEMAS + "CloudEvent"}}}
    return {
        "/events/{topic}": {
            "post": operation(
                "publishEvents",
                "Publish events",
                "CloudEvents 1.0 in binary mode (`ce-` headers, JSON data), structured or batch mode; at most 500 and "
                "1 MiB, all or none. They belong to the key's tenant. Each event counts against the limits of the "
                "caller and of the workspace. Needs `events:publish`.",
                {
                    "202": json_answer("The events are stored.", "Accepted", headers=_RATES),
                    "429": _too_many(),
                },
                parameters=[parameter("topic", "path", "Topic of the events.", enum=topics)],
                body=body,
            )
        }
    }


def _too_many() -> dict[str, Any]:
    headers = {"Retry-After": "Seconds after which as many are admitted.", **_RATES}
    return {
        "description": "The caller or the workspace sends too much. Nothing was taken; send it again later.",
        "headers": headers_of(headers),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": SCHEMAS + "Problem"},
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


def _probes() -> dict[str, Any]:
    text = {"description": "Figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    ready = {"200": json_answer("It can serve.", "Ready"), "503": json_answer("A part is down.", "Ready", problem=True)}
    return {
        "/asyncapi.json": {"get": _asyncapi("asyncApiJson", JSON)},
        "/asyncapi.yaml": {"get": _asyncapi("asyncApiYaml", YAML)},
        "/health": {"get": opened("health", "Whether this process answers", {"200": json_answer("It does.", "Alive")})},
        "/ready": {"get": opened("ready", "Whether this process can serve", ready)},
        "/metrics": {
            "get": operation(
                "metrics", "Figures for Prometheus", "To this machine itself, or with `health:read`.", {"200": text}
            )
        },
    }


def _event_schemas() -> dict[str, Any]:
    public = {name: entry for name, entry in CATALOGUE.items() if entry.public}
    _, schemas = msgspec.json.schema_components([one.data for one in public.values()], ref_template=SCHEMAS + "{name}")
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
            "data": {"$ref": SCHEMAS + "EventData"},
        },
    }
    data = {"oneOf": [{"$ref": SCHEMAS + entry.data.__name__} for entry in public.values()]}
    return {**schemas, "CloudEvent": event, "EventData": data}

"""The AsyncAPI 3 document of the product's events, whole or as one agent sees them.

It is made of the catalogue and tells nothing of an installation but how its topics have to be: servers are variables,
examples are made up.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from backend.domain.agents.views import AgentView
from backend.foundation.bus.rules import CLEANUP, KEEP_MESSAGES, KEEP_MS, RETENTION, TopicPlan, group_of, plan_of
from backend.foundation.events.codec import encode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE, EventType
from backend.foundation.kernel.ids import TenantId

_ABOUT_AGENTS = frozenset({"agents", "directory", "flows"})
"""The rooms that act for an agent: one starts its runs, one tells who it is, one does the runs."""

_SCHEMAS = "#/components/schemas/"
_MESSAGES = "#/components/messages/"
_BINDING = "0.5.0"
_EXAMPLE_MS = 1_767_225_600_000
_TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_TEXT = {"type": "string", "minLength": 1}
_DESCRIPTION = (
    "Every event is a CloudEvent 1.0 in binary mode: its attributes are headers named `ce_<attribute>`, its payload is "
    "JSON. Structured mode (`application/cloudevents+json`) is understood too. An event is delivered at least once and "
    "handled once; events of one partition key keep their order. An installation with a name space of its own puts "
    "that, and a dot, before each topic of Kafka."
)


def document(agent: AgentView | None = None, *, plan: Callable[[str], TopicPlan] = plan_of) -> dict[str, Any]:
    """Return the document as JSON values: of all that is registered, or of what one agent receives and sends.

    Args:
        plan: how a topic has to be; by default, as without settings.
    """
    entries = [entry for _, entry in sorted(CATALOGUE.items()) if agent is None or _concerns(entry)]
    return {
        "asyncapi": "3.0.0",
        "info": _info(agent),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {topic: _channel(plan(topic), entries) for topic in sorted({entry.topic for entry in entries})},
        "operations": dict(_operations(entries, agent)),
        "components": {
            "messages": {entry.name: _message(entry, agent) for entry in entries},
            "schemas": _schemas(entries, agent),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key with `events:publish`."}
            },
        },
    }


def _concerns(entry: EventType) -> bool:
    return "agent" in entry.data.__struct_fields__


def _info(agent: AgentView | None) -> dict[str, Any]:
    words = {"title": "AutoWeave", "version": "1", "description": _DESCRIPTION}
    if agent is not None:
        about = f"{agent.description.strip()}\n\n" if agent.description.strip() else ""
        words |= {"title": agent.name, "description": f"{about}What this agent receives and sends.\n\n{_DESCRIPTION}"}
    return {**words, "license": {"name": "MIT"}, "tags": [{"name": "autoweave"}]}


def _servers() -> dict[str, Any]:
    def server(protocol: str, variable: str, default: str, description: str) -> dict[str, Any]:
        variables = {variable: {"default": default, "description": description}}
        return {"host": f"{{{variable}}}", "protocol": protocol, "variables": variables}

    return {
        "kafka": server("kafka", "brokers", "localhost:9092", "Apache Kafka, where `bus.url` names one.")
        | {"description": "The bus of installations that have Apache Kafka."},
        "embedded": server("redis", "server", "localhost:6379", "The Valkey or Redis server of the installation.")
        | {"description": "The bus of installations without Kafka: streams of Valkey, for AutoWeave's own processes."},
        "door": server("http", "host", "localhost:8000", "Where the pages are.")
        | {
            "description": "`POST /events/{topic}`, by the HTTP binding of CloudEvents: headers are named `ce-<name>`.",
            "security": [{"$ref": "#/components/securitySchemes/key"}],
        },
    }


def _channel(plan: TopicPlan, entries: list[EventType]) -> dict[str, Any]:
    topic = plan.name
    here = [entry for entry in entries if entry.topic == topic]
    servers = ["kafka", "embedded", *(["door"] if any(entry.public for entry in here) else [])]
    return {
        "address": topic,
        "description": " ".join(entry.summary for entry in here),
        "servers": [{"$ref": f"#/servers/{name}"} for name in servers],
        "messages": {entry.name: {"$ref": _MESSAGES + entry.name} for entry in here},
        "bindings": {"kafka": {"topic": topic, "partitions": plan.partitions, "bindingVersion": _BINDING}},
        "x-retention": _retention(plan),
    }


def _retention(plan: TopicPlan) -> dict[str, Any]:
    """Return how long each of the two buses keeps a topic's events, as Kafka names it."""
    cleanup, keep = plan.settings[CLEANUP], plan.settings.get(RETENTION)
    kafka = {CLEANUP: cleanup, RETENTION: int(keep) if keep else "As the broker is set."}
    embedded = {CLEANUP: cleanup, RETENTION: int(keep) if keep else KEEP_MS, "retention.messages": KEEP_MESSAGES}
    return {"kafka": kafka, "embedded": embedded}


def _operations(entries: list[EventType], agent: AgentView | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in entries:
        for room in entry.published_by:
            if agent is None or room in _ABOUT_AGENTS:
                yield f"{room}-sends-{entry.name}", _operation("send", room, entry)
        for consumer in entry.handled_by:
            if agent is None or consumer in _ABOUT_AGENTS:
                yield f"{consumer}-receives-{entry.name}", _operation("receive", consumer, entry)


def _operation(action: str, room: str, entry: EventType) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{entry.topic}"},
        "title": f"{room} {action}s {entry.name}",
        "summary": entry.summary,
        "tags": [{"name": room}],
        "messages": [{"$ref": f"#/channels/{entry.topic}/messages/{entry.name}"}],
    }
    if action == "receive":
        group = {"type": "string", "enum": [group_of(room)]}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": _BINDING}}
    return operation


def _message(entry: EventType, agent: AgentView | None) -> dict[str, Any]:
    payload = _as_json(entry.example)
    if agent is not None:
        payload |= {"agent": agent.slug}
    return {
        "name": entry.name,
        "title": entry.data.__name__,
        "summary": entry.summary,
        "contentType": "application/json",
        "headers": _headers(entry),
        "payload": {"$ref": _SCHEMAS + entry.data.__name__},
        "tags": [{"name": room} for room in (*entry.published_by, *(["programs"] if entry.public else []))],
        "bindings": {
            "kafka": {"key": {"type": "string", "description": entry.key}, "bindingVersion": _BINDING},
        },
        "examples": [{"name": "example", "headers": _example_headers(entry), "payload": payload}],
        "x-partition-key": {"header": "ce_partitionkey", "description": entry.key},
    }


def _headers(entry: EventType) -> dict[str, Any]:
    time = {"type": "string", "format": "date-time", "description": "When it happened; now, where it is missing."}
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_tenantid"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": {**_TEXT, "description": "An event with an id seen before is not handled again."},
            "ce_source": {**_TEXT, "description": "The part that tells it, as a URI reference."},
            "ce_type": {"type": "string", "const": entry.name},
            "ce_tenantid": {**_TEXT, "description": "Whose it is; the door sets it to the tenant of the key."},
            "ce_time": time,
            "ce_partitionkey": {"type": "string", "description": f"{entry.key} The broker's key where it is missing."},
            "ce_subject": {"type": "string", "description": "What it is about."},
            "ce_traceparent": {"type": "string", "description": "W3C trace context of the sender."},
            "content-type": {"type": "string", "const": "application/json"},
        },
    }


def _example_headers(entry: EventType) -> dict[str, str]:
    event = Event(
        type=entry.name, tenant=TenantId("tnt_1"), key="thr_1", data=entry.example, source="/example", id="evt_1",
        time_ms=_EXAMPLE_MS, traceparent=_TRACEPARENT,
    )  # fmt: skip
    return encode(event).headers


def _schemas(entries: list[EventType], agent: AgentView | None) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components([one.data for one in entries], ref_template=_SCHEMAS + "{name}")
    described = {name: _one_line(_as_json(schema)) for name, schema in sorted(schemas.items())}
    if agent is not None:
        for entry in entries:
            described[entry.data.__name__]["properties"]["agent"]["enum"] = [agent.slug, agent.id]
    return described


def _as_json(value: object) -> Any:
    # A tuple is no JSON value, and would differ from what is read of the written document.
    return msgspec.json.decode(msgspec.json.encode(value))


def _one_line(schema: Mapping[str, Any]) -> dict[str, Any]:
    # A docstring comes with the line ends and the indentation of its source.
    words = {"description": " ".join(schema["description"].split())} if "description" in schema else {}
    return {**schema, **words}

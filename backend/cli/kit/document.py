"""Writes the AsyncAPI 3 document of a mesh."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml

from backend.cli.kit.examples import example
from backend.cli.kit.mesh import Agent, Kind, Mesh, Topic

_BINDING = "0.5.0"
_SCHEMAS = "#/components/schemas/"
_TEXT = {"type": "string", "minLength": 1}


def asyncapi(mesh: Mesh) -> str:
    """Return the document as YAML, without anchors."""
    return yaml.dump(_document(mesh), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _document(mesh: Mesh) -> dict[str, Any]:
    about = f"{mesh.description}\n\n" if mesh.description else ""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": mesh.name,
            "version": mesh.version,
            "description": f"{about}Every event is a CloudEvent 1.0 in binary mode: its attributes are headers named "
            "`ce_<attribute>`, its payload is JSON. An event is delivered at least once, and has the same id each "
            "time; events of one key keep their order.",
            "tags": [{"name": mesh.name}],
        },
        "defaultContentType": "application/json",
        "servers": _servers(mesh),
        "channels": {topic.name: _channel(topic) for topic in mesh.topics.values()},
        "operations": dict(_operations(mesh)),
        "components": {
            "messages": {topic.name: _message(mesh, topic) for topic in mesh.topics.values()},
            "schemas": {name: _published(schema) for name, schema in mesh.schemas.items()},
        },
    }


def _servers(mesh: Mesh) -> dict[str, Any]:
    def server(protocol: str, variable: str, default: str, description: str) -> dict[str, Any]:
        variables = {variable: {"default": default, "description": description}}
        return {"host": f"{{{variable}}}", "protocol": protocol, "description": description, "variables": variables}

    found = {
        "kafka": server("kafka", "brokers", "localhost:9092", "Apache Kafka, where BUS_URL names one."),
        "streams": server("redis", "server", "localhost:6379", "Streams of Valkey or Redis, where there is no Kafka."),
    }
    doors = {"door": server("http", "host", "localhost:8080", "What is posted here becomes an event.")}
    return found | (doors if mesh.of_kind(Kind.PRODUCER) else {})


def _channel(topic: Topic) -> dict[str, Any]:
    described = {"description": topic.description} if topic.description else {}
    return {
        "address": topic.name,
        **described,
        "servers": [{"$ref": "#/servers/kafka"}, {"$ref": "#/servers/streams"}],
        "messages": {topic.name: {"$ref": f"#/components/messages/{_escaped(topic.name)}"}},
        "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": _BINDING}},
    }


def _operations(mesh: Mesh) -> Iterator[tuple[str, dict[str, Any]]]:
    for agent in mesh.agents.values():
        for topic in agent.publishes:
            yield f"{agent.name}-sends-{topic}", _operation("send", agent, topic)
        for topic in agent.consumes:
            yield f"{agent.name}-receives-{topic}", _operation("receive", agent, topic)


def _operation(action: str, agent: Agent, topic: str) -> dict[str, Any]:
    channel = f"#/channels/{_escaped(topic)}"
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": channel},
        "title": f"{agent.name} {action}s {topic}",
        "tags": [{"name": agent.name}],
        "messages": [{"$ref": f"{channel}/messages/{_escaped(topic)}"}],
    }
    if agent.description:
        operation["description"] = agent.description
    if agent.path:
        operation["x-door"] = {"method": "POST", "path": agent.path}
    if action == "receive":
        group = {"type": "string", "enum": [agent.name]}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": _BINDING}}
    return operation


def _message(mesh: Mesh, topic: Topic) -> dict[str, Any]:
    key = f"The property `{topic.key}`; events that have it alike keep their order."
    return {
        "name": topic.name,
        "title": topic.schema,
        "summary": topic.description or topic.name,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
            "properties": {
                "ce_specversion": {"type": "string", "const": "1.0"},
                "ce_id": {**_TEXT, "description": "An event with an id seen before is not handled again."},
                "ce_source": {**_TEXT, "description": "The agent that tells it, as a URI reference."},
                "ce_type": {"type": "string", "const": topic.name},
                "ce_time": {"type": "string", "format": "date-time", "description": "When it happened."},
                "ce_tenantid": {"type": "string", "description": "Whose it is."},
                "ce_partitionkey": {"type": "string", "description": key},
                "ce_traceparent": {"type": "string", "description": "W3C trace context of the sender."},
                "content-type": {"type": "string", "const": "application/json"},
            },
        },
        "payload": {"$ref": _SCHEMAS + topic.schema},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": _BINDING}},
        "examples": [{"name": "example", "payload": example(mesh, topic.schema)}],
        "x-partition-key": {"header": "ce_partitionkey", "description": key},
    }


def _published(value: Any) -> Any:
    """Return a schema whose references lead to where the document has the others."""
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, Any]", value)
        return {
            name: str(part).replace("#/schemas/", _SCHEMAS, 1) if name == "$ref" else _published(part)
            for name, part in parts.items()
        }
    return value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

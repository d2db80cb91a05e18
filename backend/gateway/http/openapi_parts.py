"""Pieces of the OpenAPI document: operations, parameters, bodies and answers."""

from collections.abc import Mapping
from typing import Any

from backend.gateway.http.problems import MEDIA_TYPE
from backend.gateway.http.stream import EVENT_STREAM

SCHEMAS = "#/components/schemas/"


def opened(name: str, summary: str, responses: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation that anybody may ask for."""
    return {"operationId": name, "summary": summary, "security": [], "responses": responses}


def operation(
    name: str,
    summary: str,
    description: str,
    responses: Mapping[str, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an operation that needs a key or a session, and answers with a problem when it was not done."""
    problem = {"description": "It was not done.", "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + "Problem"}}}}
    described: dict[str, Any] = {"operationId": name, "summary": summary, "description": description}
    if parameters:
        described["parameters"] = parameters
    if body:
        described["requestBody"] = {"required": True, **body}
    return {**described, "responses": {**responses, "default": problem}}


def parameter(name: str, place: str, description: str, *, enum: list[str] | None = None) -> dict[str, Any]:
    """Return a parameter; ``place`` is ``path``, ``query`` or ``header``."""
    schema = {"type": "string"} | ({"enum": enum} if enum else {})
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


def content(kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return a body; ``kinds`` are the names of schemas by media type."""
    return {"content": {kind: {"schema": {"$ref": SCHEMAS + name}} for kind, name in kinds.items()}}


def json_answer(
    description: str,
    name: str,
    *,
    stream: bool = False,
    problem: bool = False,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return an answer in JSON by the schema of that name."""
    response: dict[str, Any] = {"description": description, **content({"application/json": name})}
    if stream:
        response["content"][EVENT_STREAM] = {"schema": {"type": "string"}}
    if problem:
        response["content"][MEDIA_TYPE] = {"schema": {"$ref": SCHEMAS + "Problem"}}
    if headers:
        response["headers"] = headers_of(headers)
    return response


def headers_of(words: Mapping[str, str]) -> dict[str, Any]:
    """Return the headers of an answer, by what they say."""
    return {name: {"description": said, "schema": {"type": "string"}} for name, said in words.items()}

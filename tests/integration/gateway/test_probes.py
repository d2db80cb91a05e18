"""API-2: health, readiness, metrics and the OpenAPI document."""

import pytest

from backend.foundation.kernel.errors import Unavailable
from backend.gateway.http import Door, create_app
from backend.gateway.http.openapi import document
from tests.fixtures.door import Installation

pytestmark = pytest.mark.integration


async def test_a_process_is_alive_whatever_is_down(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> float:
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(type(sqlite_installation.backend.database), "ping", down)
    async with sqlite_installation.client() as client:
        alive, ready = await client.get("/health"), await client.get("/ready")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert ready.status_code == 503
    assert {part["name"]: part["ok"] for part in ready.json()["parts"]} == {
        "database": False,
        "live": True,
        "bus": True,
    }
    assert "answer" not in ready.text


async def test_a_process_is_ready_when_its_parts_answer(installation: Installation) -> None:
    async with installation.client() as client:
        answer = await client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert all(part["ok"] and part["latency_ms"] >= 0 for part in answer.json()["parts"])


async def test_probes_come_by_any_name_and_nothing_else_does(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key, base="http://10.244.0.17:8000") as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/ready")).status_code == 200
        refused = await client.get("/v1/agents")
    assert (refused.status_code, refused.json()["code"]) == (421, "host_not_allowed")


async def test_figures_are_for_this_machine_or_a_key(sqlite_installation: Installation) -> None:
    """IDN-2."""
    far = "203.0.113.5"
    async with sqlite_installation.client() as client:
        await client.get("/v1/agents")
        near = await client.get("/metrics")
        through_proxy = await client.get("/metrics", headers={"x-forwarded-for": "203.0.113.5"})
    async with sqlite_installation.client(peer=far) as client:
        refused = await client.get("/metrics")
    async with sqlite_installation.client(sqlite_installation.ada_key, peer=far) as client:
        allowed = await client.get("/metrics")
    made = await sqlite_installation.backend.identity.create_api_key(
        sqlite_installation.ada, name="k", scopes=["chat:use"], expires_days=1
    )
    async with sqlite_installation.client(made.secret, peer=far) as client:
        wrong_scope = await client.get("/metrics")
    assert near.status_code == allowed.status_code == 200
    assert 'autoweave_http_requests_total{method="GET"' in near.text
    assert near.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (through_proxy.status_code, refused.status_code, wrong_scope.status_code) == (401, 401, 403)


async def test_the_document_names_every_endpoint_of_programs(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client() as client:
        described = (await client.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    app = create_app(Door())
    served = {
        (route.path, method.lower())
        for route in app.routes
        for method in route.methods - {"HEAD"}
        if "{rest" not in route.path and not route.path.startswith("/auth") and route.path != "/openapi.json"
    }
    assert {(path, method) for path, item in described["paths"].items() for method in item} == served


def test_every_reference_of_the_document_leads_somewhere() -> None:
    described = document()
    schemas = described["components"]["schemas"]

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [one for item in value.values() for one in references(item)]
        return [one for item in value for one in references(item)] if isinstance(value, list) else []

    found = references(described)
    assert found
    assert all(one.removeprefix("#/components/schemas/") in schemas for one in found)
    identifiers = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
    assert len(set(identifiers)) == len(identifiers)

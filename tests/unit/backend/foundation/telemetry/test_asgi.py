"""The HTTP server's spans, behind Starlette's own routing."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from backend.foundation.telemetry import current_traceparent, metrics, set_tenant, span
from backend.foundation.telemetry.asgi import TraceRequests
from backend.foundation.telemetry.tracing import RecordedSpan
from backend.foundation.telemetry.tracing.current import record_nowhere, record_to


@pytest.fixture
def finished() -> Iterator[list[RecordedSpan]]:
    """What was recorded."""
    spans: list[RecordedSpan] = []
    record_to(spans.append, event_ratio=0.0)
    yield spans
    record_nowhere()


async def _thread(request: Request) -> PlainTextResponse:
    set_tenant("ten_1")
    with span("chat.thread"):
        return PlainTextResponse(request.path_params["thread"])


async def _broken(request: Request) -> PlainTextResponse:
    raise RuntimeError("it broke")


async def _stream(request: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"data: x\n\n"

    return StreamingResponse(chunks())


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(current_traceparent())


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A browser at a traced app."""
    inner = Starlette(routes=[Route("/threads/{thread}", _thread)])
    routes = [
        Mount("/v1", app=inner),
        Route("/auth/broken", _broken),
        Route("/mcp/{run}/stream", _stream),
        Route("/events/{topic}", _echo, methods=["POST"]),
        Route("/health", _echo),
        Route("/chat", _echo),
    ]
    transport = httpx.ASGITransport(TraceRequests(Starlette(routes=routes)), raise_app_exceptions=False)  # pyright: ignore
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


def _count(method: str, route: str, status: str) -> float:
    return metrics.HTTP_REQUESTS.labels(method, route, status)._value.get()


async def test_a_request_is_one_span_with_its_route_and_what_is_done_inside(
    client: httpx.AsyncClient, finished: list[RecordedSpan]
) -> None:
    """OBS-1."""
    before = _count("GET", "/v1/threads/{thread}", "200")
    answer = await client.get("/v1/threads/thr_1?token=hunter22")
    child, request = finished
    assert (request.name, request.kind, request.status, request.tenant) == (
        "GET /v1/threads/{thread}",
        "server",
        "ok",
        "ten_1",
    )
    assert request.attributes["http.response.status_code"] == 200
    assert "hunter22" not in str(request.attributes)
    assert child.parent == request.context.span_id
    assert answer.headers["x-trace-id"] == request.context.trace_id
    assert _count("GET", "/v1/threads/{thread}", "200") == before + 1


async def test_a_client_that_sends_a_traceparent_goes_on_in_its_own_trace(
    client: httpx.AsyncClient, finished: list[RecordedSpan]
) -> None:
    """OBS-1."""
    await client.get("/v1/threads/thr_1", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    assert finished[1].context.trace_id == "a" * 32
    assert finished[1].parent == "b" * 16


@pytest.mark.parametrize("sent", ["", "junk", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 10_000])
async def test_a_bad_traceparent_starts_a_new_trace(
    client: httpx.AsyncClient, finished: list[RecordedSpan], sent: str
) -> None:
    """OBS-1."""
    await client.get("/v1/threads/thr_1", headers={"traceparent": sent})
    assert finished[1].parent == ""


async def test_a_stream_is_one_span_whatever_its_parts(client: httpx.AsyncClient, finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    await client.get("/mcp/run_1/stream")
    assert [one.name for one in finished] == ["GET /mcp/{run}/stream"]


async def test_an_error_is_a_failed_span_and_a_500(client: httpx.AsyncClient, finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    before = _count("GET", "/auth/broken", "500")
    await client.get("/auth/broken")
    assert finished[0].status == "error"
    assert finished[0].attributes["error.type"] == "RuntimeError"
    assert _count("GET", "/auth/broken", "500") == before + 1


async def test_paths_without_a_route_share_one_label(client: httpx.AsyncClient, finished: list[RecordedSpan]) -> None:
    """OBS-1."""
    before = _count("GET", "other", "404")
    for number in range(5):
        await client.get(f"/v1/nothing/{number}/x")
    assert {one.name for one in finished} == {"GET other"}
    assert _count("GET", "other", "404") == before + 5


@pytest.mark.parametrize("path", ["/health", "/chat", "/assets/app.js", "/v1"])
async def test_probes_pages_and_assets_are_neither_traced_nor_counted(
    client: httpx.AsyncClient, finished: list[RecordedSpan], path: str
) -> None:
    """OBS-1."""
    answer = await client.get(path)
    assert "x-trace-id" not in answer.headers
    assert finished == []


async def test_bulk_events_are_kept_by_ratio_and_say_so_to_what_follows(
    client: httpx.AsyncClient, finished: list[RecordedSpan]
) -> None:
    """OBS-1."""
    answer = await client.post("/events/orders")
    assert answer.text.endswith("-00")
    assert finished == []

"""Spans over OTLP/HTTP, to a collector's end that decodes the real protocol."""

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from backend.adapters.database.database import SqlDatabase
from backend.adapters.otel.exporter import OtlpSpans
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.telemetry import span
from backend.foundation.telemetry.ports import SpanRecord
from backend.foundation.telemetry.service import Limits, Telemetry

pytestmark = pytest.mark.integration


class _Collector(BaseHTTPRequestHandler):
    got: list[ExportTraceServiceRequest]
    paths: list[str]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.got.append(ExportTraceServiceRequest.FromString(body))
        self.paths.append(self.path)
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, type[_Collector]]]:
    """A collector's address and what it got."""
    kind = type("Collector", (_Collector,), {"got": [], "paths": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", kind
    server.shutdown()
    thread.join()
    server.server_close()


async def test_finished_spans_reach_the_collector_with_their_tenant_and_resource(
    sqlite_database: SqlDatabase, collector: tuple[str, type[_Collector]]
) -> None:
    """OBS-1."""
    url, received = collector
    exporter = OtlpSpans("worker", environment="test", endpoint=url)
    telemetry = Telemetry(sqlite_database, "worker", limits=Limits(every_s=60, beat_s=60), exporters=[exporter])
    await telemetry.start()
    with span("chat.send", tenant="ten_1", kind="server") as outer, span("tool.call", attributes={"n": 3}) as inner:
        inner.fail("it broke")
    await telemetry.close()
    (request,) = received.got
    assert received.paths == ["/v1/traces"]
    (resource,) = request.resource_spans
    named = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert named == {
        "service.name": "worker",
        "autoweave.service": "worker",
        "autoweave.environment": "test",
        "deployment.environment": "test",
    }
    child, root = resource.scope_spans[0].spans
    assert root.trace_id.hex() == outer.context.trace_id
    assert child.parent_span_id == root.span_id
    assert root.parent_span_id == b""
    assert {one.key for one in child.attributes} >= {"n", "autoweave.tenant.id", "error.message"}
    assert (child.status.code, root.kind) == (2, 2)
    assert root.end_time_unix_nano >= root.start_time_unix_nano > 0


async def test_a_collector_that_is_not_there_costs_its_spans_and_nothing_else(sqlite_database: SqlDatabase) -> None:
    """OBS-1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        exporter = OtlpSpans("worker", endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")
        limits = Limits(every_s=60, beat_s=60, drain_s=0.2)
        telemetry = Telemetry(sqlite_database, "worker", limits=limits, exporters=[exporter])
        await telemetry.start()
        with span("chat.send", tenant="ten_1"):
            pass
        await telemetry.flush()
        assert telemetry.health().stored == 1
        await telemetry.close()


async def test_a_refused_batch_is_unavailable(collector: tuple[str, type[_Collector]]) -> None:
    """OBS-1."""
    url, received = collector
    received.status = 400
    exporter = OtlpSpans("worker", endpoint=url)
    record = SpanRecord(
        tenant="ten_1",
        trace_id="a" * 32,
        span_id="b" * 16,
        parent="",
        name="chat.send",
        service="worker",
        kind="internal",
        start_us=1,
        duration_us=1,
        status="cancelled",
        attributes={},
    )
    with pytest.raises(Unavailable):
        await exporter.export([record])
    await exporter.close()

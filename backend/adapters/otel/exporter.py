"""Spans by OTLP/HTTP to any collector: Tempo, Jaeger, an OpenTelemetry Collector."""

import asyncio
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from backend.foundation.kernel.errors import Unavailable
from backend.foundation.telemetry.attributes import DEPLOYMENT, ENVIRONMENT, SERVICE, TENANT
from backend.foundation.telemetry.ports import SpanRecord

_SCOPE = InstrumentationScope("autoweave")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_STATUS = {
    "ok": Status(StatusCode.UNSET),
    "error": Status(StatusCode.ERROR),
    "cancelled": Status(StatusCode.UNSET),
}


class OtlpSpans:
    """Sends batches from a thread, with the SDK's own retries within ten seconds.

    Args:
        service: the process's name, ``service.name`` of the resource.
        environment: ``deployment.environment`` of the resource.
        endpoint: the collector's base URL; empty leaves it to the standard ``OTEL_EXPORTER_OTLP_*`` variables, which
            also give headers, compression and certificates.
    """

    def __init__(self, service: str, *, environment: str = "local", endpoint: str = "") -> None:
        self._resource = Resource(
            {"service.name": service, SERVICE: service, ENVIRONMENT: environment, DEPLOYMENT: environment}
        )
        self._client = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)

    async def export(self, spans: Sequence[SpanRecord]) -> None:
        result = await asyncio.to_thread(self._client.export, [self._readable(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            raise Unavailable("The OTLP collector takes no spans.", hint="Check OTEL_EXPORTER_OTLP_ENDPOINT.")

    async def close(self) -> None:
        await asyncio.to_thread(self._client.shutdown)

    def _readable(self, span: SpanRecord) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent) if span.parent else None,
            resource=self._resource,
            attributes={**span.attributes, TENANT: span.tenant},
            kind=_KINDS[span.kind],
            status=_STATUS[span.status],
            start_time=span.start_us * 1_000,
            end_time=(span.start_us + span.duration_us) * 1_000,
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=_SAMPLED)

"""OpenTelemetry's SDK: spans to a collector, and libraries' spans into the product's own traces.

Import it only where `OTEL_EXPORTER_OTLP_ENDPOINT` is set: the SDK costs each process some 200 ms and 4 MB.
"""

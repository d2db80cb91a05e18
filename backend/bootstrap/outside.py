"""Which adapter stands behind each port, by settings. A process imports only those that its roles use."""

from collections.abc import Collection
from contextlib import AsyncExitStack
from pathlib import Path

from backend.adapters.providers.clients import build_clients
from backend.adapters.valkey.buckets import ValkeyBuckets
from backend.adapters.valkey.live import ValkeyLive
from backend.bootstrap.settings import Settings
from backend.domain.models.ports import ModelClient
from backend.domain.tools.ports import Sandbox
from backend.domain.webhooks.ports import WebhookSender
from backend.domain.webhooks.rules.addresses import Allowed, allowed
from backend.foundation.bus.ports import Bus
from backend.foundation.live.ports import LiveStore
from backend.foundation.telemetry.ports import SpanExporter
from backend.foundation.telemetry.rules.masking import hide
from backend.governance.budgets.service import Budgets, EventRates


def hide_secrets(settings: Settings) -> None:
    """Mask the keys and passwords of the settings wherever this process writes them: logs, spans, findings."""
    for value in settings.secrets:
        hide(value)


def observe(settings: Settings, stack: AsyncExitStack) -> None:
    """Begin what a process does for its traces and logs as a whole; the stack ends it."""
    hide_secrets(settings)
    if settings.trace_statements == "on":
        from backend.adapters.database.spans import trace_statements
        from backend.adapters.valkey.spans import trace_commands

        stack.callback(trace_statements())
        stack.callback(trace_commands())


def open_live(settings: Settings) -> LiveStore:
    """Return the live store on the configured or bundled server; it connects when it is first used."""
    return ValkeyLive(settings.redis_url, namespace=settings.namespace)


def open_budgets(settings: Settings) -> Budgets:
    """Return the rate limits, counted on the same server as the live store; it connects when it is first used."""
    rates = EventRates(
        per_second=settings.events_per_second,
        burst=settings.events_burst,
        tenant_per_second=settings.tenant_events_per_second,
        tenant_burst=settings.tenant_events_burst,
    )
    return Budgets(ValkeyBuckets(settings.redis_url, namespace=settings.namespace), rates)


def open_bus(settings: Settings, *, named: bool = False) -> Bus:
    """Return the bus: Kafka where its URL is set, else streams on the same server as the live store.

    Args:
        named: whether this process has a name of its own that it keeps over restarts.
    """
    if settings.bus_url:
        # aiokafka costs 15 MB and 0.2 s, which the embedded default need not pay.
        from backend.adapters.kafka.bus import KafkaBus
        from backend.adapters.kafka.options import KafkaOptions
        from backend.adapters.kafka.urls import KafkaSecurity

        security = KafkaSecurity(
            username=settings.bus_username,
            password=settings.bus_password,
            mechanism=settings.bus_mechanism,
            token_url=settings.bus_token_url,
            token_scope=settings.bus_token_scope,
            ca_file=_path(settings.bus_ca_file),
            cert_file=_path(settings.bus_cert_file),
            key_file=_path(settings.bus_key_file),
            key_password=settings.bus_key_password,
        )
        # The topics of the catalogue and the groups begin with "aw." already.
        prefix = "" if settings.namespace == "aw" else f"{settings.namespace}."
        options = KafkaOptions(return_s=settings.bus_restart if named else 0)
        return KafkaBus(settings.bus_url, namespace=prefix, security=security, options=options)
    from backend.adapters.valkey.bus import ValkeyBus

    return ValkeyBus(settings.redis_url, namespace=settings.namespace)


def open_webhook_sender(settings: Settings) -> WebhookSender:
    """Return who sends webhooks; it connects only then."""
    from backend.adapters.http.sender import HttpWebhookSender

    return HttpWebhookSender(allowed_by(settings), authorities=settings.webhook_ca_file)


def allowed_by(settings: Settings) -> Allowed:
    """Return where webhooks may be sent to besides the public internet."""
    return allowed(settings.webhook_networks, http=settings.webhook_http == "on")


def _path(file: str) -> Path | None:
    return Path(file) if file else None


async def open_sandbox(settings: Settings, roles: Collection[str], stack: AsyncExitStack) -> Sandbox:
    """Return the sandbox; only a worker that runs agents has children of its own."""
    from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
    from backend.adapters.wasmtime.settings import SandboxSettings

    sandbox = WasmtimeSandbox(SandboxSettings(folder=settings.data / "sandbox"))
    if "agents" in roles:
        await sandbox.start()
        stack.push_async_callback(sandbox.close)
    return sandbox


def model_clients(settings: Settings) -> dict[str, ModelClient]:
    """Return a client for each provider that has what it needs; the offline model is always there."""
    return build_clients(
        openai_api_key=settings.openai_api_key,
        openai_base_url=settings.openai_base_url,
        anthropic_api_key=settings.anthropic_api_key,
        ollama_base_url=settings.ollama_base_url,
    )


def span_exporters(settings: Settings, service: str) -> list[SpanExporter]:
    """Return where spans go besides the own table."""
    if not settings.otlp_endpoint:
        return []
    # 0.1 s and 5 MB, for those who export.
    from backend.adapters.otel.exporter import OtlpSpans
    from backend.adapters.otel.libraries import join_libraries

    join_libraries(service)
    return [OtlpSpans(service, endpoint=settings.otlp_endpoint)]

"""Figures of this process, and of all of them on one page.

A room counts with the objects below: ``metrics.RUNS.labels("SUCCEEDED").inc()``. Labels have few values: a status, a
role, a route pattern, never a tenant or an id; what is named by people goes through `few`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

REGISTRY: Final = CollectorRegistry(auto_describe=True)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_WORK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_FEW = 100

Samples = Mapping[str, Sequence[tuple[str, Mapping[str, str], float]]]
"""By family, each sample's suffix, labels and value, as they travel with a heartbeat."""

_SAMPLES_MAX = 2_000


def _counter(name: str, summary: str, *labels: str) -> Counter:
    return Counter(f"autoweave_{name}", summary, labels, registry=REGISTRY)


def _histogram(name: str, summary: str, *labels: str, buckets: Sequence[float] = _WORK) -> Histogram:
    return Histogram(f"autoweave_{name}", summary, labels, registry=REGISTRY, buckets=buckets)


RUNS = _counter("runs", "Runs that reached their end, by status (SUCCEEDED, FAILED, CANCELLED).", "status")
RUN_SECONDS = _histogram("run_seconds", "Seconds from a run's first claim to its end.")
RUN_CLAIMS = _counter("run_claims", "Claims of runs, by kind (first, resumed).", "kind")
STEPS = _counter("steps", "Steps that ended, by kind of node and status.", "kind", "status")
TOOL_CALLS = _counter("tool_calls", "Tool calls, by tool and outcome (ok, failed, denied, timeout).", "tool", "outcome")
TOOL_SECONDS = _histogram("tool_seconds", "Seconds of a tool call.", buckets=_QUICK)
TOOL_FUEL = _counter("tool_fuel", "Fuel that tools used.")
TOOL_CACHE = _counter("tool_cache", "Compiled tools asked of the cache, by result (hit, miss).", "result")
MODEL_TURNS = _counter(
    "model_turns", "Turns with a model, by provider and outcome (ok, failed, cancelled).", "provider", "outcome"
)
MODEL_TOKENS = _counter("model_tokens", "Tokens of models, by direction (input, output).", "direction")
MODEL_SECONDS = _histogram("model_seconds", "Seconds of a turn with a model.")
MODEL_FIRST_TOKEN = _histogram("model_first_token_seconds", "Seconds until a model's first token.")
BUS_PUBLISHED = _counter("bus_published", "Events written to the bus, by topic.", "topic")
BUS_EVENTS = _counter(
    "bus_events", "Events consumed, by consumer and result (handled, duplicate, retried, dead).", "consumer", "result"
)
BUS_SECONDS = _histogram("bus_seconds", "Seconds from publishing an event to its handler's end.", "consumer")
BUS_OUTBOX = _counter("bus_outbox", "Outbox rows relayed, by result (sent, failed).", "result")
WEBHOOK_ATTEMPTS = _counter("webhook_attempts", "Requests to webhooks, by result (delivered, failed).", "result")
CARDS_REFUSED = _counter("cards_refused", "Agent cards that were not believed, by reason.", "reason")
LIVE_DROPPED = _counter("live_dropped", "Live entries and notices that were lost, by reason.", "reason")
HTTP_REQUESTS = _counter(
    "http_requests", "HTTP requests, by method, route pattern and status.", "method", "route", "status"
)
HTTP_SECONDS = _histogram("http_seconds", "Seconds of an HTTP request.", "method", "route")
SPANS_STORED = _counter("spans_stored", "Spans written to the table.")
SPANS_DROPPED = _counter("spans_dropped", "Spans that were lost, by reason (full, database, closed, otlp).", "reason")

ProcessCollector(registry=REGISTRY)


class Few:
    """Keeps a label's values few: the first hundred are themselves, later ones are ``other``."""

    def __init__(self, most: int = _FEW) -> None:
        self._most = most
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the value, or ``other`` where there are too many already."""
        if value in self._seen:
            return value
        if len(self._seen) >= self._most:
            return "other"
        self._seen.add(value)
        return value


few_tools = Few()
"""For the label ``tool`` of `TOOL_CALLS`."""


def samples() -> Samples:
    """Return this process's figures without what was never counted, at most 2,000 of them."""
    found: dict[str, list[tuple[str, Mapping[str, str], float]]] = {}
    room = _SAMPLES_MAX
    for family in REGISTRY.collect():
        lines = _counted(family)
        if lines and len(lines) <= room:
            room -= len(lines)
            found[family.name] = lines
    return found


def _counted(family: Metric) -> list[tuple[str, Mapping[str, str], float]]:
    # A histogram's empty buckets belong to it; a counter that stands at nothing says nothing.
    keep_zeros = family.type == "histogram"
    if keep_zeros and not any(sample.value for sample in family.samples if sample.name.endswith("_count")):
        return []
    return [
        (sample.name.removeprefix(family.name), dict(sample.labels), sample.value)
        for sample in family.samples
        if (sample.value or keep_zeros) and not sample.name.endswith("_created")
    ]


def exposition(process: str, others: Mapping[str, Samples]) -> bytes:
    """Return Prometheus' text of this process and, from their heartbeats, of the others; each by label ``process``."""
    return generate_latest(_All({process: samples(), **others}))


class _All(Collector):
    def __init__(self, processes: Mapping[str, Samples]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        for family in REGISTRY.collect():
            merged = Metric(family.name, family.documentation, family.type)
            for process, found in self._processes.items():
                for suffix, labels, value in found.get(family.name, ()):
                    merged.add_sample(f"{family.name}{suffix}", {**labels, "process": process}, value)
            yield merged

"""Where this piece of work stands: the current span of the task, and how a new one is made under it."""

from collections.abc import Callable, Mapping
from random import random
from typing import cast

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from backend.foundation.telemetry.attributes import TENANT
from backend.foundation.telemetry.ports import Attribute
from backend.foundation.telemetry.rules.context import (
    TraceContext,
    new_span_id,
    new_trace_id,
    parse_traceparent,
)
from backend.foundation.telemetry.tracing.spans import RecordedSpan, Span

EVENT_RATIO = 0.01
"""How many of the traces that start with a bulk event are kept, unless settings say otherwise."""


def _forget(span: RecordedSpan) -> None:
    """Where no telemetry runs (a script, a test), spans are measured and gone."""


class _Recorder:
    """The process's one place that finished spans go to, set by `Telemetry.start`."""

    finished: Callable[[RecordedSpan], None] = staticmethod(_forget)
    event_ratio: float = EVENT_RATIO


_recorder = _Recorder()
_NOWHERE = Span(TraceContext("", "", False), "").inner


def record_to(finished: Callable[[RecordedSpan], None], *, event_ratio: float = EVENT_RATIO) -> None:
    """Send each finished span of this process there: a plain call that must not block or fail."""
    _recorder.finished = finished
    _recorder.event_ratio = event_ratio


def record_nowhere() -> None:
    """Forget finished spans from now on."""
    record_to(_forget)


def span(
    name: str,
    *,
    tenant: str = "",
    parent: str | None = None,
    attributes: Mapping[str, Attribute] | None = None,
    kind: str = "internal",
    bulk: bool = False,
) -> Span:
    """Return a span for the work inside ``with``; an exception that leaves it marks it as failed.

    Args:
        name: what is done, such as ``chat.send`` or ``tool.call``: few different ones, no ids.
        tenant: whose work it is; by default that of the span around it.
        parent: the traceparent that came with the work; by default the span around it. Where both are missing
            (or the text is not a traceparent) a new trace starts.
        attributes: facts known at the start; names from `telemetry.attributes` where they fit.
        kind: ``internal``, ``server``, ``client``, ``producer`` or ``consumer``.
        bulk: whether it is one of very many: a trace that starts here is then kept by ratio only.
    """
    above = _above(parent)
    if not isinstance(above, Span):
        if above is not None and not tenant and not parent:
            tenant = current_tenant()
        return _under(above, name, tenant, attributes, kind, bulk)
    tenant = tenant or above.tenant
    if above.context.sampled:
        return _recorded(above.context, name, tenant, attributes, kind)
    return above.inner if tenant == above.tenant else Span(above.context, tenant)


def span_inside(name: str, *, attributes: Mapping[str, Attribute] | None = None, kind: str = "client") -> Span:
    """Return a span for work of the lower parts (a statement, a command to the store), which never start a trace.

    Outside a trace, and in one that is not kept, it costs about 1 µs and does nothing.
    """
    above = _above(None)
    if above is None:
        return _NOWHERE
    if not isinstance(above, Span):
        return _under(above, name, current_tenant(), attributes, kind, bulk=False) if above.sampled else _NOWHERE
    return _recorded(above.context, name, above.tenant, attributes, kind) if above.context.sampled else above.inner


def _above(parent: str | None) -> Span | TraceContext | None:
    """Return the context that came with the work, else the span around it, else what a library put there."""
    if parent:
        return parse_traceparent(parent)
    current = otel.get_current_span()
    if isinstance(current, Span):
        return current
    return None if current is otel.INVALID_SPAN else _foreign(current)


def _foreign(current: otel.Span) -> TraceContext | None:
    theirs = current.get_span_context()
    if not theirs.is_valid:
        return None
    return TraceContext(f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}", bool(theirs.trace_flags & 1))


def _under(
    above: TraceContext | None,
    name: str,
    tenant: str,
    attributes: Mapping[str, Attribute] | None,
    kind: str,
    bulk: bool,
) -> Span:
    if above is None:
        sampled = not bulk or random() < _recorder.event_ratio  # noqa: S311 - which traces are kept is no secret
        above = TraceContext(new_trace_id(), "" if sampled else new_span_id(), sampled)
    if above.sampled:
        return _recorded(above, name, tenant, attributes, kind)
    return Span(above, tenant)


def _recorded(
    above: TraceContext, name: str, tenant: str, attributes: Mapping[str, AnyValue] | None, kind: str
) -> RecordedSpan:
    return RecordedSpan(
        TraceContext(above.trace_id, new_span_id(), True),
        tenant,
        name=name,
        parent=above.span_id,
        kind=kind,
        attributes=attributes,
        finished=_recorder.finished,
    )


def adopt(
    context: TraceContext,
    *,
    parent: str,
    name: str,
    kind: str,
    tenant: str,
    attributes: Mapping[str, AnyValue],
    start_ns: int,
    end_ns: int,
    failure: str | None,
) -> None:
    """Record a span that another library measured; times are nanoseconds since 1970."""
    taken = RecordedSpan(
        context,
        tenant,
        name=name,
        parent=parent,
        kind=kind,
        attributes=attributes,
        finished=_recorder.finished,
    )
    if failure is not None:
        taken.fail(failure)
    taken.start_ns = start_ns
    taken.end(end_ns)


def current_span() -> Span | None:
    """Return the span around this piece of work, if any."""
    current = otel.get_current_span()
    return current if isinstance(current, Span) else None


def current_traceparent() -> str:
    """Return the W3C trace context to send on with an event, a job or a request; empty outside any trace."""
    above = _above(None)
    return above.traceparent if above is not None else ""


def current_trace_id() -> str:
    """Return the id under which this piece of work is found, 32 hex digits; empty outside any trace."""
    above = _above(None)
    if above is None:
        return ""
    return above.context.trace_id if isinstance(above, Span) else above.trace_id


def current_tenant(context: Context | None = None) -> str:
    """Return whose work this is (or that in ``context``), empty where no span says so."""
    current = otel.get_current_span(context)
    if isinstance(current, Span):
        return current.tenant
    # A library's span carries the tenant as an attribute, as long as it is recorded.
    facts = cast("Mapping[str, object] | None", getattr(current, "attributes", None))
    return str(facts.get(TENANT, "")) if facts else ""


def set_tenant(tenant: str) -> None:
    """Say whose work the current span is, where that is known only after it began (a request that signs in)."""
    current = current_span()
    if current is not None:
        current.tenant = tenant


def set_attribute(name: str, value: Attribute) -> None:
    """Keep a fact about the current piece of work; at most 32 a span."""
    otel.get_current_span().set_attribute(name, value)


def record_error(error: BaseException | str) -> None:
    """Mark the current piece of work as failed although no exception leaves it."""
    current = current_span()
    if current is not None:
        current.fail(error)

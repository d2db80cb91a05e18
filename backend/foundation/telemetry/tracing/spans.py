"""The two kinds of span: one that is kept, and one that only carries the trace on."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import ClassVar, Self

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AnyValue, Attributes

from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.telemetry.attributes import ERROR_MESSAGE, ERROR_TYPE
from backend.foundation.telemetry.rules.context import TraceContext

ATTRIBUTES_MAX = 32


class Span(otel.Span):
    """A piece of work that is not kept: it only carries its trace and tenant to what is done inside.

    Use it as a context manager.
    """

    recorded: ClassVar[bool] = False
    _scope: Token[Context] | None = None
    _inner: "Span | None" = None

    def __init__(self, context: TraceContext, tenant: str) -> None:
        self.context = context
        self.tenant = tenant

    @property
    def traceparent(self) -> str:
        """The W3C trace context to send on."""
        return self.context.traceparent

    @property
    def inner(self) -> "Span":
        """What stands for every piece of work inside a span that is not kept."""
        if self._inner is None:
            self._inner = _Inner(self.context, self.tenant)
        return self._inner

    def __enter__(self) -> Self:
        self._scope = otel_context.attach(otel.set_span_in_context(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._scope is not None:
            otel_context.detach(self._scope)
            self._scope = None

    def end(self, end_time: int | None = None) -> None:
        """Finish the work; what comes later is ignored. Only for a span that is not used as a context manager."""

    def fail(self, error: BaseException | str) -> None:
        """Mark the work as failed, with the error's code and words."""

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Keep a fact about the work; at most 32 a span."""

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        for name, value in attributes.items():
            self.set_attribute(name, value)

    def update_name(self, name: str) -> None:
        """Rename the work, where its name is known only at its end."""

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Leave it out: what happens inside a span is a log line, which carries the span's ids."""

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        code = status.status_code if isinstance(status, Status) else status
        if code is StatusCode.ERROR:
            self.fail(description or (status.description if isinstance(status, Status) else None) or "error")

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self.fail(exception)

    def is_recording(self) -> bool:
        return self.recorded

    def get_span_context(self) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED if self.context.sampled else TraceFlags.DEFAULT)
        return SpanContext(int(self.context.trace_id, 16), int(self.context.span_id, 16), False, flags)


class _Inner(Span):
    """Work inside a span that is not kept: nothing is attached, so the same object serves all of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        pass


class RecordedSpan(Span):
    """A piece of work that is kept; it goes to the recorder once, when it ends."""

    recorded: ClassVar[bool] = True

    def __init__(
        self,
        context: TraceContext,
        tenant: str,
        *,
        name: str,
        parent: str,
        kind: str,
        attributes: Mapping[str, AnyValue] | None,
        finished: Callable[["RecordedSpan"], None],
    ) -> None:
        self.context = context
        self.tenant = tenant
        self.name = name
        self.parent = parent
        self.kind = kind
        self.status = "ok"
        self.attributes: dict[str, AnyValue] = dict(attributes) if attributes else {}
        self.duration_ns = -1
        self._finished = finished
        self.start_ns = time.time_ns()
        # The wall clock may be set while the work goes on: a duration is taken from one that is not.
        self._clock = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(error)
        super().__exit__(kind, error, stack)
        self.end()

    def end(self, end_time: int | None = None) -> None:
        if self.duration_ns < 0:
            taken = time.perf_counter_ns() - self._clock if end_time is None else end_time - self.start_ns
            self.duration_ns = max(taken, 0)
            self._finished(self)

    def fail(self, error: BaseException | str) -> None:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self.status = "cancelled"
            return
        self.status = "error"
        self.attributes[ERROR_TYPE] = _kind_of(error)
        self.attributes[ERROR_MESSAGE] = str(error)

    def set_attribute(self, key: str, value: AnyValue) -> None:
        if len(self.attributes) < ATTRIBUTES_MAX or key in self.attributes:
            self.attributes[key] = value

    def update_name(self, name: str) -> None:
        self.name = name

    def is_recording(self) -> bool:
        return self.duration_ns < 0


def _kind_of(error: BaseException | str) -> str:
    if isinstance(error, AutoWeaveError):
        return error.code
    return "error" if isinstance(error, str) else type(error).__qualname__

"""Where lines go, and how structlog and the standard library's logging meet."""

import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import FilteringBoundLogger

from backend.foundation.telemetry.logs.lines import Fields, json_line, plain_line, prepared
from backend.foundation.telemetry.tracing import current_span

Logger = FilteringBoundLogger
# What these tell at INFO is one line a request or poll, and httpx's holds whole URLs.
_CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "aiokafka", "asyncio", "urllib3", "websockets", "engineio",
           "socketio", "alembic")  # fmt: skip
_OWN_HANDLERS = ("_granian", "granian.access", "uvicorn", "uvicorn.access", "uvicorn.error")
_HEAD = ("level", "logger", "event")
_STANDARD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


class _Output:
    """Renders and writes; the last stop of both ways in."""

    def __init__(self, render: Callable[[Fields], str], fixed: Fields, stream: TextIO | None) -> None:
        self._render = render
        self._fixed = fixed
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, event: Mapping[str, object]) -> None:
        """Write one event as one line; a stream that is gone loses it, the work goes on."""
        head = {name: event[name] for name in _HEAD if name in event}
        line = self._render(prepared({**head, **self._fixed, **_where(), **event}))
        stream = self._stream or sys.stderr
        try:
            with self._lock:
                stream.write(f"{line}\n")
                stream.flush()
        except (OSError, ValueError):
            return


class _FromLogging(logging.Handler):
    """What libraries log."""

    def __init__(self, output: _Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: Fields = {"level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        except (TypeError, ValueError):
            event = {"level": "error", "logger": record.name, "event": str(record.msg)}
        event |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        self._output.write(event)


class _ToOutput:
    """What structlog's loggers call, whatever the level."""

    def __init__(self, output: _Output, name: str) -> None:
        self._output = output
        self._name = name

    def msg(self, **event: object) -> None:
        self._output.write({"level": event.pop("level"), "logger": self._name, **event})

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def get_logger(room: str) -> Logger:
    """Return the logger of a room (``chat``) or part; cheap, and right before `configure_logs` too."""
    return cast("Logger", structlog.get_logger(room))


def log_fields(**fields: str) -> AbstractContextManager[None]:
    """Add fields (``jobId``, ``plugin``, ``worker``) to every line that is logged inside the context."""
    return cast("AbstractContextManager[None]", bound_contextvars(**fields))


def configure_logs(
    *,
    format: Literal["plain", "json"],
    service: str,
    level: str = "info",
    environment: str = "",
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process to ``stream`` (standard error by default); calling it again replaces the rest.

    Call it once the web server has set its own logging up: its handlers are removed, its lines come out like all.
    """
    fixed: Fields = {"service": service}
    if environment:
        fixed["environment"] = environment
    terminal = stream or sys.stderr
    render = json_line if format == "json" else plain_line(colours=terminal.isatty())
    output = _Output(render, fixed if format == "json" else {}, stream)
    number = logging.getLevelNamesMapping()[level.upper()]
    _configure_structlog(output, number)
    _configure_logging(output, number)
    _configure_hooks(output)


def _configure_structlog(output: _Output, level: int) -> None:
    structlog.configure(
        processors=[merge_contextvars, _level, _as_keywords],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _ToOutput(output, names[0] if names else "autoweave"),
        cache_logger_on_first_use=False,
    )


def _configure_logging(output: _Output, level: int) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        # Others' handlers (a test's capture, an exporter) stay.
        if type(handler) in (logging.StreamHandler, _FromLogging):
            root.removeHandler(handler)
    root.addHandler(_FromLogging(output))
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _configure_hooks(output: _Output) -> None:
    """Let what nobody caught come out as one line too."""

    def uncaught(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        output.write({"level": "critical", "logger": "python", "event": "uncaught", "exc_info": (kind, error, stack)})

    def uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None:
            uncaught(found.exc_type, found.exc_value, found.exc_traceback)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread


def _level(_logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["level"] = "error" if method == "exception" else "warning" if method == "warn" else method
    return event


def _as_keywords(_logger: object, _method: str, event: MutableMapping[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    return (), dict(event)


def _where() -> Fields:
    span = current_span()
    if span is None:
        return {}
    fields: Fields = {"trace_id": span.context.trace_id, "span_id": span.context.span_id}
    return fields | {"tenant": span.tenant} if span.tenant else fields

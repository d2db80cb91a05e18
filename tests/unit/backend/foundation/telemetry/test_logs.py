"""One line an event, with the trace and without credentials."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from backend.foundation.telemetry.logs import configure_logs, get_logger, log_fields
from backend.foundation.telemetry.tracing import span


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the lines go; the process's own logging comes back afterwards."""
    root = logging.getLogger()
    handlers, level, hooks = list(root.handlers), root.level, (sys.excepthook, threading.excepthook)
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)
    structlog.reset_defaults()


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_holds_trace_tenant_service_and_fields(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="json", service="worker", environment="test", stream=stream)
    with span("chat.send", tenant="ten_1") as work, log_fields(jobId="7"):
        get_logger("chat").info("message sent", thread="thr_1", size=3)
    (line,) = _lines(stream)
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "chat",
        "event": "message sent",
        "service": "worker",
        "environment": "test",
        "trace_id": work.context.trace_id,
        "span_id": work.context.span_id,
        "tenant": "ten_1",
        "thread": "thr_1",
        "size": 3,
        "jobId": "7",
    }


def test_what_libraries_log_comes_out_in_the_same_form(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="json", service="web", stream=stream)
    with span("work", tenant="ten_1"):
        logging.getLogger("somewhere").warning("%s of %s", 1, 2, extra={"port": 8080})
    (line,) = _lines(stream)
    assert (line["event"], line["logger"], line["level"], line["port"], line["tenant"]) == (
        "1 of 2",
        "somewhere",
        "warning",
        8080,
        "ten_1",
    )


def test_an_exception_is_part_of_its_one_line(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="json", service="web", stream=stream)
    try:
        raise ValueError("it broke")
    except ValueError as error:
        get_logger("a").exception("failed")
        logging.getLogger("b").exception("failed too")
        get_logger("c").error("given", exc_info=error)
    lines = _lines(stream)
    assert [line["logger"] for line in lines] == ["a", "b", "c"]
    assert all("ValueError: it broke" in str(line["exception"]) for line in lines)
    assert all(line["level"] == "error" for line in lines)


def test_credentials_are_masked_in_fields_words_and_stacks(stream: io.StringIO) -> None:
    """IDN-6."""
    configure_logs(format="json", service="web", stream=stream)
    get_logger("a").info(
        "connected", url="redis://:hunter22@cache", password="hunter22", headers={"cookie": "hunter22"}
    )
    logging.getLogger("b").warning("Authorization: Bearer hunter22hunter22")
    try:
        raise RuntimeError("refused postgresql://u:hunter22@db")
    except RuntimeError:
        get_logger("c").exception("failed")
    assert "hunter22" not in stream.getvalue().replace("raise RuntimeError", "")


def test_an_event_cannot_forge_a_second_line(stream: io.StringIO) -> None:
    """IDN-6."""
    for form in ("json", "plain"):
        configure_logs(format=form, service="web", stream=stream)
        get_logger("a").info("hello\n12:00 forged\x1b[2J", who="x\ny")
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_a_plain_line_is_short_and_names_the_trace(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="plain", service="web", stream=stream)
    with span("work", tenant="ten_1") as work:
        get_logger("chat").info("message sent", thread="thr_1", title="a b")
    line = stream.getvalue().rstrip()
    assert (
        line[13:]
        == f'info     chat       message sent  tenant=ten_1 thread=thr_1 title="a b" trace={work.context.trace_id[:8]}'
    )


def test_the_level_holds_for_both_ways_and_chatty_libraries_are_tamed(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="json", service="web", level="info", stream=stream)
    get_logger("a").debug("no")
    logging.getLogger("b").debug("no")
    logging.getLogger("httpx").info("GET https://host/?key=no")
    assert stream.getvalue() == ""


def test_the_servers_own_handlers_are_replaced(stream: io.StringIO) -> None:
    """OBS-1."""
    access = logging.getLogger("granian.access")
    access.addHandler(logging.StreamHandler(io.StringIO()))
    access.propagate = False
    configure_logs(format="json", service="web", stream=stream)
    access.warning("GET /x")
    assert len(_lines(stream)) == 1
    assert access.handlers == []


def test_warnings_and_what_nobody_caught_are_lines_too(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="json", service="web", stream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    warning, crash = _lines(stream)
    assert warning["logger"] == "py.warnings"
    assert "ZeroDivisionError" in str(crash["exception"])
    assert crash["level"] == "critical"


def test_a_stream_that_is_gone_loses_lines_and_nothing_else(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="json", service="web", stream=stream)
    stream.close()
    get_logger("a").info("unheard")


def test_long_fields_are_cut(stream: io.StringIO) -> None:
    """OBS-1."""
    configure_logs(format="json", service="web", stream=stream)
    get_logger("a").info("long", text="x" * 1_000_000)
    assert len(stream.getvalue()) < 50_000

"""How an event becomes one line."""

import time
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import cast

import msgspec

from backend.foundation.telemetry.rules.masking import mask_fields

Fields = dict[str, object]
_TEXT_MAX = 8_000
_STACK_MAX = 12_000
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_LEADING = ("time", "level", "logger", "event", "exception", "trace_id", "span_id", "service")
_encoder = msgspec.json.Encoder(enc_hook=str)


def prepared(event: Mapping[str, object]) -> Fields:
    """Return the event's fields with the time first, its exception as text, credentials masked and text bounded."""
    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"
    fields: Fields = {"time": stamp, **event}
    stack = _stack_of(fields.pop("exc_info", None))
    if stack:
        fields["exception"] = stack
    return {name: _bounded(value) for name, value in mask_fields(cast("Mapping[object, object]", fields)).items()}


def _stack_of(found: object) -> str:
    if found is True:
        return _bounded_stack(traceback.format_exc())
    if isinstance(found, BaseException):
        return _bounded_stack("".join(traceback.format_exception(found)))
    if isinstance(found, tuple):
        kind, error, stack = cast(
            "tuple[type[BaseException] | None, BaseException | None, TracebackType | None]", found
        )
        return _bounded_stack("".join(traceback.format_exception(kind, error, stack))) if error else ""
    return ""


def _bounded_stack(text: str) -> str:
    """Keep the start, which says what was done, and the end, which says what happened."""
    text = text.rstrip()
    if len(text) <= _STACK_MAX:
        return text
    return f"{text[: _STACK_MAX // 2]}\n…\n{text[-_STACK_MAX // 2 :]}"


def _bounded(value: object) -> object:
    return f"{value[:_TEXT_MAX]}…" if isinstance(value, str) and len(value) > _TEXT_MAX + _STACK_MAX else value


def json_line(fields: Fields) -> str:
    """Return the fields as one JSON object; what JSON does not know is written as text."""
    return _encoder.encode(fields).decode()


def plain_line(colours: bool) -> Callable[[Fields], str]:
    """Return the renderer for a terminal: time, level, part, words, then facts; a stack follows on its own lines."""

    def render(fields: Fields) -> str:
        level = str(fields.get("level", "info"))
        shown = f"\x1b[{_COLOURS.get(level, '0')}m{level:<8}\x1b[0m" if colours else f"{level:<8}"
        facts = [f"{name}={_plain(value)}" for name, value in fields.items() if name not in _LEADING]
        trace = str(fields.get("trace_id", ""))
        if trace:
            facts.append(f"trace={trace[:8]}")
        head = f"{str(fields['time'])[11:23]} {shown} {_plain(fields.get('logger', '')):<10} "
        line = head + _printable(str(fields.get("event", "")))
        if facts:
            line += f"  \x1b[2m{' '.join(facts)}\x1b[0m" if colours else f"  {' '.join(facts)}"
        return line + _indented(str(fields.get("exception", "")))

    return render


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else json_line({"": value})[4:-1]
    return json_line({"": text})[4:-1] if isinstance(value, str) and " " in text else _printable(text)


def _printable(text: str) -> str:
    """Escape what would start a new line or move the cursor: a log line is not a way to draw on a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _indented(stack: str) -> str:
    return "".join(f"\n    {_printable(line)}" for line in stack.splitlines())

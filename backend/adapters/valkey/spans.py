"""A span for each command, where it is part of a recorded trace; OpenTelemetry's names for Redis.

The command's name is recorded, its keys and values never.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from backend.foundation.telemetry import span_inside
from backend.foundation.telemetry.ports import Attribute

_NOTHING = nullcontext()


class _Switch:
    on = False


def trace_commands() -> Callable[[], None]:
    """Begin, for the whole process; return what ends it."""
    _Switch.on = True

    def end() -> None:
        _Switch.on = False

    return end


def command_span(commands: Sequence[Sequence[object]]) -> AbstractContextManager[object]:
    """Return a span for commands that are sent together."""
    if not _Switch.on:
        return _NOTHING
    names = {str(command[0]) for command in commands}
    name = names.pop() if len(names) == 1 else ""
    facts: dict[str, Attribute] = {"db.system.name": "redis"}
    if len(commands) > 1:
        name = f"PIPELINE {name}".strip()
        facts["db.operation.batch.size"] = len(commands)
    return span_inside(name, attributes=facts | {"db.operation.name": name})

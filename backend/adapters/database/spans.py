"""A span for each statement, where it is part of a recorded trace; OpenTelemetry's names for databases.

The statement's text is recorded, its parameters never. It hooks into SQLAlchemy for the whole process.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Engine, event

from backend.foundation.telemetry import span_inside
from backend.foundation.telemetry.attributes import ERROR_TYPE
from backend.foundation.telemetry.ports import Attribute
from backend.foundation.telemetry.tracing import RecordedSpan, Span

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+\"?([A-Za-z_][\w.]*)", re.IGNORECASE)
_TEXT_MAX = 1_000
_KEPT = "autoweave_span"


def trace_statements() -> Callable[[], None]:
    """Begin; return what ends it."""
    listeners: tuple[tuple[str, Callable[..., None]], ...] = (
        ("before_cursor_execute", _before),
        ("after_cursor_execute", _after),
        ("handle_error", _failed),
    )
    for name, listener in listeners:
        event.listen(Engine, name, listener)

    def end() -> None:
        for name, listener in listeners:
            event.remove(Engine, name, listener)

    return end


@lru_cache(maxsize=1_024)
def facts_of(statement: str, system: str) -> tuple[str, dict[str, Attribute]]:
    """Return the name of a statement's span, which has few different ones, and what it says."""
    words = statement.split(None, 1)
    operation = words[0].upper() if words else "?"
    facts: dict[str, Attribute] = {
        "db.system.name": system,
        "db.operation.name": operation,
        "db.query.text": statement[:_TEXT_MAX],
    }
    table = _TABLE.search(statement)
    if table is None:
        return operation, facts
    return f"{operation} {table[1]}", facts | {"db.collection.name": table[1]}


def _before(connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, many: bool) -> None:
    if context is None:
        return
    name, facts = facts_of(statement, str(connection.dialect.name))
    made: Span = span_inside(name, attributes=facts)
    if isinstance(made, RecordedSpan):
        if many:
            made.set_attribute("db.operation.batch.size", len(context.compiled_parameters or ()))
        setattr(context, _KEPT, made)


def _after(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    if isinstance(made := getattr(context, _KEPT, None), RecordedSpan):
        made.end()


def _failed(problem: Any) -> None:
    made = cast("RecordedSpan | None", getattr(problem.execution_context, _KEPT, None))
    if made is not None:
        # Its words may hold values of the statement.
        kind = type(problem.original_exception).__name__
        made.fail(kind)
        made.set_attribute(ERROR_TYPE, kind)
        made.end()

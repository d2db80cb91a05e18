"""The tenant predicate, added by the session and not by anybody's memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, column, event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from backend.foundation.kernel.errors import Forbidden
from backend.foundation.kernel.tables import TenantRow

TENANT = "tenant"
"""The key of ``Session.info`` that holds the tenant; without it a session serves all tenants."""


class _Scoped:
    """Stands for every table class with a tenant.

    SQLAlchemy asks the class that a criterion names for the attribute and for its subclasses; a pydantic class has no
    attribute of the name until it is a table, so this one answers for `TenantRow`.
    """

    tenant: ColumnElement[str] = column("tenant", String)

    @classmethod
    def __subclasses__(cls) -> list[type[TenantRow]]:
        return TenantRow.__subclasses__()


class TenantSession(Session):
    """A session that knows its tenant."""


def _confine(state: ORMExecuteState) -> None:
    tenant = state.session.info.get(TENANT)
    if tenant is None:
        return
    if state.is_insert:
        _check_rows(state.parameters, tenant)
    elif state.is_orm_statement and not state.is_column_load and not state.is_relationship_load:
        # Of a statement on Core tables the criterion would find nothing to confine, at half the price of the statement.
        state.statement = state.statement.options(
            with_loader_criteria(_Scoped, lambda cls: cls.tenant == tenant, include_aliases=True)
        )


def _check_rows(parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None, tenant: str) -> None:
    rows = [parameters or {}] if parameters is None or isinstance(parameters, Mapping) else parameters
    if any(row.get("tenant", tenant) != tenant for row in rows):
        raise Forbidden("A row of another tenant cannot be written here.")


def _check_flush(session: Session, _context: Any, _instances: Any) -> None:
    tenant = session.info.get(TENANT)
    if tenant is None:
        return
    for row in (*session.new, *session.dirty):
        if isinstance(row, TenantRow) and row.tenant != tenant:
            raise Forbidden("A row of another tenant cannot be written here.")


event.listen(TenantSession, "do_orm_execute", _confine)
event.listen(TenantSession, "before_flush", _check_flush)

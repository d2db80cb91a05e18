"""Actions that wait for the commit of the unit of work in which they were asked for."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

_KEY = "after_commit"


def after_commit(session: AsyncSession, action: Callable[[], None]) -> None:
    """Run ``action`` once the session's transaction is committed, and not at all if it is rolled back.

    The action must not block and must not fail: it wakes somebody who would find the work by himself, later.
    Asking twice with the same callable runs it once.
    """
    actions: dict[Callable[[], None], None] = session.info.setdefault(_KEY, {})
    actions[action] = None


def run_committed(session: AsyncSession) -> None:
    """Run the waiting actions: called by the database adapter, after its commit."""
    actions: dict[Callable[[], None], None] = session.info.pop(_KEY, {})
    for action in actions:
        action()

"""What a person is told when an action fails."""

import logging
from typing import TypedDict

import reflex as rx

from backend.foundation.kernel.errors import AutoWeaveError, Unauthenticated, Unavailable
from state.session import SessionState

logger = logging.getLogger(__name__)


class Told(TypedDict):
    """One notice: what happened, the next step, and what to hand to somebody who helps. No ``key``, no notice."""

    key: str
    what: str
    next: str
    details: str


NOTHING: Told = {"key": "", "what": "", "next": "", "details": ""}


class Problem(TypedDict):
    """Why a page shows nothing, or nothing new: the cause and the next step. No ``what``, no problem."""

    what: str
    next: str


NO_PROBLEM: Problem = {"what": "", "next": ""}


def problem_of(error: AutoWeaveError) -> Problem:
    """Return an error as a page shows it in its place."""
    return Problem(what=error.message, next=error.hint)


class TabUnavailable(Unavailable):
    """The state of a page cannot be read or written at the moment, so the page cannot be told anything either."""

    code = "tab_unavailable"


class NoticeState(rx.State):
    """The notice that is open in the tab."""

    notice: Told = NOTHING
    count: int = 0

    @rx.event
    def tell(self, what: str, hint: str, code: str):
        """Open a notice in place of the one before."""
        self.count += 1
        page = self.router.url.path
        self.notice = {"key": str(self.count), "what": what, "next": hint, "details": f"{what} ({code}) on {page}"}

    @rx.event
    def close(self):
        """Close it."""
        self.notice = NOTHING


def on_exception(exception: Exception):
    """Turn what a handler raised into what the person sees: the sign-in page, or a notice."""
    if isinstance(exception, TabUnavailable):
        # A notice is state too. What was sent is sent again, and a page that is loaded again starts afresh.
        logger.warning("A page could not be served: %s", exception.message)
        return None
    if isinstance(exception, Unauthenticated):
        return SessionState.enter
    if isinstance(exception, AutoWeaveError):
        return NoticeState.tell(exception.message, exception.hint, exception.code)
    logger.error("A handler of a page failed.", exc_info=exception)
    return NoticeState.tell("That did not work.", AutoWeaveError.hint, AutoWeaveError.code)

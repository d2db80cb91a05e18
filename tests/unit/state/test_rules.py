"""The pure decisions of the states."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from backend.domain.chat.views import MessageView
from backend.foundation.kernel.errors import Conflict, Unauthenticated
from backend.foundation.kernel.ids import MessageId
from backend.reads.views import SpanView, TurnView
from state.account.browsers import browser_words
from state.account.entrance import EntranceState, local_path
from state.admin.health import HealthState
from state.admin.trace import bar_of, milliseconds
from state.chat.conversation import in_order
from state.live import at_least_every
from state.notices import NoticeState, on_exception
from state.session import SessionState


def turn(role: str, trigger: str, text: str = "") -> TurnView:
    message = MessageView(
        id=MessageId(f"{role}-{trigger}"), role=role, text=text, run="", status="done", created_ms=1, trigger=trigger
    )
    return TurnView(message=message, tools=(), trace="")


def test_an_answer_stands_behind_its_question_whatever_was_asked_in_between() -> None:
    """CHT-1."""
    stored = [turn("user", "1"), turn("user", "2"), turn("assistant", "1"), turn("user", "3"), turn("assistant", "2")]
    shown = [(each.message.role, each.message.trigger) for each in in_order(stored)]
    assert shown == [("user", "1"), ("assistant", "1"), ("user", "2"), ("assistant", "2"), ("user", "3")]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/admin/health?x=1", "/admin/health?x=1"),
        ("", "/chat"),
        ("https://evil.example", "/chat"),
        ("//evil.example", "/chat"),
        ("/\\evil.example", "/chat"),
        ("/sign-in?next=/sign-in", "/chat"),
    ],
)
def test_nobody_is_sent_elsewhere_by_a_link(asked: str, given: str) -> None:
    """IDN-1."""
    assert local_path(asked) == given


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/130.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9", "curl"),
        ("x" * 200, "x" * 60),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_named_as_a_person_knows_it(user_agent: str, words: str) -> None:
    """IDN-1."""
    assert browser_words(user_agent) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.123, "0.12 ms"), (12.34, "12.3 ms"), (640.2, "640 ms"), (1840, "1.84 s"), (90_000, "1.5 min")],
)
def test_durations_carry_as_many_digits_as_say_something(value: float, words: str) -> None:
    """OBS-2."""
    assert milliseconds(value) == words


@pytest.mark.parametrize(
    ("start", "duration", "whole", "left", "width"),
    [
        (0, 100, 100, "0.00%", "100.00%"),
        (50, 25, 100, "50.00%", "25.00%"),
        (0, 0, 0, "0.00%", "0.40%"),
        (100, 50, 100, "99.60%", "0.40%"),
        (-5, 10, 100, "0.00%", "10.00%"),
    ],
)
def test_a_bar_lies_inside_its_lane_and_can_be_seen(
    start: float, duration: float, whole: float, left: str, width: str
) -> None:
    """OBS-2."""
    span = SpanView(
        id="1", parent="", depth=40, name="x", service="web", start_ms=start, duration_ms=duration, status="error",
        attributes=(),
    )  # fmt: skip
    bar = bar_of(span, whole)
    assert (bar.left, bar.width) == (left, width)
    assert bar.status == "failed"
    assert bar.indent == 12


def test_who_is_not_signed_in_is_sent_to_the_door_and_other_errors_are_told() -> None:
    """IDN-2."""
    assert on_exception(Unauthenticated("Nobody is signed in.")) is SessionState.enter
    told = on_exception(Conflict("It has changed."))
    assert told.handler.fn.__qualname__ == NoticeState.tell.fn.__qualname__
    assert "It has changed." in str(told.args)


def test_an_unforeseen_error_says_nothing_of_its_inside() -> None:
    """ADM-2."""
    assert "secret path" not in str(on_exception(RuntimeError("secret path")).args)


def test_a_notice_names_the_page_in_its_details() -> None:
    """ADM-2."""
    state = NoticeState()
    state.tell("It has changed.", "Load it again.", "conflict")
    assert state.notice["what"] == "It has changed."
    assert "(conflict)" in state.notice["details"]
    state.close()
    assert state.notice["key"] == ""


@pytest.mark.parametrize(
    ("error", "field", "problem", "at_field"),
    [
        ("", "", "", ""),
        ("sign_in_failed", "", "The email or the password is not right.", ""),
        ("invalid", "email", "Enter a complete email, such as name@example.org.", "email"),
        ("something_new", "", "That did not work. Try again.", ""),
    ],
)
def test_a_refusal_stands_at_its_field(error: str, field: str, problem: str, at_field: str) -> None:
    """ADM-2."""
    state = EntranceState()
    state.error, state.field = error, field
    assert state.problem == problem
    assert [name for name, words in state.problems.items() if words] == ([at_field] if at_field else [])
    assert state.general_problem == ("" if at_field else problem)


def test_setup_says_what_is_missing() -> None:
    """IDN-1."""
    state = EntranceState()
    assert not state.done
    state.checked = True
    assert state.done
    assert state.no_token


def test_health_counts_what_needs_attention() -> None:
    """ADM-1."""
    state = HealthState()
    assert (state.worst, state.summary) == ("ok", "Every part works")


async def test_a_quiet_source_is_looked_at_all_the_same_and_is_closed_in_the_end() -> None:
    """ADM-1."""
    closed = asyncio.Event()

    async def silent() -> AsyncGenerator[None]:
        try:
            yield
            await asyncio.Event().wait()
        finally:
            closed.set()

    ticks = at_least_every(0.01, silent())
    async with asyncio.timeout(5):
        for _ in range(3):
            await anext(ticks)
        await ticks.aclose()
    assert closed.is_set()

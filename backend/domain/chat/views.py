"""What a chat page reads."""

from dataclasses import dataclass

from backend.foundation.kernel.ids import MessageId, ThreadId


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadView:
    """A conversation in the history; times are milliseconds since 1970."""

    id: ThreadId
    agent: str
    title: str
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    """One message as it is stored.

    ``role`` is ``user`` or ``assistant``; ``run`` is the run that wrote it (assistant), empty otherwise; ``trigger`` is
    the event that a sent message started its run with. ``status`` is ``done``, ``cancelled`` or ``failed``; an error
    has its code, words and next step.
    """

    id: MessageId
    role: str
    text: str
    run: str
    status: str
    created_ms: int
    trigger: str = ""
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentView:
    """What `send` made: ``trigger`` is the event's id, by which the run that answers is found."""

    thread: ThreadId
    message: MessageId
    trigger: str

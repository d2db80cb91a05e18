"""The JSON of A2A 1.0 over JSON-RPC 2.0: what is taken, what is answered, and its errors by code."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import msgspec

from backend.domain.flows.views import RunsPage, RunView

TEXT = "text/plain"
_DOMAIN = "a2a-protocol.org"
STATES = {
    "QUEUED": "TASK_STATE_SUBMITTED",
    "RUNNING": "TASK_STATE_WORKING",
    "WAITING": "TASK_STATE_WORKING",
    "SUCCEEDED": "TASK_STATE_COMPLETED",
    "FAILED": "TASK_STATE_FAILED",
    "CANCELLED": "TASK_STATE_CANCELED",
}
"""What A2A calls the statuses of a run."""
_NEVER = frozenset({"TASK_STATE_INPUT_REQUIRED", "TASK_STATE_REJECTED", "TASK_STATE_AUTH_REQUIRED"})


Length = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Fault(Enum):
    """An error of the protocol; its value is the code, its name what A2A calls the reason."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    TASK_NOT_FOUND = -32001
    TASK_NOT_CANCELABLE = -32002
    PUSH_NOTIFICATION_NOT_SUPPORTED = -32003
    UNSUPPORTED_OPERATION = -32004
    CONTENT_TYPE_NOT_SUPPORTED = -32005
    EXTENDED_AGENT_CARD_NOT_CONFIGURED = -32007
    VERSION_NOT_SUPPORTED = -32009


class Refusal(Exception):
    """Why a call is not done, as the protocol says it."""

    def __init__(self, fault: Fault, words: str) -> None:
        super().__init__(words)
        self.fault = fault
        self.words = words


class Call(msgspec.Struct, kw_only=True):
    """A JSON-RPC call; one without an id would be a notification, which A2A does not have."""

    jsonrpc: str
    id: str | int
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")


class Part(msgspec.Struct, kw_only=True):
    """A part of a message; only text is understood."""

    text: str | None = None


class Message(msgspec.Struct, kw_only=True, rename="camel"):
    """What a client says."""

    message_id: str
    role: str
    parts: list[Part]
    context_id: str = ""
    task_id: str = ""


class Configuration(msgspec.Struct, kw_only=True, rename="camel"):
    """How a client wants to be answered."""

    accepted_output_modes: list[str] = []
    return_immediately: bool = False
    history_length: Length | None = None


class SendMessage(msgspec.Struct, kw_only=True):
    """The parameters of ``SendMessage``."""

    message: Message
    configuration: Configuration = msgspec.field(default_factory=Configuration)


class TaskAsked(msgspec.Struct, kw_only=True, rename="camel"):
    """The parameters of ``GetTask``, ``CancelTask`` and ``SubscribeToTask``."""

    id: str
    history_length: Length | None = None


class ListTasks(msgspec.Struct, kw_only=True, rename="camel"):
    """The parameters of ``ListTasks``."""

    context_id: Annotated[str, msgspec.Meta(max_length=200)] = ""
    status: str = ""
    page_size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    page_token: Annotated[str, msgspec.Meta(max_length=200)] = ""
    history_length: Length | None = None
    status_timestamp_after: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    include_artifacts: bool = False


def answer(call: str | int | None, result: dict[str, Any]) -> bytes:
    """Return the response to a call that was done."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": call, "result": result})


def refusal(call: str | int | None, refused: Refusal) -> bytes:
    """Return the response to a call that was not done."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": refused.fault.name, "domain": _DOMAIN}
    error = {"code": refused.fault.value, "message": refused.words, "data": [info]}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": call, "error": error})


def task(run: RunView, history_length: int | None = None) -> dict[str, Any]:
    """Return a run as a task; the answer is its one artifact."""
    found: dict[str, Any] = {"id": run.id, "contextId": run.thread, "status": _status(run)}
    if run.output:
        found["artifacts"] = [_artifact(run, run.output)]
    if history_length != 0:
        found["history"] = [_message(run, "input", "ROLE_USER", run.input)]
    return found


def task_list(page: RunsPage, asked: ListTasks) -> dict[str, Any]:
    """Return a page of runs as a page of tasks."""
    tasks = [task(run, asked.history_length) for run in page.runs]
    if asked.include_artifacts:
        tasks = [{"artifacts": []} | found for found in tasks]
    return {"tasks": tasks, "nextPageToken": page.next, "pageSize": asked.page_size, "totalSize": page.total}


def statuses_of(state: str) -> tuple[str, ...] | None:
    """Return the statuses of runs that A2A calls so: none for a state in which runs never are, ``None`` for any.

    Raises:
        Refusal: it is no state.
    """
    if state in ("", "TASK_STATE_UNSPECIFIED"):
        return None
    found = tuple(status for status, name in STATES.items() if name == state)
    if not found and state not in _NEVER:
        raise Refusal(Fault.INVALID_PARAMS, f"There is no state {state[:80]!r}.")
    return found


def status_update(run: RunView, number: str = "", words: str = "") -> dict[str, Any]:
    """Return how a run is now as an event; ``words`` are what it does, in a message with a ``number`` of its own."""
    status = _status(run)
    if words:
        status["message"] = _message(run, number, "ROLE_AGENT", words)
    return {"statusUpdate": {"taskId": run.id, "contextId": run.thread, "status": status}}


def artifact_update(run: RunView, text: str, *, append: bool, last: bool = False) -> dict[str, Any]:
    """Return a piece of the answer as an event of a stream; one that is not appended replaces all before."""
    event: dict[str, Any] = {"taskId": run.id, "contextId": run.thread, "artifact": _artifact(run, text)}
    if append:
        event["append"] = True
    if last:
        event["lastChunk"] = True
    return {"artifactUpdate": event}


def _status(run: RunView) -> dict[str, Any]:
    status: dict[str, Any] = {"state": STATES[run.status], "timestamp": _time(run)}
    if run.error_code:
        status["message"] = _message(run, "error", "ROLE_AGENT", f"{run.error_message} {run.error_hint}".strip())
    return status


def _artifact(run: RunView, text: str) -> dict[str, Any]:
    return {"artifactId": f"{run.id}-answer", "name": "answer", "parts": [{"text": text, "mediaType": TEXT}]}


def _message(run: RunView, what: str, role: str, text: str) -> dict[str, Any]:
    parts = [{"text": text, "mediaType": TEXT}]
    return {
        "messageId": f"{run.id}-{what}", "contextId": run.thread, "taskId": run.id, "role": role, "parts": parts,
    }  # fmt: skip


def _time(run: RunView) -> str:
    at_ms = run.finished_ms or run.started_ms or run.created_ms
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

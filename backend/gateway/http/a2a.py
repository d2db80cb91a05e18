"""``/a2a``: agents speak A2A 1.0 (JSON-RPC). A message starts a run, and the run is the task.

Calls need an API key of the agent's tenant.
"""

import hashlib
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from backend.app import current
from backend.domain.agents.errors import AgentArchived, AgentNotRunning, InputInvalid
from backend.domain.agents.views import AgentView
from backend.domain.flows.errors import RunNotFound
from backend.domain.flows.rules import RunsWanted
from backend.domain.flows.views import FINISHED, RunsPage, RunView
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid, KeyReused
from backend.gateway.http.a2a_shapes import (
    TEXT,
    Call,
    Fault,
    ListTasks,
    Message,
    Refusal,
    SendMessage,
    TaskAsked,
    answer,
    refusal,
    statuses_of,
    task,
    task_list,
)
from backend.gateway.http.a2a_stream import TaskStream
from backend.gateway.http.bodies import UnsupportedMediaType, media_type, read_body
from backend.gateway.http.callers import caller_of
from backend.gateway.http.stream import Seats

_JSON = "application/json"
_TAKEN = frozenset({_JSON, "application/a2a+json"})
_GOOD_OUTPUT = frozenset({TEXT, "text/*", "*/*", "text"})
_LONGEST_WAIT_S = 300.0
_EPOCH = datetime.fromtimestamp(0, UTC)
_LONGEST_ID = 200
_LONGEST_NUMBER = 1_000
_STREAMED = frozenset({"SendStreamingMessage", "SubscribeToTask"})
_PRIVATE = {"cache-control": "no-store"}
_NOT_HERE = {
    "CreateTaskPushNotificationConfig": Fault.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "GetTaskPushNotificationConfig": Fault.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "ListTaskPushNotificationConfigs": Fault.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "DeleteTaskPushNotificationConfig": Fault.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "GetExtendedAgentCard": Fault.EXTENDED_AGENT_CARD_NOT_CONFIGURED,
}
"""What the protocol has and the card does not promise."""

T = TypeVar("T")


class Talk:
    """The endpoint of agents for other agents; ``seats`` are those of all streams."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    async def call(self, request: Request) -> Response:
        """Do one JSON-RPC call. Who may not come in at all gets a problem; what goes wrong inside is the protocol's."""
        caller = await caller_of(request)
        # Whoever may run but not read would start what he cannot see.
        caller.require(Permission.AGENTS_READ)
        agent = await current().agents.get(caller, request.path_params["agent"])
        if media_type(request.headers) not in _TAKEN:
            raise UnsupportedMediaType("The body must be JSON.", hint=f"Send `Content-Type: {_JSON}`.")
        body = await read_body(request)
        number: str | int | None = None
        try:
            asked = _call(body)
            number = asked.id
            _check_version(request.headers.get("a2a-version", ""))
            if asked.method in _STREAMED:
                return await self._watch(request, caller, agent, asked)
            content = answer(number, await _do(caller, agent, asked))
        except Refusal as refused:
            content = refusal(number, refused)
        return Response(content, media_type=_JSON, headers=_PRIVATE)

    async def _watch(self, request: Request, caller: Caller, agent: AgentView, asked: Call) -> Response:
        async def check() -> None:
            (await caller_of(request)).require(Permission.AGENTS_READ)

        with ExitStack() as seat:
            # Before anything is started: who is turned away may ask again.
            seat.callback(self._seats.take())
            run, history_length = await _watched(caller, agent, asked)
            return TaskStream(
                current(),
                caller,
                run,
                call=asked.id,
                history_length=history_length,
                check=check,
                seat=seat.pop_all().close,
            )


def _call(body: bytes) -> Call:
    try:
        asked = msgspec.json.decode(body, type=Call)
    except msgspec.ValidationError as error:
        raise Refusal(Fault.INVALID_REQUEST, f"This is no JSON-RPC call: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Fault.PARSE_ERROR, "The body is not JSON.") from error
    if asked.jsonrpc != "2.0":
        raise Refusal(Fault.INVALID_REQUEST, "`jsonrpc` must be `2.0`.")
    # Each event of a stream says it again.
    if isinstance(asked.id, str) and len(asked.id) > _LONGEST_NUMBER:
        raise Refusal(Fault.INVALID_REQUEST, f"An `id` has at most {_LONGEST_NUMBER:,} characters.")
    return asked


def _check_version(version: str) -> None:
    # A2A: who names no version speaks 0.3.
    if ".".join(version.split(".")[:2]) != "1.0":
        raise Refusal(Fault.VERSION_NOT_SUPPORTED, "This speaks A2A 1.0: send the header `A2A-Version: 1.0`.")


async def _do(caller: Caller, agent: AgentView, asked: Call) -> dict[str, object]:
    if asked.method == "SendMessage":
        return {"task": await _send(caller, agent, _params(asked, SendMessage))}
    if asked.method == "GetTask":
        wanted = _params(asked, TaskAsked)
        return task(await _run(caller, agent, wanted.id), wanted.history_length)
    if asked.method == "ListTasks":
        return await _list(caller, agent, _params(asked, ListTasks))
    if asked.method == "CancelTask":
        return task(await _cancel(caller, agent, _params(asked, TaskAsked)))
    fault = _NOT_HERE.get(asked.method, Fault.METHOD_NOT_FOUND)
    raise Refusal(fault, f"There is no {asked.method[:80]!r} here; the card tells what there is.")


def _params(asked: Call, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(asked.params, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Fault.INVALID_PARAMS, f"The parameters do not fit: {error}.") from error


async def _watched(caller: Caller, agent: AgentView, asked: Call) -> tuple[RunView, int | None]:
    """Return the run that a call wants to watch, and how much of its history it wants."""
    if asked.method == "SendStreamingMessage":
        wanted = _params(asked, SendMessage)
        return await _start(caller, agent, wanted), wanted.configuration.history_length
    run = await _run(caller, agent, _params(asked, TaskAsked).id)
    if run.status in FINISHED:
        raise Refusal(Fault.UNSUPPORTED_OPERATION, f"The task {run.id!r} is over: look at it with `GetTask`.")
    return run, None


async def _send(caller: Caller, agent: AgentView, wanted: SendMessage) -> dict[str, object]:
    run = await _start(caller, agent, wanted)
    if not wanted.configuration.return_immediately:
        run, _ = await current().flows.outcome(caller, run, _LONGEST_WAIT_S)
    return task(run, wanted.configuration.history_length)


async def _start(caller: Caller, agent: AgentView, wanted: SendMessage) -> RunView:
    message = wanted.message
    text = _text_of(message, wanted.configuration.accepted_output_modes)
    if message.task_id:
        await _run(caller, agent, message.task_id)
        raise Refusal(Fault.UNSUPPORTED_OPERATION, "A task takes one message; send the next one with its context.")
    context = message.context_id or _context(caller, message.message_id)
    key = f"a2a;{message.message_id}"
    try:
        return await current().agents.run(caller, agent.id, input=text, thread=context, idempotency_key=key)
    except (AgentNotRunning, AgentArchived) as error:
        raise Refusal(Fault.UNSUPPORTED_OPERATION, f"{error.message} {error.hint}") from error
    except (InputInvalid, KeyReused) as error:
        raise Refusal(Fault.INVALID_PARAMS, error.message) from error


def _text_of(message: Message, accepted: list[str]) -> str:
    if message.role != "ROLE_USER":
        raise Refusal(Fault.INVALID_PARAMS, "A client's message has the role `ROLE_USER`.")
    if not 1 <= len(message.message_id) <= _LONGEST_ID or not message.message_id.isprintable():
        raise Refusal(Fault.INVALID_PARAMS, f"A `messageId` has 1 to {_LONGEST_ID} printable characters.")
    texts = [part.text for part in message.parts if part.text is not None]
    if len(texts) < len(message.parts):
        raise Refusal(Fault.CONTENT_TYPE_NOT_SUPPORTED, "Only parts of text are understood.")
    if accepted and not _GOOD_OUTPUT & set(accepted):
        raise Refusal(Fault.CONTENT_TYPE_NOT_SUPPORTED, f"Answers are {TEXT}.")
    return "\n".join(texts)


def _context(caller: Caller, message: str) -> str:
    """Return the context of a message that names none: the same for the same message, as it may be sent again."""
    return f"ctx_{hashlib.blake2b(f'{caller.subject};{message}'.encode(), digest_size=16).hexdigest()}"


async def _run(caller: Caller, agent: AgentView, name: str) -> RunView:
    if name.isprintable():
        with suppress(RunNotFound):
            run = await current().flows.get(caller, name)
            if run.agent == agent.id:
                return run
    raise Refusal(Fault.TASK_NOT_FOUND, f"There is no task {name[:80]!r}.")


async def _list(caller: Caller, agent: AgentView, wanted: ListTasks) -> dict[str, object]:
    statuses = statuses_of(wanted.status)
    if statuses == () or not wanted.context_id.isprintable():
        return task_list(RunsPage(runs=(), next="", total=0), wanted)
    since = wanted.status_timestamp_after
    runs = RunsWanted(
        agent=agent.id,
        thread=wanted.context_id,
        statuses=statuses or (),
        since_ms=None if since is None else -((_EPOCH - since) // timedelta(milliseconds=1)),
        after=wanted.page_token,
        most=wanted.page_size,
        inputs=wanted.history_length != 0,
        outputs=wanted.include_artifacts,
    )
    try:
        return task_list(await current().flows.page(caller, runs), wanted)
    except Invalid as error:
        raise Refusal(Fault.INVALID_PARAMS, "The `pageToken` is none of ours: use it as it came.") from error


async def _cancel(caller: Caller, agent: AgentView, wanted: TaskAsked) -> RunView:
    caller.require(Permission.AGENTS_RUN)
    run = await _run(caller, agent, wanted.id)
    if run.status in FINISHED:
        raise Refusal(Fault.TASK_NOT_CANCELABLE, f"The task {run.id!r} is over.")
    return await current().flows.cancel(caller, run.id)

"""``/v1/agents`` and ``/v1/runs``: ask an agent, wait or watch, look again, stop."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from backend.app import current
from backend.domain.flows.views import FINISHED, RunView, StepView
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid
from backend.foundation.live.rules import parse_cursor
from backend.gateway.http.bodies import read_json
from backend.gateway.http.callers import caller_of
from backend.gateway.http.shapes import Agents, Cards, RunRequest, agent_shape, card_shape, run_shape
from backend.gateway.http.stream import EVENT_STREAM, RunStream, Seats

_LONGEST_WAIT_S = 300.0
_LONGEST_KEY = 200
_MOST_CARDS = 100


class Runs:
    """The endpoints of agents and their runs; ``seats`` are those of all streams."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    async def agents(self, request: Request) -> Response:
        """List the tenant's agents."""
        caller = await caller_of(request)
        found = await current().agents.list(caller)
        return json_response(Agents([agent_shape(agent) for agent in found]))

    async def cards(self, request: Request) -> Response:
        """List the tenant's agents with their cards and whether they live: those after the query's ``after``."""
        caller = await caller_of(request)
        after = request.query_params.get("after", "")
        found = sorted((await current().directory.agents(caller)).agents, key=lambda one: one.agent)
        left = [one for one in found if one.agent > after]
        page = left[:_MOST_CARDS]
        return json_response(Cards([card_shape(one) for one in page], page[-1].agent if len(left) > len(page) else ""))

    async def start(self, request: Request) -> Response:
        """Run an agent: wait for the end (200), go on at once (202), or watch (``Accept: text/event-stream``)."""
        caller = await caller_of(request)
        # Whoever may run but not read would start what he cannot see.
        caller.require(Permission.AGENTS_READ)
        asked = await read_json(request, RunRequest)
        backend = current()
        run = await backend.agents.run(
            caller,
            request.path_params["agent"],
            input=asked.input,
            thread=asked.thread,
            idempotency_key=idempotency_key(request),
        )
        if EVENT_STREAM in request.headers.get("accept", "").lower():
            return self._stream(request, caller, run)
        if asked.wait:
            return _answer(*await backend.flows.outcome(caller, run, _LONGEST_WAIT_S), asked=True)
        return _answer(*await backend.flows.with_steps(caller, run.id), asked=True)

    async def get(self, request: Request) -> Response:
        """Return a run with its steps."""
        caller = await caller_of(request)
        return _answer(*await current().flows.with_steps(caller, request.path_params["run"]))

    async def cancel(self, request: Request) -> Response:
        """Ask a run to stop; what it made until then is kept."""
        caller = await caller_of(request)
        run = await current().flows.cancel(caller, request.path_params["run"])
        return _answer(*await current().flows.with_steps(caller, run.id), asked=True)

    async def events(self, request: Request) -> Response:
        """Watch a run: what happened after ``Last-Event-ID``, then what happens, until its end."""
        caller = await caller_of(request)
        run = await current().flows.get(caller, request.path_params["run"])
        if request.method == "HEAD":
            return Response(media_type=EVENT_STREAM)
        return self._stream(request, caller, run)

    def _stream(self, request: Request, caller: Caller, run: RunView) -> Response:
        after = request.headers.get("last-event-id", "")
        # Before the stream begins: later nobody could be told.
        parse_cursor(after)

        async def check() -> object:
            return await caller_of(request)

        return RunStream(current(), caller, run, after=after, check=check, seat=self._seats.take())


def _answer(run: RunView, steps: list[StepView], *, asked: bool = False) -> Response:
    """Return a run; one that was ``asked`` to change and is not at its end yet is accepted, and told where to look."""
    accepted = asked and run.status not in FINISHED
    response = json_response(run_shape(run, steps), HTTPStatus.ACCEPTED if accepted else HTTPStatus.OK)
    if accepted:
        response.headers["location"] = f"/v1/runs/{run.id}"
    return response


def json_response(content: msgspec.Struct, status: int = HTTPStatus.OK) -> Response:
    """Return a value as JSON that nobody keeps."""
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def idempotency_key(request: Request) -> str:
    """Return the header ``Idempotency-Key``, empty for none; raise `Invalid` for one that is too long."""
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > _LONGEST_KEY or not key.isprintable():
        raise Invalid(f"An Idempotency-Key has at most {_LONGEST_KEY} printable characters.", field="Idempotency-Key")
    return key

"""The rooms below, as nodes use them: each call is made for the run's own tenant and nobody else's."""

from typing import Any

from backend.domain.flows.ports import NodeServices, RunFacts, ToolOutcome
from backend.domain.flows.repository import reads
from backend.domain.models.ports import ChatMessage, ToolSchema, TurnRequest
from backend.domain.models.rules import estimate_tokens
from backend.domain.models.service import Models
from backend.domain.tools.service import Tools
from backend.foundation.kernel.caller import system_caller
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database

_HISTORY_CHARACTERS = 60_000


class Below:
    """Makes `NodeServices` of the rooms."""

    def __init__(self, db: Database, models: Models, tools: Tools, *, tool_deadline_s: float = 30.0) -> None:
        self._db = db
        self._models = models
        self._tools = tools
        self._tool_deadline_s = tool_deadline_s

    def services(self) -> NodeServices:
        """Return what nodes get."""
        return NodeServices(
            stream=self._models.stream,
            estimate=_estimate,
            price=self._models.price,
            schemas=self._schemas,
            call_tool=self._call_tool,
            history=self._history,
        )

    async def _schemas(self, tenant: TenantId, tools: tuple[str, ...]) -> tuple[ToolSchema, ...]:
        found = await self._tools.schemas(system_caller(tenant, "flows"), tools)
        return tuple(
            ToolSchema(name=tool.name, description=tool.description, parameters=tool.parameters) for tool in found
        )

    async def _call_tool(self, run: RunFacts, name: str, arguments: dict[str, Any], *, effect_key: str) -> ToolOutcome:
        caller = system_caller(run.tenant, "flows")
        try:
            result = await self._tools.call(
                caller, name, arguments, effect_key=effect_key, deadline_s=self._tool_deadline_s
            )
        except AutoWeaveError as error:
            return ToolOutcome(ok=False, output=None, error=f"{error.message} {error.hint}", duration_ms=0)
        return ToolOutcome(
            ok=result.ok, output=result.output, error=result.error, duration_ms=round(result.duration_ms)
        )

    async def _history(self, run: RunFacts, exchanges: int) -> tuple[ChatMessage, ...]:
        """Return what was said before in the run's lane, the newest that fit in 60,000 characters."""
        if run.lane == run.id or exchanges < 1:
            return ()
        async with self._db.read(run.tenant) as session:
            pairs = await reads.exchanges(session, run.tenant, run.lane, run.seq, exchanges)
        messages: list[ChatMessage] = []
        room = _HISTORY_CHARACTERS
        for said, answered in reversed(pairs):
            room -= len(said) + len(answered)
            if room < 0:
                break
            messages += [ChatMessage(role="assistant", text=answered), ChatMessage(role="user", text=said)]
        return tuple(reversed(messages))


def _estimate(request: TurnRequest) -> int:
    return estimate_tokens(request.messages, request.tools)

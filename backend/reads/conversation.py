"""A chat's conversation as its page shows it: messages, the tool calls that led to them, and the run at work."""

from collections import defaultdict
from typing import Any, cast

import msgspec

from backend.domain.chat.service import Chat
from backend.domain.chat.views import MessageView
from backend.domain.flows.models import StepRow
from backend.domain.flows.repository import reads
from backend.domain.flows.service.flows import Flows
from backend.domain.flows.views import FINISHED, RunView
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.ids import MessageId, ThreadId
from backend.foundation.kernel.ports import Database
from backend.reads.views import ConversationView, ToolLine, TurnView

_SHOWN = 4000
_STATUS = {"SUCCEEDED": "done", "CANCELLED": "cancelled", "FAILED": "failed"}


class Conversations:
    """Joins chat and flows for the chat page."""

    def __init__(self, db: Database, chat: Chat, flows: Flows) -> None:
        self._db = db
        self._chat = chat
        self._flows = flows

    async def conversation(
        self, caller: Caller, thread: ThreadId, *, before: str | None = None, after: str | None = None, limit: int = 50
    ) -> ConversationView:
        """Return the last ``limit`` (199 at most) messages of one of the caller's threads, or those next to one."""
        caller.require(Permission.CHAT_USE)
        view = await self._chat.thread(caller, thread)
        at_end = before is None and after is None
        messages = await self._chat.messages(caller, thread, before=before, after=after, limit=limit + 1)
        more, messages = len(messages) > limit, messages[:limit] if after else messages[-limit:]
        runs = await self._runs(caller, messages)
        messages = _with_unstored_replies(messages, runs) if at_end else messages
        tools = await self._tools(caller, [run.id for run in runs.values()])
        # A message whose event has not made its run yet counts as pending: it is on its way.
        answered = {message.trigger for message in messages if message.role == "assistant"}
        waiting = [m for m in messages if m.role == "user" and m.trigger not in answered] if at_end else []
        open_runs = [runs[m.trigger] for m in waiting if m.trigger in runs and runs[m.trigger].status not in FINISHED]
        return ConversationView(
            thread=view,
            turns=tuple(self._turn(message, runs.get(message.trigger), tools) for message in messages),
            active_run=open_runs[0].id if open_runs else "",
            active_status=open_runs[0].status if open_runs else ("QUEUED" if waiting else ""),
            pending=max(0, len(waiting) - 1),
            has_older=more or after is not None,
            has_newer=more if after is not None else not at_end,
        )

    async def _runs(self, caller: Caller, messages: list[MessageView]) -> dict[str, RunView]:
        triggers = {message.trigger for message in messages if message.trigger}
        if not triggers:
            return {}
        async with self._db.read(caller.tenant) as session:
            rows = await reads.runs_of_triggers(session, sorted(triggers))
        return {row.trigger: reads.run_view(row) for row in rows}

    async def _tools(self, caller: Caller, runs: list[str]) -> dict[str, tuple[ToolLine, ...]]:
        if not runs:
            return {}
        lines: dict[str, list[ToolLine]] = defaultdict(list)
        async with self._db.read(caller.tenant) as session:
            for row in await reads.step_rows(session, runs, kind="tool"):
                lines[row.run].append(_tool_line(row))
        return {run: tuple(found) for run, found in lines.items()}

    def _turn(self, message: MessageView, run: RunView | None, tools: dict[str, tuple[ToolLine, ...]]) -> TurnView:
        if message.role != "assistant" or run is None:
            return TurnView(message=message, tools=(), trace="")
        return TurnView(message=message, tools=tools.get(run.id, ()), trace=run.trace)


def _with_unstored_replies(messages: list[MessageView], runs: dict[str, RunView]) -> list[MessageView]:
    """Add the replies of runs that have finished but whose event has not reached the chat yet."""
    stored = {message.trigger for message in messages if message.role == "assistant"}
    shown: list[MessageView] = []
    late: list[MessageView] = []
    for message in messages:
        shown.append(message)
        run = runs.get(message.trigger)
        if message.role == "user" and run is not None and run.status in FINISHED and run.trigger not in stored:
            late.append(_reply(run))
    return shown + late


def _reply(run: RunView) -> MessageView:
    return MessageView(
        id=MessageId(f"late_{run.id}"),
        role="assistant",
        text=run.output,
        run=run.id,
        trigger=run.trigger,
        status=_STATUS[run.status],
        created_ms=run.finished_ms,
        error_code=run.error_code,
        error_message=run.error_message,
        error_hint=run.error_hint,
    )


def _tool_line(row: StepRow) -> ToolLine:
    given, output = cast("dict[str, Any]", row.input or {}), cast("dict[str, Any]", row.output or {})
    ok = row.status == "DONE" and bool(output.get("ok"))
    return ToolLine(
        path=row.path,
        name=str(given.get("name", "")),
        status="running" if row.status == "STARTED" else "ok" if ok else "failed",
        arguments=_shown(given.get("arguments")),
        result=_shown(row.error or output.get("result")),
        duration_ms=int(output.get("tool_ms", row.duration_ms)),
    )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

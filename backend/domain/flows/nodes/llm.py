"""A model with tools: turns and calls until the model has nothing more to ask for."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from backend.domain.flows.errors import BudgetExhausted
from backend.domain.flows.ports import NodeContext, Progress, StepResult
from backend.domain.models.errors import ModelBrokeOff, ModelRefused
from backend.domain.models.ports import ChatMessage, TextDelta, ToolCall, ToolSchema, TurnRequest
from backend.foundation.kernel.failpoints import hit
from backend.governance.budgets.rules import Reservation, Spent, output_allowance


class LlmConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``model`` empty means the one that AutoWeave is set to; ``tools`` are ids of installed tools."""

    model: str = ""
    tools: tuple[str, ...] = ()
    max_output_tokens: int = 4096
    timeout_s: float = 180.0


class LlmNode:
    """Comes in: ``{"messages": […]}``. Goes out: ``{"text": …}``, what the model said in all its turns.

    Each turn is a step that is stored before its calls; the calls of a turn are steps that run side by side.
    """

    type = "llm"
    version = 1

    async def run(self, context: NodeContext, config: Mapping[str, Any], value: Any) -> Any:
        settings = msgspec.convert(config, LlmConfig)
        tools = await context.services.schemas(context.run.tenant, settings.tools) if settings.tools else ()
        messages = [ChatMessage(role=entry["role"], text=entry["text"]) for entry in value["messages"]]
        said: list[str] = []
        number = 0
        while True:
            turn = await self._turn(context, settings, tools, tuple(messages), number)
            if turn["text"]:
                said.append(turn["text"])
            calls = [msgspec.convert(call, ToolCall) for call in turn["tool_calls"]]
            if not calls:
                return {"text": "\n\n".join(said)}
            messages.append(ChatMessage(role="assistant", text=turn["text"], tool_calls=tuple(calls)))
            messages += await self._calls(context, calls, number)
            number += 1

    async def _turn(
        self,
        context: NodeContext,
        settings: LlmConfig,
        tools: tuple[ToolSchema, ...],
        messages: tuple[ChatMessage, ...],
        number: int,
    ) -> dict[str, Any]:
        services = context.services
        request = TurnRequest(
            model=settings.model, messages=messages, tools=tools, max_output_tokens=settings.max_output_tokens,
            timeout_s=settings.timeout_s,
        )  # fmt: skip
        read = services.estimate(request)
        write = output_allowance(context.run.limits, context.spent, read, settings.max_output_tokens)
        if write <= 0:
            raise BudgetExhausted(f"The run's limit of {context.run.limits.tokens:,} tokens would be passed.")
        request = replace(request, max_output_tokens=write)
        result = await context.step(
            f"turn[{number}]",
            kind="turn",
            effect="idempotent",
            input={"model": settings.model, "messages": len(messages), "tools": [tool.name for tool in tools]},
            work=_Stream(context, request).work,
            reserve=Reservation(tokens=read + write, cost_micros=services.price(settings.model, read, write)),
        )
        return result.output

    async def _calls(self, context: NodeContext, calls: list[ToolCall], turn: int) -> list[ChatMessage]:
        results = await asyncio.gather(
            *(self._call(context, call, f"turn[{turn}]/call[{index}]") for index, call in enumerate(calls)),
            return_exceptions=True,
        )
        messages: list[ChatMessage] = []
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            text = result.error or msgspec.json.encode(result.output["result"]).decode()
            messages.append(ChatMessage(role="tool", text=text, tool_call_id=call.id, tool_name=call.name))
        return messages

    async def _call(self, context: NodeContext, call: ToolCall, path: str) -> StepResult:
        async def work(progress: Progress) -> StepResult:
            shown = {"name": call.name, "arguments": call.arguments}
            progress.tool(shown | {"status": "running", "result": None, "duration_ms": 0})
            outcome = await context.services.call_tool(
                context.run, call.name, call.arguments, effect_key=progress.effect_key
            )
            hit("flows.tool.effect")
            ended = {"status": "ok" if outcome.ok else "failed", "duration_ms": outcome.duration_ms}
            progress.tool(shown | ended | {"result": outcome.output if outcome.ok else outcome.error})
            output = {"result": outcome.output, "ok": outcome.ok, "tool_ms": outcome.duration_ms}
            return StepResult(output=output, error=outcome.error, spent=Spent(tool_calls=1))

        return await context.step(
            path,
            kind="tool",
            effect="idempotent",
            input={"name": call.name, "arguments": call.arguments},
            work=work,
            reserve=Reservation(tool_calls=1),
        )


class _Stream:
    """One turn's stream, shown as it comes."""

    def __init__(self, context: NodeContext, request: TurnRequest) -> None:
        self._context = context
        self._request = request

    async def work(self, progress: Progress) -> StepResult:
        stream = self._context.services.stream(self._request)
        try:
            async for event in stream:
                if isinstance(event, TextDelta):
                    progress.token(event.text)
                    continue
                hit("flows.turn.effect")
                if event.finish_reason == "content_filter":
                    raise ModelRefused("The provider's filter ended the answer.")
                usage = event.usage
                return StepResult(
                    output={
                        "text": event.text,
                        "tool_calls": msgspec.to_builtins(event.tool_calls),
                        "finish_reason": event.finish_reason,
                    },
                    spent=Spent(
                        input_tokens=usage.input_tokens,
                        output_tokens=usage.output_tokens,
                        cost_micros=usage.cost_micros,
                        turns=1,
                    ),
                )
        finally:
            await stream.aclose()
        raise ModelBrokeOff("The model's answer ended without its last part.")

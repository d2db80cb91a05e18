"""Installed tools, from the database to a guest and back."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from backend.adapters.database.database import SqlDatabase
from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.domain.tools.errors import DataCorruption, IntegrityViolation, ToolUnknown
from backend.domain.tools.models import CodeRow, ToolRow
from backend.domain.tools.service import Tools
from backend.domain.tools.views import ToolResult
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden
from backend.foundation.telemetry import metrics
from tests.integration.domain.tools.conftest import HOME, OTHER, caller_of

pytestmark = pytest.mark.integration
CALCULATOR = "dev.autoweave.calculator"
IDS = (CALCULATOR, "dev.autoweave.json-query", "dev.autoweave.text-stats")


async def call(tools: Tools, caller: Caller, name: str, **arguments: Any) -> ToolResult:
    return await tools.call(caller, name, arguments, effect_key="run/step", deadline_s=10)


async def test_a_starter_tool_answers_by_its_call_name_and_its_id(tools: Tools, caller: Caller) -> None:
    """TOL-1, TOL-2."""
    for name in (CALCULATOR, "dev_autoweave_calculator"):
        result = await call(tools, caller, name, expression="17% of 2,431")
        assert result.ok
        assert result.output == {"result": "413.27", "expression": "17% of 2,431"}
        assert result.fuel_used > 0
        assert result.duration_ms > 0


async def test_models_get_schemas_in_the_order_of_the_ids(tools: Tools, caller: Caller) -> None:
    """TOL-1."""
    schemas = await tools.schemas(caller, IDS[::-1])
    assert [schema.name for schema in schemas] == [
        "dev_autoweave_text_stats",
        "dev_autoweave_json_query",
        "dev_autoweave_calculator",
    ]
    assert schemas[2].parameters["required"] == ["expression"]


async def test_installing_the_starters_again_changes_nothing(tools: Tools, caller: Caller) -> None:
    """TOL-1."""
    before = await tools.list(caller)
    await tools.install_starters(HOME)
    assert await tools.list(caller) == before
    assert [view.id for view in before] == list(IDS)


async def test_starters_installed_at_the_same_time_by_two_processes_are_there_once(
    database: SqlDatabase, sandbox: WasmtimeSandbox, caller: Caller
) -> None:
    """TOL-1."""
    first, second = Tools(database, sandbox), Tools(database, sandbox)
    await asyncio.gather(first.install_starters(HOME), second.install_starters(HOME))
    assert len(await first.list(caller)) == len(IDS)


async def test_an_older_starter_is_brought_to_this_version(tools: Tools, database: SqlDatabase, caller: Caller) -> None:
    """TOL-1."""
    async with database.write(HOME) as session:
        await session.execute(update(ToolRow).values(version="0.9.0", description="Old."))
    await tools.install_starters(HOME)
    assert {view.version for view in await tools.list(caller)} == {"1.0.0"}


async def test_wrong_arguments_come_back_in_words_for_a_model(tools: Tools, caller: Caller) -> None:
    """TOL-1."""
    result = await call(tools, caller, CALCULATOR, expression=4, mode="fast")
    assert not result.ok
    assert result.error == ('"mode" is unknown; there is "expression". "expression" must be a string, but it is 4.')


async def test_an_unknown_name_comes_back_with_the_names_that_there_are(tools: Tools, caller: Caller) -> None:
    """TOL-1."""
    result = await call(tools, caller, "dev_autoweave_weather")
    assert not result.ok
    assert "dev_autoweave_calculator" in result.error


async def test_the_tools_own_error_comes_back(tools: Tools, caller: Caller) -> None:
    """TOL-2."""
    result = await call(tools, caller, CALCULATOR, expression="1/0")
    assert (result.ok, result.error) == (False, "Division by zero.")


async def test_another_tenants_tools_are_invisible(tools: Tools) -> None:
    """TOL-1, IDN-2."""
    stranger = caller_of(OTHER)
    assert await tools.list(stranger) == []
    assert not (await call(tools, stranger, CALCULATOR, expression="1")).ok
    with pytest.raises(ToolUnknown):
        await tools.schemas(stranger, [CALCULATOR])


async def test_every_verb_asks_for_its_permission(tools: Tools) -> None:
    """IDN-2."""
    reader, runner = caller_of(HOME, Permission.TOOLS_READ), caller_of(HOME, Permission.TOOLS_RUN)
    with pytest.raises(Forbidden):
        await call(tools, reader, CALCULATOR, expression="1")
    with pytest.raises(Forbidden):
        await tools.list(runner)
    with pytest.raises(Forbidden):
        await tools.schemas(runner, IDS)
    with pytest.raises(Forbidden):
        tools.uses(runner)


async def test_code_that_was_changed_in_the_database_does_not_run(
    tools: Tools, database: SqlDatabase, caller: Caller
) -> None:
    """TOL-3."""
    async with database.write(HOME) as session:
        await session.execute(update(CodeRow).values(code=b"\0asm\1\0\0\0"))
    with pytest.raises(IntegrityViolation):
        await call(tools, caller, CALCULATOR, expression="1")


async def test_missing_code_is_corruption(tools: Tools, database: SqlDatabase, caller: Caller) -> None:
    """TOL-3."""
    async with database.write(HOME) as session:
        await session.execute(update(ToolRow).where(col(ToolRow.id) == CALCULATOR).values(sha256="0" * 64))
    with pytest.raises(DataCorruption):
        await call(tools, caller, CALCULATOR, expression="1")


@pytest.mark.parametrize(
    "security",
    [
        {"fs_access": "read"},
        {"net_allow_list": ["example.com"]},
        {"memory_bytes": 1 << 40},
        {"surprise": 1},
        {"fuel": 0},
    ],
)
async def test_stored_bounds_that_no_manifest_could_ask_for_are_corruption(
    tools: Tools, database: SqlDatabase, caller: Caller, security: dict[str, Any]
) -> None:
    """TOL-3."""
    async with database.write(HOME) as session:
        await session.execute(update(ToolRow).values(security=security))
    with pytest.raises(DataCorruption):
        await call(tools, caller, CALCULATOR, expression="1")


@pytest.mark.parametrize("column", ["security", "input_schema", "output_schema"])
@pytest.mark.parametrize("value", ["{", "3", '{"type": "nonsense"}'])
async def test_a_record_that_is_not_what_was_stored_is_corruption(
    tools: Tools, database: SqlDatabase, caller: Caller, column: str, value: str
) -> None:
    """TOL-3."""
    async with database.write(HOME) as session:
        await session.execute(text(f"UPDATE tools_tool SET {column} = '{value}'").execution_options(no_parameters=True))
    with pytest.raises(DataCorruption):
        await call(tools, caller, CALCULATOR, expression="1")
    with pytest.raises(DataCorruption):
        await tools.list(caller)


async def test_a_call_without_time_left_is_not_begun(tools: Tools, caller: Caller) -> None:
    """TOL-2."""
    result = await tools.call(caller, CALCULATOR, {"expression": "1"}, effect_key="run/step", deadline_s=0)
    assert (result.ok, result.error) == (False, "No time is left for this call.")


def counted(outcome: str) -> float:
    labels = {"tool": CALCULATOR, "outcome": outcome}
    return metrics.REGISTRY.get_sample_value("autoweave_tool_calls_total", labels) or 0


async def test_calls_are_counted_for_their_tenant(tools: Tools, caller: Caller) -> None:
    """TOL-9."""
    before = counted("ok")
    await call(tools, caller, CALCULATOR, expression="1+1")
    await call(tools, caller, CALCULATOR, expression="1+")
    (use,) = tools.uses(caller)
    assert (use.id, use.calls, use.succeeded, use.failed, use.active) == (CALCULATOR, 2, 1, 1, 0)
    assert use.fuel > 0
    assert tools.uses(caller_of(OTHER)) == ()
    assert counted("ok") - before == 1
    health = await tools.health()
    assert health.ok
    assert health.calls == 2
    assert health.cache_hits + health.cache_misses == 2


async def test_warming_up_compiles_the_starters(tools: Tools, caller: Caller) -> None:
    """TOL-2."""
    await tools.warm()
    assert (await call(tools, caller, CALCULATOR, expression="2^10")).output["result"] == "1024"
    assert (await tools.health()).cache_misses == 0


async def test_sixteen_callers_at_once_all_get_their_own_answer(tools: Tools, caller: Caller) -> None:
    """TOL-2."""
    results = await asyncio.gather(*(call(tools, caller, CALCULATOR, expression=f"{n}*{n}") for n in range(16)))
    assert [result.output["result"] for result in results] == [str(n * n) for n in range(16)]

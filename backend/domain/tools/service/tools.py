"""`Tools`: the verbs of the room."""

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.tools import repository
from backend.domain.tools.errors import ToolUnknown
from backend.domain.tools.models import ToolRow
from backend.domain.tools.ports import Limits, Sandbox, SandboxCall, SandboxHealth, SandboxResult
from backend.domain.tools.rules.names import call_name
from backend.domain.tools.rules.schema import Schema, value_faults
from backend.domain.tools.rules.security import OUTPUT_BYTES, Security
from backend.domain.tools.service.codes import Codes
from backend.domain.tools.service.starters import Package, starters
from backend.domain.tools.service.uses import NoPlace, Uses
from backend.domain.tools.views import ToolResult, ToolSchema, ToolUse, ToolView
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.ids import TenantId, ToolId
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry import attributes, set_attribute, span

_log = structlog.get_logger("tools")
_INPUT_BYTES = 1024 * 1024
_NAMED = 20
"""How many tools an error names that could have been meant."""


class Tools:
    """Installed tools of each tenant, and calls to them in the sandbox.

    Args:
        db: where tools are stored.
        sandbox: where they run; its life is its owner's.
    """

    def __init__(self, db: Database, sandbox: Sandbox) -> None:
        self._db = db
        self._sandbox = sandbox
        self._codes = Codes(db)
        self._uses = Uses()

    async def install_starters(self, tenant: TenantId) -> None:
        """Install the starter tools of this version where a tenant has not got them; a system verb without caller."""
        packages = starters()
        wanted = {package.manifest.id: _row(tenant, package) for package in packages}
        async with self._db.read(tenant) as session:
            found = {row.id: row for row in await repository.tools(session, tenant, wanted)}
        missing = [package for package in packages if not _same(found.get(package.manifest.id), wanted)]
        if not missing:
            return
        async with self._db.write(tenant) as session:
            for package in missing:
                await repository.store(session, wanted[package.manifest.id], package.code)
        _log.info("starter tools installed", tenant=tenant, tools=[package.manifest.id for package in missing])

    async def warm(self) -> None:
        """Compile the starter tools, so that the first call is as quick as the others; for workers at their start."""
        for package in starters():
            await self._sandbox.prepare(package.sha256, package.code)

    async def schemas(self, caller: Caller, ids: Sequence[str]) -> tuple[ToolSchema, ...]:
        """Return the tools with the ids as models see them, in that order.

        Raises:
            ToolUnknown: one of them is not installed.
        """
        caller.require(Permission.TOOLS_READ)
        async with self._db.read(caller.tenant) as session:
            found = await repository.offered(session, caller.tenant, ids)
        if missing := [tool for tool in ids if tool not in found]:
            raise ToolUnknown(f"The tool {missing[0]!r} is not installed.")
        return tuple(found[tool] for tool in ids)

    async def call(
        self, caller: Caller, name: str, arguments: dict[str, Any], *, effect_key: str, deadline_s: float
    ) -> ToolResult:
        """Run a tool once, by its id or call name.

        What a model can put right comes back as a result that is not ``ok``: an unknown name, wrong arguments, an
        error of the tool, a limit that was met. A guest has no effects outside, so a repeated call is harmless.

        Args:
            caller: needs ``tools:run``.
            name: the tool's id or call name.
            arguments: JSON as Python's own types.
            effect_key: the caller's name for this effect, the same for each try of it; it stands in the trace.
            deadline_s: seconds that the guest may take at most, and that a place for it is waited for.

        Raises:
            IntegrityViolation, DataCorruption: the stored tool is not what was installed.
        """
        caller.require(Permission.TOOLS_RUN)
        with span("tool.call", tenant=caller.tenant, attributes={attributes.TOOL: name, "effect.key": effect_key}):
            async with self._db.read(caller.tenant) as session:
                row = await repository.tool(session, caller.tenant, name)
            if row is None:
                return await self._unknown(caller.tenant, name)
            input_schema, output_schema = repository.schemas_of(row)
            if faults := _argument_faults(input_schema, arguments):
                return ToolResult(ok=False, error=" ".join(faults))
            if deadline_s <= 0:
                return ToolResult(ok=False, error="No time is left for this call.")
            result = await self._run(caller.tenant, row, arguments, deadline_s)
            set_attribute("tool.outcome", result.outcome)
            set_attribute("tool.fuel", result.fuel_used)
            return _answer(output_schema, result)

    async def health(self) -> SandboxHealth:
        """Return the state of this process's sandbox."""
        return await self._sandbox.health()

    def uses(self, caller: Caller) -> tuple[ToolUse, ...]:
        """Return what this process has done with the tenant's tools since it started."""
        caller.require(Permission.TOOLS_READ)
        return self._uses.of(caller.tenant)

    @property
    def active(self) -> int:
        """How many calls run in this process now, of all tenants."""
        return self._uses.active

    async def list(self, caller: Caller) -> list[ToolView]:
        """Return the installed tools by name."""
        caller.require(Permission.TOOLS_READ)
        async with self._db.read(caller.tenant) as session:
            return [_view(row) for row in await repository.tools(session, caller.tenant)]

    async def described(
        self, session: AsyncSession, tenant: TenantId, ids: Sequence[str]
    ) -> dict[str, tuple[str, str]]:
        """Return name and description of those tools with the ids that are installed, in the caller's unit of work."""
        return {row.id: (row.name, row.description) for row in await repository.tools(session, tenant, ids)}

    async def _run(self, tenant: TenantId, row: ToolRow, arguments: dict[str, Any], deadline_s: float) -> SandboxResult:
        security = repository.security_of(row)
        code = await self._codes.load(tenant, row.id, row.sha256)
        call = SandboxCall(
            sha256=row.sha256, code=code, input=msgspec.json.encode(arguments), limits=_limits(security, deadline_s)
        )
        try:
            async with self._uses.place(tenant, row.id, security.concurrency, deadline_s):
                result = await self._sandbox.call(call)
        except NoPlace:
            words = f"{security.concurrency} calls of this tool run already; try again in a moment."
            result = SandboxResult(outcome="busy", error=words)
        self._uses.count(tenant, row.id, result)
        return result

    async def _unknown(self, tenant: TenantId, name: str) -> ToolResult:
        async with self._db.read(tenant) as session:
            names = [row.call_name for row in await repository.tools(session, tenant)][:_NAMED]
        there = f"There are {', '.join(names)}." if names else "None is installed."
        return ToolResult(ok=False, error=f"There is no tool {name[:100]!r}. {there}")


def _argument_faults(schema: Schema, arguments: dict[str, Any]) -> tuple[str, ...]:
    if len(msgspec.json.encode(arguments)) > _INPUT_BYTES:
        return ("The arguments are larger than 1 MiB; send less at once.",)
    return value_faults(schema, arguments, "the arguments")


def _answer(schema: Schema, result: SandboxResult) -> ToolResult:
    output: Any = None
    error = result.error
    if result.outcome == "ok":
        output = msgspec.json.decode(result.output)
        if faults := value_faults(schema, output, "the result"):
            output, error = None, f"The tool's result is not what it promises: {' '.join(faults)}"
    return ToolResult(
        ok=not error, output=output, error=error, duration_ms=result.duration_ms, fuel_used=result.fuel_used
    )


def _limits(security: Security, deadline_s: float) -> Limits:
    return Limits(
        memory_bytes=security.memory_bytes,
        fuel=security.fuel,
        timeout_s=min(security.timeout_s, deadline_s),
        output_bytes=OUTPUT_BYTES,
    )


def _row(tenant: TenantId, package: Package) -> repository.Values:
    manifest = package.manifest
    return {
        "tenant": tenant,
        "id": manifest.id,
        "call_name": call_name(manifest.id),
        "version": manifest.version,
        "name": manifest.name,
        "description": manifest.description,
        "input_schema": dict(manifest.input_schema),
        "output_schema": dict(manifest.output_schema),
        "security": msgspec.to_builtins(manifest.security),
        "sha256": package.sha256,
    }


def _same(row: ToolRow | None, wanted: dict[str, repository.Values]) -> bool:
    return row is not None and all(
        msgspec.json.encode(getattr(row, key)) == msgspec.json.encode(value) for key, value in wanted[row.id].items()
    )


def _view(row: ToolRow) -> ToolView:
    security = repository.security_of(row)
    input_schema, output_schema = repository.schemas_of(row)
    return ToolView(
        id=ToolId(row.id),
        call_name=row.call_name,
        version=row.version,
        name=row.name,
        description=row.description,
        input_schema=input_schema,
        output_schema=output_schema,
        sha256=row.sha256,
        fs_access=security.fs_access,
        net_allow_list=security.net_allow_list,
        env_allow_list=security.env_allow_list,
        memory_bytes=security.memory_bytes,
        fuel=security.fuel,
        timeout_s=security.timeout_s,
        concurrency=security.concurrency,
        installed_ms=row.installed_ms,
    )

"""What pages, doors and models read of tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.foundation.kernel.ids import ToolId


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolView:
    """An installed tool; ``call_name`` is what a model calls it, sizes are bytes, times milliseconds since 1970."""

    id: ToolId
    call_name: str
    version: str
    name: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    sha256: str
    fs_access: str
    net_allow_list: tuple[str, ...]
    env_allow_list: tuple[str, ...]
    memory_bytes: int
    fuel: int
    timeout_s: float
    concurrency: int
    installed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A tool as a model sees it; ``parameters`` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """How a call ended. ``output`` is JSON as Python's own types when ``ok``; otherwise ``error`` says what to change.

    ``duration_ms`` is the time of the guest alone, 0 when it was not started.
    """

    ok: bool
    output: Any = None
    error: str = ""
    duration_ms: float = 0.0
    fuel_used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """What this process has done with a tool since it started; ``active`` calls run now."""

    id: ToolId
    calls: int
    succeeded: int
    failed: int
    active: int
    fuel: int

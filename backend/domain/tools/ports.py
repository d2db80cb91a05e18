"""What the tools room needs: a sandbox that runs one call of one WASM module and outlives every guest."""

from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one call; each ends the guest when it is met."""

    memory_bytes: int = 64 * 1024 * 1024
    fuel: int = 500_000_000
    timeout_s: float = 5.0
    output_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCall:
    """One call: the module by its digest (``code`` is sent to a child that has not got it yet) and JSON input."""

    sha256: str
    code: bytes
    input: bytes
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """How the call ended. ``output`` is JSON when ``outcome`` is ``ok``, otherwise ``error`` says why in plain words.

    ``cache`` says where the module's native code was: in the child, on disk, or nowhere, so that it was compiled.
    """

    outcome: Literal["ok", "error", "trap", "timeout", "out_of_fuel", "out_of_memory", "output_too_large", "busy"]
    output: bytes = b""
    error: str = ""
    fuel_used: int = 0
    duration_ms: float = 0.0
    cache: Literal["loaded", "hit", "miss"] = "loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxHealth:
    """The pool as it is now."""

    ok: bool
    children: int
    active: int
    calls: int
    kills: int
    cache_hits: int
    cache_misses: int
    cause: str = ""
    fix: str = ""


class Sandbox(Protocol):
    """The port. A guest never runs in the process that calls this."""

    async def start(self) -> None:
        """Start the children; return when one is ready."""
        ...

    async def prepare(self, sha256: str, code: bytes) -> None:
        """Compile in a child and fill the cache, so that the first call is warm; raise `Invalid` for a bad module."""
        ...

    async def call(self, call: SandboxCall) -> SandboxResult:
        """Run it in a fresh instance; never raises for what a guest does. Cancelling kills the guest."""
        ...

    async def health(self) -> SandboxHealth:
        """Say how the pool is; never raises."""
        ...

    async def close(self) -> None:
        """End the children."""
        ...

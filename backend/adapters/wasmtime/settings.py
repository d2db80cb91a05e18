"""The sizes of the sandbox."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """What bootstrap may choose; sizes in bytes, times in seconds.

    Attributes:
        folder: a folder of the sandbox's own in the data folder: compiled code, its key, the children's empty folder.
        children: processes at most; the first starts with the pool, the others when they are needed.
        waiting: calls that may wait for a child; one more is answered ``busy`` at once.
        wait_s: how long a call waits for a child before it is answered ``busy``.
        address_space: what a child may map beyond its start, guests and compiled code included.
        recycle_calls, recycle_age_s, recycle_memory: a child that reaches one of them is replaced between two calls.
        loaded: bytes of compiled code that a child keeps in memory.
        cache: bytes of compiled code on disk.
        compile_s: how long one module may take to compile.
        compile_memory: what the process that compiles may map beyond its start.
    """

    folder: Path
    children: int = 2
    waiting: int = 64
    wait_s: float = 10.0
    address_space: int = 1024 * MIB
    recycle_calls: int = 10_000
    recycle_age_s: float = 3600.0
    recycle_memory: int = 192 * MIB
    loaded: int = 64 * MIB
    cache: int = 256 * MIB
    compile_s: float = 30.0
    compile_memory: int = 2048 * MIB

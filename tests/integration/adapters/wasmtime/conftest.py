"""Sandboxes with real children."""

import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.adapters.wasmtime.settings import SandboxSettings


@pytest.fixture(scope="session")
def native_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of compiled code for all tests: what is compiled once needs no compiling again."""
    return tmp_path_factory.mktemp("sandbox")


@pytest_asyncio.fixture
async def open_sandbox(native_code: Path) -> AsyncGenerator[Callable[..., WasmtimeSandbox]]:
    """Make sandboxes with settings of the test's own."""
    opened: list[WasmtimeSandbox] = []

    def make(**settings: Any) -> WasmtimeSandbox:
        opened.append(WasmtimeSandbox(SandboxSettings(**({"folder": native_code} | settings))))
        return opened[-1]

    yield make
    for sandbox in opened:
        await sandbox.close()


@pytest_asyncio.fixture
async def sandbox(open_sandbox: Callable[..., WasmtimeSandbox]) -> WasmtimeSandbox:
    made = open_sandbox()
    await made.start()
    return made


def children_of(pid: int | None = None) -> list[int]:
    """The processes whose parent this one is and which run a child of the sandbox."""
    parent = os.getpid() if pid is None else pid
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "stat").read_text()
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(status.rpartition(")")[2].split()[1]) == parent and b"wasmtime.child" in command:
            found.append(int(folder.name))
    return found

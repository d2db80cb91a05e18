"""The room over a real database and real children."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from backend.adapters.database.database import SqlDatabase
from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.adapters.wasmtime.settings import SandboxSettings
from backend.domain.tools.service import Tools
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.ids import TenantId

HOME = TenantId("tnt_home")
OTHER = TenantId("tnt_other")


def caller_of(tenant: TenantId, *permissions: Permission) -> Caller:
    granted = permissions or (Permission.TOOLS_READ, Permission.TOOLS_RUN)
    return Caller(tenant=tenant, subject="usr_tester", permissions=frozenset(granted))


@pytest.fixture
def caller() -> Caller:
    return caller_of(HOME)


@pytest.fixture(scope="session")
def native_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of compiled code for all tests: what is compiled once needs no compiling again."""
    return tmp_path_factory.mktemp("sandbox")


@pytest_asyncio.fixture
async def sandbox(native_code: Path) -> AsyncGenerator[WasmtimeSandbox]:
    opened = WasmtimeSandbox(SandboxSettings(folder=native_code))
    await opened.start()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def tools(database: SqlDatabase, sandbox: WasmtimeSandbox) -> Tools:
    made = Tools(database, sandbox)
    await made.install_starters(HOME)
    return made

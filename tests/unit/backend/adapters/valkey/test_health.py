"""What the server's own facts mean for an operator."""

from typing import cast

import pytest

from backend.adapters.valkey.health import health_of
from backend.adapters.valkey.server import Argument, Reply, Server
from backend.foundation.kernel.errors import Unavailable

WELL = {
    "server_name": "valkey",
    "redis_version": "7.2.4",
    "valkey_version": "9.1.2",
    "used_memory": "100",
    "used_memory_human": "100B",
    "maxmemory": "0",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
    "loading": "0",
}


class Facts:
    """A server as far as `health_of` asks it."""

    def __init__(self, facts: dict[str, str] | None) -> None:
        self._facts = facts

    async def ping(self) -> float:
        if self._facts is None:
            raise Unavailable("Valkey does not answer.", hint="Start it.")
        return 0.5

    async def call(self, *_command: Argument) -> Reply:
        assert self._facts is not None
        return "\r\n".join(["# All", *(f"{name}:{value}" for name, value in self._facts.items())]).encode()


async def test_a_server_that_is_well_is_described() -> None:
    """BUS-1."""
    health = await health_of(cast("Server", Facts(WELL)))
    assert health.ok
    assert health.detail == "valkey 9.1.2, 100B, on disk"
    assert health.latency_ms == 0.5


@pytest.mark.parametrize(
    ("facts", "cause", "fix"),
    [
        ({"loading": "1"}, "loads", "Wait"),
        ({"redis_version": "6.0.16"}, "6.0.16", "Redis 7"),
        ({"maxmemory_policy": "volatile-ttl"}, "volatile-ttl", "noeviction"),
        ({"aof_last_write_status": "err"}, "append-only", "disk"),
        ({"maxmemory": "1000", "used_memory": "950"}, "nearly full", "maxmemory"),
    ],
)
async def test_what_is_wrong_is_named_with_what_to_do(facts: dict[str, str], cause: str, fix: str) -> None:
    """BUS-1."""
    health = await health_of(cast("Server", Facts(WELL | facts)))
    assert not health.ok
    assert cause in health.cause
    assert fix in health.fix


async def test_a_server_that_is_away_is_named_too() -> None:
    """BUS-1."""
    health = await health_of(cast("Server", Facts(None)))
    assert (health.ok, health.cause, health.fix) == (False, "Valkey does not answer.", "Start it.")

"""How the server is, in words that an operator can act on."""

import asyncio

from backend.adapters.valkey.server import Server
from backend.foundation.bus.ports import BusHealth
from backend.foundation.kernel.errors import Unavailable

_OLDEST = 7


async def health_of(server: Server) -> BusHealth:
    """Ask the server, within 2 s."""
    try:
        latency_ms = await server.ping()
        async with asyncio.timeout(2):
            facts = _facts(await server.call("INFO"))
    except (Unavailable, TimeoutError) as error:
        down = error if isinstance(error, Unavailable) else Unavailable("Valkey does not answer.")
        return BusHealth(ok=False, kind="valkey", detail="no answer", cause=down.message, fix=down.hint)
    version = facts.get("valkey_version") or facts.get("redis_version", "?")
    cause, fix = _complaint(facts)
    durable = "on disk" if facts.get("aof_enabled") == "1" else "in memory only"
    detail = f"{facts.get('server_name', 'redis')} {version}, {facts.get('used_memory_human', '?')}, {durable}"
    return BusHealth(ok=not cause, kind="valkey", detail=detail, latency_ms=latency_ms, cause=cause, fix=fix)


def _complaint(facts: dict[str, str]) -> tuple[str, str]:
    if facts.get("loading") == "1":
        return "Valkey still loads its data.", "Wait until it has."
    if int(facts.get("redis_version", "7").split(".")[0]) < _OLDEST:
        return f"The server speaks Redis {facts['redis_version']}.", "Use Valkey, or Redis 7 or later."
    if facts.get("maxmemory_policy", "noeviction") != "noeviction":
        policy = facts["maxmemory_policy"]
        return f"Valkey may throw messages away (maxmemory-policy {policy}).", "Set maxmemory-policy to noeviction."
    if facts.get("aof_last_write_status", "ok") != "ok":
        return "Valkey cannot write its append-only file.", "Free space on its disk."
    limit, used = int(facts.get("maxmemory", "0")), int(facts.get("used_memory", "0"))
    if limit and used > limit * 0.9:
        return "Valkey's memory is nearly full.", "Raise its maxmemory, or let consumers catch up."
    return "", ""


def _facts(reply: object) -> dict[str, str]:
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)

"""What Valkey holds, and that it is bounded: lengths of streams, what stays for ever, and memory for each entry."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from backend.bootstrap import embedded

MOST = {"bus": 22_000, "live": 2_200}
"""Entries of one stream: what `backend.adapters.valkey` keeps of each kind, and a tenth more until it is trimmed."""
TOLERANCE, LEAST_MIB = 0.10, 4.0
"""What memory may grow by beyond what the entries that came since account for."""
_BUS = (b":t:", b":end:", b":groups:", b":g:", b":m:", b":topics")
"""Parts of the names of keys that the bus keeps for ever; their number is that of topics, partitions and groups."""
_AT_ONCE = 1_000


@dataclass(frozen=True)
class Stored:
    """One look: MiB in use (by its own count), keys, entries of all streams, and the longest of each kind.

    ``kept`` are keys that never expire, by the part of the name that says whose they are.
    """

    mib: float
    keys: int
    entries: int
    longest: dict[str, int]
    kept: Counter[str]


async def look(data: Path) -> Stored:
    """Look at the bundled Valkey of a data folder."""
    async with Redis.from_url(embedded.url(data)) as client:
        used = int((await client.info("memory"))["used_memory"])
        keys = [key async for key in client.scan_iter(count=_AT_ONCE)]
        entries, longest, kept = 0, dict.fromkeys(MOST, 0), Counter[str]()
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            lengths, lives = await _asked(client, some, "XLEN"), await _asked(client, some, "TTL")
            for key, length, lives_s in zip(some, lengths, lives, strict=True):
                kind = "live" if b":live:" in key else "bus"
                if isinstance(length, int):
                    entries += length
                    longest[kind] = max(longest[kind], length)
                if lives_s == -1:
                    kept[_owner(key)] += 1
    return Stored(used / 2**20, len(keys), entries, longest, kept)


def wrong(before: Stored, after: Stored) -> list[str]:
    """Compare two looks of a calm; return a sentence for each thing that is not bounded."""
    found = [
        f"a stream of the {kind} has {after.longest[kind]} entries, {most} are the most"
        for kind, most in MOST.items()
        if after.longest[kind] > most
    ]
    found += [
        f"keys of {owner} that never expire grew from {before.kept[owner]} to {count}"
        for owner, count in after.kept.items()
        if count > before.kept[owner]
    ]
    # What was begun since Valkey was last killed holds a node of 4 KiB for each stream; what it loaded then is packed.
    expected = before.mib * max(1.0, after.entries / max(1, before.entries)) + after.keys * 4_096 / 2**20
    if after.mib > expected * (1 + TOLERANCE) + LEAST_MIB:
        found.append(
            f"Valkey's memory grew from {before.mib:.1f} MiB for {before.entries} entries to {after.mib:.1f}"
            f" for {after.entries}"
        )
    return found


def told(before: Stored, after: Stored) -> Sequence[str]:
    """Return lines for people."""
    return [
        f"  stored      {stored.mib:8.1f} MiB {stored.keys:8} keys ({stored.kept.total()} for ever)"
        f" {stored.entries:9} entries  longest: " + ", ".join(f"{kind} {most}" for kind, most in stored.longest.items())
        for stored in (before, after)
    ]


async def _asked(client: Redis, keys: Sequence[bytes], command: str) -> list[object]:
    async with client.pipeline(transaction=False) as asked:
        for key in keys:
            asked.execute_command(command, key)
        # What is no stream has no length: its answer is an error in the list.
        return await asked.execute(raise_on_error=False)


def _owner(key: bytes) -> str:
    for part in _BUS:
        if part in key or key.endswith(part):
            return part.decode().strip(":")
    return key.decode(errors="replace")[:40]

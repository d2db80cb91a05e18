"""`ValkeyBuckets`: token buckets on Valkey, by the server's clock."""

import math
from collections.abc import Sequence
from typing import cast

from backend.adapters.valkey.server import Argument, Script, Server
from backend.governance.budgets.ports import Bucket, Level

_US = 1_000_000

# KEYS: buckets. ARGV: tokens wanted, then tokens a second and the most tokens of each bucket.
# A bucket is one number, the time in microseconds at which it is full again; of a full one nothing is stored.
# Returns for each bucket that time from now, and by how much the wanted tokens are too many, both in microseconds.
_TAKE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local before, after, over, refused = {}, {}, {}, false
for i, key in ipairs(KEYS) do
  local rate, empty = ARGV[2 * i], ARGV[2 * i + 1] / ARGV[2 * i] * 1000000
  -- Nothing is emptier than empty: the clock was put back.
  before[i] = math.min(math.max(tonumber(redis.call('GET', key) or now), now), now + empty)
  after[i] = before[i] + ARGV[1] / rate * 1000000
  over[i] = after[i] - now - empty
  refused = refused or over[i] > 0
end
local levels = {}
for i, key in ipairs(KEYS) do
  local at = refused and before[i] or after[i]
  if not refused then
    redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1)
  end
  levels[2 * i - 1] = math.ceil(at - now)
  levels[2 * i] = math.ceil(over[i])
end
return levels
""")


class ValkeyBuckets:
    """The `Buckets` on Valkey or Redis: all processes of an installation take from the same.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://path``.
        namespace: the first part of each key.
    """

    def __init__(self, url: str, *, namespace: str = "aw") -> None:
        self._server = Server(url, namespace=f"{namespace}:rate")

    async def take(self, count: int, buckets: Sequence[Bucket]) -> list[Level]:
        arguments: list[Argument] = [count]
        for bucket in buckets:
            arguments += (bucket.per_second, bucket.burst)
        keys = [self._server.key(bucket.key) for bucket in buckets]
        told = cast("list[int]", await self._server.run(_TAKE, keys, arguments))
        return [_level(bucket, *told[2 * at : 2 * at + 2]) for at, bucket in enumerate(buckets)]

    async def close(self) -> None:
        await self._server.close()


def _level(bucket: Bucket, full_us: int, over_us: int) -> Level:
    left = math.floor(bucket.burst - full_us * bucket.per_second / _US + 1e-6)
    return Level(left=max(0, left), full_s=full_us / _US, wait_s=max(0, over_us) / _US)

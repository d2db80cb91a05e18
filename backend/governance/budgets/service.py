"""`Budgets`: how much somebody may ask of the product within a time."""

import math
from dataclasses import dataclass

from backend.foundation.kernel.caller import Caller, Permission
from backend.governance.budgets.errors import BatchAboveBurst, EventsLimited
from backend.governance.budgets.ports import Bucket, Buckets, Level
from backend.governance.budgets.views import Quota

_WHOSE = {
    "caller": ("This caller", "AUTOWEAVE_EVENTS_PER_SECOND"),
    "tenant": ("This workspace", "AUTOWEAVE_TENANT_EVENTS_PER_SECOND"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRates:
    """How many events a second, and at once after a pause, one caller and all callers of a tenant may send; 0 a second
    is no limit."""

    per_second: int
    burst: int
    tenant_per_second: int
    tenant_burst: int


class Budgets:
    """Rate limits of the doors, counted in token buckets that all processes share.

    Args:
        buckets: where they are.
        rates: of events that come in.
    """

    def __init__(self, buckets: Buckets, rates: EventRates) -> None:
        self._buckets = buckets
        self._rates = rates

    async def admit_events(self, caller: Caller, count: int = 1, *, batch: int = 1) -> tuple[Quota, ...]:
        """Count events against the caller's limit and the tenant's; return where both stand. Needs ``events:publish``.

        Args:
            count: how many are counted now.
            batch: how many come together, some of which may have been counted before.

        Raises:
            EventsLimited: there were too many; none is counted.
            BatchAboveBurst: so many can never come together.
            Unavailable: the buckets cannot be reached.
        """
        caller.require(Permission.EVENTS_PUBLISH)
        named = self._of(caller)
        most = min((bucket.burst for bucket in named.values()), default=batch)
        if batch > most:
            raise BatchAboveBurst(f"The batch has {batch:,} events; at most {most:,} are taken at once.")
        if not named or not count:
            return ()
        levels = await self._buckets.take(count, list(named.values()))
        quotas = tuple(map(_quota, named.items(), levels))
        wait_s = max(level.wait_s for level in levels)
        if wait_s > 0:
            whose = next(name for name, level in zip(named, levels, strict=True) if level.wait_s == wait_s)
            raise _limited(whose, named[whose], wait_s, quotas)
        return quotas

    def _of(self, caller: Caller) -> dict[str, Bucket]:
        """Return the buckets of a caller: a tenant's own, too, or many keys would be a way around a key's limit."""
        rates = self._rates
        name = f"events:{caller.tenant}"
        buckets = {
            "caller": Bucket(key=f"{name}:{caller.subject}", per_second=rates.per_second, burst=rates.burst),
            "tenant": Bucket(key=name, per_second=rates.tenant_per_second, burst=rates.tenant_burst),
        }
        return {whose: bucket for whose, bucket in buckets.items() if bucket.per_second}

    async def close(self) -> None:
        """Give the connections back."""
        await self._buckets.close()


def _quota(named: tuple[str, Bucket], level: Level) -> Quota:
    name, bucket = named
    window_s = math.ceil(bucket.burst / bucket.per_second)
    return Quota(name=name, most=bucket.burst, window_s=window_s, left=level.left, full_s=math.ceil(level.full_s))


def _limited(whose: str, bucket: Bucket, wait_s: float, quotas: tuple[Quota, ...]) -> EventsLimited:
    subject, setting = _WHOSE[whose]
    return EventsLimited(
        f"{subject} sends more than {bucket.per_second:,} events a second.",
        retry_after=wait_s,
        hint=f"Wait {math.ceil(wait_s)} s, then send it again; an operator can raise {setting}.",
        quotas=quotas,
    )

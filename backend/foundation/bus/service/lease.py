"""`ShardLease`: who relays a shard, by the database's clock."""

import time

from backend.foundation.bus import repository
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry.logs import get_logger

log = get_logger("bus")

_TTL_MS = 6_000
_LOSS_WINDOW_MS = 5_000


class ShardLease:
    """A lease on one shard of the outbox, taken when it is free and renewed every 2 s.

    Args:
        db: where leases are.
        owner: this process, for people who look.
        shard: which.
    """

    def __init__(self, db: Database, *, owner: str, shard: int) -> None:
        self._db = db
        self._owner = owner
        self.name = f"relay-{shard}"
        self.epoch = 0
        self._renew_at = 0.0

    async def hold(self) -> bool:
        """Take or keep the lease; return False while another has it."""
        if self.epoch and time.monotonic() < self._renew_at:
            return True
        asked = time.monotonic()
        hit("bus.lease.before")
        async with self._db.system_write() as session:
            if self.epoch and not await repository.renew_lease(session, self.name, self.epoch, _TTL_MS):
                self.epoch = 0
            if not self.epoch:
                lease = await repository.take_lease(session, self.name, self._owner, _TTL_MS)
                if lease is None:
                    return False
                if lease.abandoned_ms:
                    # Its owner died, perhaps the machine with it: what the broker had not yet on disk goes again.
                    since_ms = lease.abandoned_ms - _TTL_MS - _LOSS_WINDOW_MS
                    again = await repository.send_again(session, since_ms=since_ms)
                    log.info("relay took over", lease=self.name, sent_again=again)
                self.epoch = lease.epoch
        hit("bus.lease.after")
        self._renew_at = asked + _TTL_MS / 3000
        return True

    def lose(self) -> None:
        """Another has it: start anew."""
        self.epoch = 0

    async def give_back(self) -> None:
        """Let another take it at once."""
        if not self.epoch:
            return
        epoch, self.epoch = self.epoch, 0
        try:
            hit("bus.lease_given.before")
            async with self._db.system_write() as session:
                await repository.give_lease(session, self.name, epoch)
            hit("bus.lease_given.after")
        except Unavailable as error:
            log.warning("lease not given back, it will end by itself", lease=self.name, error=error.message)

"""Events to send, and handlers that remember."""

from sqlalchemy.ext.asyncio import AsyncSession

from backend.adapters.database.database import SqlDatabase
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.work import after_commit

START = "agents.start_run.v1"
TENANT = TenantId("ten_1")


def start_run(number: int, *, key: str = "k", tenant: TenantId = TENANT, **attributes: str) -> Event:
    data = StartRun(agent="a", input=str(number))
    return Event(type=START, tenant=tenant, key=key, source="/test", data=data, **attributes)  # pyright: ignore[reportArgumentType]


async def publish(bus: BusService, database: SqlDatabase, *events: Event) -> None:
    """Publish in one transaction."""
    async with database.system_write() as session:
        await bus.publish(session, *events)


async def no_lag(bus: BusService) -> bool:
    """Return whether every consumer has done all there is."""
    return all(lag == 0 for topics in (await bus.lag()).values() for lag in topics.values())


class Seen:
    """A handler that remembers the inputs by key, and fails as often as it is told."""

    def __init__(self) -> None:
        self.inputs: dict[str, list[int]] = {}
        self.failures: dict[int, int] = {}

    @property
    def count(self) -> int:
        return sum(map(len, self.inputs.values()))

    async def __call__(self, session: AsyncSession, event: Event) -> None:
        number = self._number(event)
        # What was rolled back was not handled: a member that loses its partitions leaves nothing.
        after_commit(session, lambda: self._remember(event, number))

    async def slowly(self, event: Event) -> None:
        self._remember(event, self._number(event))

    def _number(self, event: Event) -> int:
        assert isinstance(event.data, StartRun)
        number = int(event.data.input)
        if self.failures.get(number, 0):
            self.failures[number] -= 1
            raise ValueError(f"event {number} fails")
        return number

    def _remember(self, event: Event, number: int) -> None:
        self.inputs.setdefault(event.key, []).append(number)

"""`OwnTopics`: the topics of the product, as the settings and the catalogue want them."""

from collections.abc import Awaitable, Callable

from backend.foundation.bus.ports import Bus, TopicInfo
from backend.foundation.bus.rules import OWN_TOPICS, TopicPlan, differences, plan_of
from backend.foundation.bus.views import TopicChange, TopicDifference
from backend.foundation.kernel.errors import AutoWeaveError, Conflict, Unavailable
from backend.foundation.telemetry.logs import get_logger

log = get_logger("bus")

Waiting = Callable[[str], Awaitable[int]]


class OwnTopics:
    """Makes what is not there, and says in what the others differ; `apply` alone changes one that is there.

    Args:
        bus: the broker.
        partitions: of a topic, at the least.
        retention_ms: how long a topic keeps messages, 0 for as long as the broker does by itself.
    """

    def __init__(self, bus: Bus, *, partitions: int, retention_ms: int) -> None:
        self._bus = bus
        plans = (plan_of(topic, partitions=partitions, retention_ms=retention_ms) for topic in OWN_TOPICS)
        self._plans = {plan.name: plan for plan in plans}

    def plan(self, topic: str) -> TopicPlan:
        """Return how a topic of the product has to be."""
        return self._plans[topic]

    async def make_all(self) -> None:
        """Make each that is not there."""
        for topic in self._plans:
            await self.make(topic)

    async def make(self, topic: str) -> bool:
        """Make one that is not there; return whether it is one of the product's."""
        plan = self._plans.get(topic)
        if plan is None:
            return False
        try:
            await self._bus.create_topic(topic, partitions=plan.partitions, settings=plan.settings)
        except Conflict as error:
            log.warning("topic kept as it is", error=error.message)
        return True

    async def differences(self) -> list[TopicDifference]:
        """Return in what those that are there are not as wanted, by topic."""
        return [found for plan, info in await self._pairs() for found in differences(plan, info)]

    async def apply(self, waiting: Waiting, *, partitions: bool = False) -> list[TopicChange]:
        """Make what is not there, change what differs, and return each difference that there was.

        Args:
            waiting: how many events of a topic are on their way to its consumers.
            partitions: whether to raise partitions too, where none are.
        """
        await self.make_all()
        return [
            await self._change(found, waiting, partitions=partitions)
            for plan, info in await self._pairs()
            for found in differences(plan, info)
        ]

    async def _change(self, found: TopicDifference, waiting: Waiting, *, partitions: bool) -> TopicChange:
        try:
            if found.setting != "partitions":
                await self._bus.alter_topic(found.topic, settings={found.setting: found.wanted})
            elif not partitions:
                return TopicChange(difference=found, problem=_MOVES, hint=f"`{found.command}` does it all the same.")
            elif count := await waiting(found.topic):
                return TopicChange(difference=found, problem=f"{count:,} of its events wait. {_MOVES}", hint=_WAIT)
            else:
                await self._bus.alter_topic(found.topic, partitions=int(found.wanted))
        except Unavailable:
            raise
        except AutoWeaveError as error:
            return TopicChange(difference=found, problem=error.message, hint=error.hint)
        log.info("topic changed", topic=found.topic, setting=found.setting, has=found.has, wanted=found.wanted)
        return TopicChange(difference=found)

    async def _pairs(self) -> list[tuple[TopicPlan, TopicInfo]]:
        known = {info.name: info for info in await self._bus.topics()}
        return [(plan, known[name]) for name, plan in self._plans.items() if name in known]


_MOVES = "More partitions give keys other places: events of a key may overtake those that wait."
_WAIT = "Let the consumers catch up, best with nobody at work, and do it again."

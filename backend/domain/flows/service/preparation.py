"""From a claimed row to an execution: the snapshot, its node types and what is stored already."""

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from backend.domain.flows.errors import NodeUnsupported
from backend.domain.flows.ports import NodeServices, NodeType
from backend.domain.flows.repository import reads
from backend.domain.flows.repository.runs import Claimed
from backend.domain.flows.rules import Graph, Node, chain
from backend.domain.flows.service.commits import Committer
from backend.domain.flows.service.execution import Execution
from backend.domain.flows.service.journal import Journal
from backend.foundation.kernel.errors import NotFound
from backend.foundation.kernel.ids import RunId, TenantId
from backend.foundation.kernel.ports import Database
from backend.foundation.live.service import Live

_SNAPSHOTS = 512

Chain = tuple[tuple[Node, NodeType], ...]


class Preparation:
    """Makes executions; snapshots are immutable, so the last 512 stay in memory."""

    def __init__(
        self, db: Database, live: Live, committer: Committer, nodes: Mapping[str, NodeType], services: NodeServices
    ) -> None:
        self._db = db
        self._live = live
        self._committer = committer
        self._nodes = nodes
        self._services = services
        self._chains: OrderedDict[str, Chain] = OrderedDict()

    async def prepare(self, run: Claimed) -> Execution:
        """Return the execution of a claimed run; raise when its snapshot is gone or a node's type is unknown."""
        steps = await self._chain(run)
        stored: Mapping[str, reads.StoredStep] = {}
        if run.epoch > 1:
            async with self._db.read(TenantId(run.tenant)) as session:
                stored = await reads.stored_steps(session, run.id)
        journal = Journal(run, self._committer, stored)
        return Execution(run, steps, journal, self._services, self._live.writer(RunId(run.id), run.epoch))

    async def _chain(self, run: Claimed) -> Chain:
        known = self._chains.get(run.snapshot)
        if known is not None:
            self._chains.move_to_end(run.snapshot)
            return known
        async with self._db.read(TenantId(run.tenant)) as session:
            graph = await reads.snapshot_graph(session, run.snapshot)
        if graph is None:
            raise NotFound(f"Snapshot {run.snapshot!r} is gone.")
        made = tuple((node, self._type(node)) for node in chain(msgspec.convert(graph, Graph)))
        self._chains[run.snapshot] = made
        if len(self._chains) > _SNAPSHOTS:
            self._chains.popitem(last=False)
        return made

    def _type(self, node: Node) -> NodeType:
        node_type = self._nodes.get(node.type)
        if node_type is None:
            raise NodeUnsupported(f"No worker here knows the node type {node.type!r}.")
        return node_type

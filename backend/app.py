"""The one door from pages, endpoints and commands into the rooms."""

from dataclasses import dataclass

from backend.domain.agents.service import Agents
from backend.domain.chat.service import Chat
from backend.domain.directory.service import Directory
from backend.domain.flows.service.flows import Flows
from backend.domain.models.service import Models
from backend.domain.tools.service import Tools
from backend.domain.webhooks.service import Webhooks
from backend.foundation.audit.service import Audit
from backend.foundation.bus.service import BusService, DeadLetters
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.ports import Database
from backend.foundation.live.service import Live
from backend.foundation.telemetry.service import Telemetry
from backend.governance.budgets.service import Budgets
from backend.governance.identity.service import Identity
from backend.reads.catalogue import Catalogue
from backend.reads.conversation import Conversations
from backend.reads.health import Health
from backend.reads.topics import Topics
from backend.reads.traces import Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One attribute a room; built once a process by `backend.bootstrap.wiring`."""

    identity: Identity
    budgets: Budgets
    chat: Chat
    agents: Agents
    directory: Directory
    flows: Flows
    tools: Tools
    models: Models
    webhooks: Webhooks
    bus: BusService
    dead_letters: DeadLetters
    live: Live
    audit: Audit
    telemetry: Telemetry
    database: Database
    conversations: Conversations
    health: Health
    topics: Topics
    traces: Traces
    catalogue: Catalogue


class _Here:
    backend: Backend | None = None


def use(backend: Backend | None) -> None:
    """Set this process's backend, or take it away at the end."""
    _Here.backend = backend


def current() -> Backend:
    """Return this process's backend; raise `Unavailable` before it is ready."""
    if _Here.backend is None:
        raise Unavailable("AutoWeave is still starting.", hint="Try again in a few seconds.")
    return _Here.backend

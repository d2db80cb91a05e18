"""Every table of every room, for migrations: the one place where a room's tables are added."""

from sqlmodel import SQLModel

from backend.domain.agents import models as _agents
from backend.domain.chat import models as _chat
from backend.domain.directory import models as _directory
from backend.domain.flows import models as _flows
from backend.domain.tools import models as _tools
from backend.domain.webhooks import models as _webhooks
from backend.foundation.audit import models as _audit
from backend.foundation.bus import models as _bus
from backend.foundation.telemetry import models as _telemetry
from backend.governance.identity import models as _identity

ROOMS = (_agents, _audit, _bus, _chat, _directory, _flows, _identity, _telemetry, _tools, _webhooks)
METADATA = SQLModel.metadata

"""What can go wrong with an agent.

├── AgentNotFound     404  no such agent for this tenant
├── AgentArchived     409  it was terminated
├── AgentNotRunning   409  it is stopped, a draft or in error
└── InputInvalid      422  an empty or too long input
"""

from backend.foundation.kernel.errors import Conflict, Invalid, NotFound


class AgentNotFound(NotFound):
    code = "agent_not_found"
    hint = "List the agents with `GET /v1/agents` or `autoweave agent list`."


class AgentNotRunning(Conflict):
    code = "agent_not_running"
    hint = "Start the agent, then try again."


class AgentArchived(Conflict):
    code = "agent_archived"
    hint = "Its chats and runs can be read; it cannot be changed or started any more."


class InputInvalid(Invalid):
    code = "input_invalid"


CANNOT_START = (AgentNotFound, AgentArchived, AgentNotRunning, InputInvalid)
"""Why a run is not started, and will not be however often it is asked for: somebody has to change something first."""

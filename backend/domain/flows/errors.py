"""What can go wrong with a flow or a run.

├── RunNotFound       404  no such run for this tenant
├── GraphInvalid      422  a graph that cannot run; names the node and the fix
├── BudgetExhausted   402  a limit would be passed; the partial result is kept
├── CrashLoop         500  five workers in a row died on this run
├── DeadlineExceeded  504  the run's time is over
└── NodeUnsupported   500  no worker here knows the node's type or version
"""

from backend.foundation.kernel.errors import AutoWeaveError, Invalid, NotFound


class RunNotFound(NotFound):
    code = "run_not_found"


class GraphInvalid(Invalid):
    code = "graph_invalid"


class BudgetExhausted(AutoWeaveError):
    code = "budget_exhausted"
    status = 402
    hint = "Raise the agent's limit, or ask for less in one message. What came until then is kept."


class CrashLoop(AutoWeaveError):
    code = "crash_loop"
    hint = "The run stopped its worker five times without a step forward. Look at its trace and the workers' logs."


class DeadlineExceeded(AutoWeaveError):
    code = "deadline_exceeded"
    status = 504
    hint = "Ask for less in one message, or raise the agent's time limit."


class NodeUnsupported(AutoWeaveError):
    code = "node_unsupported"
    hint = "Start workers of the version that made this flow."

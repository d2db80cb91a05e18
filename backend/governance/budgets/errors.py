"""What can go wrong with budgets.

├── EventsLimited    429  more events than the caller or the tenant may send
└── BatchAboveBurst  413  a batch that the limit can never admit
"""

from backend.foundation.kernel.errors import RateLimited, TooLarge
from backend.governance.budgets.views import Quota


class EventsLimited(RateLimited):
    code = "events_limited"
    hint = "Wait as Retry-After says, then send it again; an operator can raise AUTOWEAVE_EVENTS_PER_SECOND."

    def __init__(self, message: str, *, retry_after: float, hint: str, quotas: tuple[Quota, ...]) -> None:
        super().__init__(message, retry_after=retry_after, hint=hint)
        self.quotas = quotas


class BatchAboveBurst(TooLarge):
    code = "batch_above_burst"
    hint = "Send smaller batches."

"""How a rate limit is told: the fields of draft-ietf-httpapi-ratelimit-headers."""

from collections.abc import Iterable

from backend.governance.budgets.views import Quota


def rate_headers(quotas: Iterable[Quota]) -> dict[str, str]:
    """Return ``RateLimit-Policy`` and ``RateLimit``, none where nothing is limited.

    ``q`` is how many at once, ``w`` the seconds in which so many flow in, ``r`` how many are left, and ``t`` the
    seconds until all are there again.
    """
    told = list(quotas)
    if not told:
        return {}
    return {
        "ratelimit-policy": ", ".join(f'"{quota.name}";q={quota.most};w={quota.window_s}' for quota in told),
        "ratelimit": ", ".join(f'"{quota.name}";r={quota.left};t={quota.full_s}' for quota in told),
    }

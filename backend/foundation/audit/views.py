"""What pages read of the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """One privileged action; ``id`` is also the cursor of the page that follows it, ``at_ms`` since 1970."""

    id: str
    at_ms: int
    actor: str
    actor_kind: str
    action: str
    target: str
    detail: Mapping[str, Any]

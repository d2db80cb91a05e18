"""Typed, prefixed, time-ordered identifiers such as ``thr_01jd2k…``."""

import os
import time
from typing import NewType

TenantId = NewType("TenantId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
ApiKeyId = NewType("ApiKeyId", str)
AgentId = NewType("AgentId", str)
SnapshotId = NewType("SnapshotId", str)
RunId = NewType("RunId", str)
ThreadId = NewType("ThreadId", str)
MessageId = NewType("MessageId", str)
ToolId = NewType("ToolId", str)
EventId = NewType("EventId", str)
WorkerId = NewType("WorkerId", str)

# Crockford's base 32: no letter can be mistaken for a digit when a person reads an id aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26


def new_id(prefix: str) -> str:
    """Return ``<prefix>_`` and 26 characters: 48 bits of milliseconds, then 80 random bits.

    Ids of one process sort by the time at which they were made (to the millisecond).
    """
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    characters = [_ALPHABET[number >> shift & 31] for shift in range((_LENGTH - 1) * 5, -1, -5)]
    return f"{prefix}_{''.join(characters)}"

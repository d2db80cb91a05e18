"""What a tool may take and reach. The sandbox offers a guest memory and time, and nothing to reach."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MIB = 1024 * 1024
MEMORY_MIN, MEMORY_MAX = 1 * MIB, 256 * MIB
FUEL_MIN, FUEL_MAX = 1_000_000, 50_000_000_000
TIMEOUT_MIN_S, TIMEOUT_MAX_S = 0.05, 60.0
CONCURRENCY_MIN, CONCURRENCY_MAX = 1, 64
OUTPUT_BYTES = 1 * MIB
"""The largest answer of a tool."""

NET_MODES = ("hostname-only", "ip-and-hostname", "deny-all")


class Security(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a tool as they are stored; a stored one that allows more than this is corrupt.

    Attributes:
        fs_access: files that it may touch.
        net_allow_list, net_mode: hosts that it may call, and how they are compared.
        env_allow_list: variables that it may read.
        memory_bytes: the largest linear memory.
        fuel: units of work of a call; a tight loop takes about 1.3 thousand million a second.
        timeout_s: seconds of a call.
        concurrency: calls at the same time in one worker.
    """

    fs_access: Literal["none"] = "none"
    net_allow_list: Annotated[tuple[str, ...], Meta(max_length=0)] = ()
    net_mode: Literal["hostname-only", "ip-and-hostname", "deny-all"] = "hostname-only"
    env_allow_list: Annotated[tuple[str, ...], Meta(max_length=0)] = ()
    memory_bytes: Annotated[int, Meta(ge=MEMORY_MIN, le=MEMORY_MAX)] = 64 * MIB
    fuel: Annotated[int, Meta(ge=FUEL_MIN, le=FUEL_MAX)] = 500_000_000
    timeout_s: Annotated[float, Meta(ge=TIMEOUT_MIN_S, le=TIMEOUT_MAX_S)] = 5.0
    concurrency: Annotated[int, Meta(ge=CONCURRENCY_MIN, le=CONCURRENCY_MAX)] = 4

"""Named places where a test may stop or kill the process; nothing at all happens unless they are armed.

A failpoint stands around each commit and each effect. It is armed by ``AUTOWEAVE_FAILPOINTS``, such as
``flows.turn.started=kill`` (SIGKILL to this process) or ``flows.turn.started=kill@3`` (at the third hit), and only
settings read that variable.
"""

import os
import signal

_armed: dict[str, tuple[str, int]] = {}
_hits: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm failpoints from ``name=action[@hit]`` separated by commas; actions are ``kill``, ``stop`` and ``error``."""
    for entry in filter(None, spec.split(",")):
        name, _, action = entry.strip().partition("=")
        action, _, nth = action.partition("@")
        _armed[name] = (action, int(nth or 1))


def hit(name: str) -> None:
    """Pass a failpoint: nothing, unless it is armed for this hit."""
    if not _armed:
        return
    _hits[name] = _hits.get(name, 0) + 1
    action, nth = _armed.get(name, ("", 0))
    if _hits[name] != nth:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "error":
        raise OSError(f"Failpoint {name} is armed.")

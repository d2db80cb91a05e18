"""A process that ends when its parent does, however that ended. Standard library only."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with_parent() -> None:
    """Have the kernel kill this process at its parent's end; elsewhere than on Linux nothing can be asked for."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

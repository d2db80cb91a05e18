"""What a child gives up before it meets foreign code: files, children of its own, core dumps, time.

Standard library only. Nothing here can be taken back by the process itself.
"""

import ctypes
import math
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 16


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; leave at once if that has happened already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def shut(folder: str, address_space: int) -> None:
    """Move into an empty folder and bound everything that a process can take.

    Args:
        folder: absolute path of an empty folder.
        address_space: bytes that may be mapped on top of what is mapped now.
    """
    os.chdir(folder)
    # Ctrl-C in a terminal reaches the whole group; the parent decides when its children end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if sys.platform == "linux":
        _limit(resource.RLIMIT_NPROC, 0)
        _limit(resource.RLIMIT_AS, mapped_bytes() + address_space)


def arm(seconds: float) -> None:
    """Have the kernel end this process after ``seconds``, whatever it waits for, and bound its processor time too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (processor, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def disarm() -> None:
    """Take the timer of `arm` back."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def mapped_bytes() -> int:
    """Return the size of the address space in use."""
    return _statm(0)


def resident_bytes() -> int:
    """Return the memory in use now on Linux, the largest use until now elsewhere."""
    if sys.platform == "linux":
        return _statm(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _statm(field: int) -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib is not worth its import in a child
        return int(file.read().split()[field]) * resource.getpagesize()


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))

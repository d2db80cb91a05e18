"""OPS-1: what a process has loaded is left alone by the collector, what it makes later is not."""

import subprocess
import sys

_PROCESS = """
import gc, weakref
from backend.bootstrap.collector import spare_what_stays

class Ring:
    pass

spare_what_stays()
before = gc.get_threshold()[0]
ring = Ring()
ring.self = ring
seen = weakref.ref(ring)
del ring
kept = [[] for _ in range(2 * before)]
print(gc.get_freeze_count() > 1_000, seen() is None)
"""


def test_what_is_loaded_is_spared_and_what_is_made_later_is_still_collected() -> None:
    done = subprocess.run([sys.executable, "-c", _PROCESS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]

"""What the processes use while it lasts, and whether that grows."""

import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.processes import processes, valkey_pid

ROLES = {"run web": "web", "run worker": "worker", "wasmtime.child": "sandbox", "run all": "supervisor"}
TOLERANCE = {"memory": (0.08, 12.0), "descriptors": (0.10, 6.0)}
"""What may be more at the end of the calm than at its beginning: a share, or so many MiB or descriptors."""
FILLS = ("memory", "valkey")
"""Not judged as it is: it fills until streams are as long as they may be. `store` judges it by what it holds."""
MOST_MORE_WAIT = 50
"""How many more may wait at the end of the calm than at its beginning: a batch or two."""


@dataclass
class Sample:
    """One look at everything: by role the MiB (proportional) and the descriptors, and what waits."""

    at_s: float
    memory: Mapping[str, float]
    descriptors: Mapping[str, float]
    lag: int
    outbox: int
    queue: int


@dataclass
class Watch:
    """Samples over time."""

    data: Path
    started: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list[Sample])

    def look(self, supervisor: int, *, lag: int, outbox: int, queue: int) -> Sample:
        """Take a sample."""
        memory: dict[str, float] = defaultdict(float)
        descriptors: dict[str, float] = defaultdict(float)
        for role, pid in [*of_roles(self.data), ("supervisor", supervisor)]:
            try:
                memory[role] += _proportional(pid)
                descriptors[role] += len(list(Path(f"/proc/{pid}/fd").iterdir()))
            except OSError:
                continue
        sample = Sample(time.monotonic() - self.started, memory, descriptors, lag, outbox, queue)
        self.samples.append(sample)
        return sample

    def grown(self, since_s: float) -> list[str]:
        """Compare the first with the last third of the samples since then; return a sentence for what has grown."""
        calm = [sample for sample in self.samples if sample.at_s >= since_s]
        third = len(calm) // 3
        if third < 2:
            return ["too few samples of a calm time to judge by"]
        found: list[str] = []
        for what in ("lag", "outbox", "queue"):
            before, after = (
                statistics.median(getattr(sample, what) for sample in part) for part in (calm[:third], calm[-third:])
            )
            if after - before > MOST_MORE_WAIT:
                found.append(f"{what} grew from {before:.0f} to {after:.0f}")
        for what, (share, least) in TOLERANCE.items():
            for role in getattr(calm[-1], what):
                before, after = (
                    statistics.median(getattr(sample, what).get(role, 0.0) for sample in part)
                    for part in (calm[:third], calm[-third:])
                )
                if (what, role) != FILLS and after - before > max(before * share, least):
                    found.append(f"{what} of {role} grew from {before:.1f} to {after:.1f}")
        return found

    def table(self, since_s: float) -> list[str]:
        """Return lines for people: median and most of each, and the slope in the calm."""
        lines: list[str] = []
        calm = [sample for sample in self.samples if sample.at_s >= since_s]
        for what, unit in (("memory", "MiB"), ("descriptors", "open")):
            for role in sorted(getattr(self.samples[-1], what)):
                values = [getattr(sample, what).get(role, 0.0) for sample in self.samples]
                slope = _slope([(sample.at_s, getattr(sample, what).get(role, 0.0)) for sample in calm])
                lines.append(
                    f"  {what:<12}{role:<12}median {statistics.median(values):8.1f}  most {max(values):8.1f} {unit:<5}"
                    f"  {slope * 60:+8.2f} a minute in the calm"
                )
        for what in ("lag", "outbox", "queue"):
            values = [getattr(sample, what) for sample in self.samples]
            lines.append(f"  {what:<24}median {statistics.median(values):8.1f}  most {max(values):8.1f}")
        return lines


def of_roles(data: Path) -> list[tuple[str, int]]:
    """The processes of an installation with their roles, the oldest first; Valkey hides its environment."""
    found: list[tuple[str, int]] = []
    for pid in sorted(processes(data)):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        found += [(role, pid) for words, role in ROLES.items() if words in command and role != "supervisor"]
    return [*found, *_valkey(data)]


def _valkey(data: Path) -> list[tuple[str, int]]:
    try:
        return [("valkey", valkey_pid(data))]
    except (OSError, AssertionError):
        return []


def _proportional(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _slope(points: list[tuple[float, float]]) -> float:
    if len(points) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope

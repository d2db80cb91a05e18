"""What tests need beside Python packages, installed by apt where that is possible."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

Call = Callable[[Iterable[str | Path], str], None]


@dataclass(frozen=True)
class Part:
    """A program and the Debian packages that bring it; one of the names or places is enough."""

    name: str
    package: str
    commands: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def found(self) -> bool:
        """Return whether it is on this machine."""
        return any(map(shutil.which, self.commands)) or any(any(Path("/").glob(place)) for place in self.places)


PARTS = (
    Part("Chromium", "chromium", ("chromium", "chromium-browser", "google-chrome")),
    Part("PostgreSQL", "postgresql", ("initdb",), ("usr/lib/postgresql/*/bin/initdb", "usr/pgsql-*/bin/initdb")),
    Part("Java 17 or newer", "openjdk-17-jre-headless", ("java",)),
    Part("Maven", "maven", ("mvn",)),
    # A shared library of a few lines steps the clock of processes under test.
    Part("C compiler", "gcc libc6-dev", ("cc", "gcc")),
)


def install(call: Call) -> str:
    """Install what is missing, if this may be done; otherwise return the words that say what to do."""
    missing = [part for part in PARTS if not part.found()]
    if not missing:
        return "are there"
    names = ", ".join(part.name for part in missing)
    packages = [part.package for part in missing]
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return f"MISSING: {names}. Tests that need them are skipped. Install them, on Debian: sudo {command}"
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    print(f"      missing: {names}", flush=True)
    hint = f"Install them by hand: {command}"
    call(["apt-get", "update", "-q"], hint)
    call(command.split(), hint)
    return f"installed: {names}"

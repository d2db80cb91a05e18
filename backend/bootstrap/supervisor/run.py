"""`autoweave run all`, from settings to exit code."""

from backend.bootstrap.settings import Settings
from backend.bootstrap.supervisor import probe
from backend.bootstrap.supervisor.lock import DataLock
from backend.bootstrap.supervisor.loop import Supervisor
from backend.bootstrap.supervisor.plan import Plan


def run_all(settings: Settings) -> int:
    """Keep everything alive until a signal comes; return the exit code.

    Raises `AlreadyRunning` for a data folder in use, `PortTaken` for a port in use, `NoValkey`.
    """
    lock = DataLock(settings.data, settings.url)
    try:
        probe.require_free(settings)
        return Supervisor(settings, Plan(settings, lock.descriptor)).run()
    finally:
        lock.release()

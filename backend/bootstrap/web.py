"""The web role: Granian in front of pages and API."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from backend.bootstrap.parent import die_with_parent
from backend.bootstrap.settings import Settings
from backend.bootstrap.supervisor.probe import address
from backend.foundation.kernel.errors import Conflict

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / ".web" / "build" / "client" / "index.html"
_DRAIN_S = 8
# What `reflex run --env prod` sets for itself once the pages are built; the pinned release knows these names.
_REFLEX = {
    "REFLEX_ENV_MODE": "prod",
    "__REFLEX_SKIP_COMPILE": "true",
    "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "false",
}
# Granian's own process says little and loads little; its lines need no more than the form of all others.
_JSON_FORM = '{"level": "%(levelname)s", "logger": "granian", "event": "%(message)s"}'
_JSON_LOGS = {"formatters": {"generic": {"format": _JSON_FORM}, "access": {"format": _JSON_FORM}}}


class PagesMissing(Conflict):
    """The front end has not been built."""

    code = "pages_missing"


def serve(settings: Settings, *, before: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; exits with code 1 when a process that serves dies. Raises `PagesMissing`.

    Args:
        before: called in each process that serves, once its code is loaded and before it opens the database.
    """
    if not PAGES.exists():
        raise PagesMissing("The pages have not been built.", hint="Run `make setup`.")
    # Reflex looks for the built pages under the current folder.
    os.chdir(ROOT)
    os.environ.update({**settings.environment(), **_REFLEX})
    server = MPServer(
        "autoweave_ui.autoweave_ui:app",
        address=address(settings),
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.web_workers,
        factory=True,
        log_level=LogLevels.warning,
        log_dictconfig=_JSON_LOGS if settings.log_format == "json" else None,
        # One that dies alone is replaced while the others serve; a single one is the supervisor's to restart.
        respawn_failed_workers=settings.web_workers > 1,
        workers_kill_timeout=_DRAIN_S,
    )
    server.serve(target_loader=partial(_load, settings, os.getpid(), before), wrap_loader=False)


def _load(settings: Settings, parent: int, before: Callable[[], None]) -> Callable[..., Any]:
    """Make the app: in the process that serves, which Granian forks."""
    die_with_parent()
    # The handlers of the process it was forked from would swallow a request to stop until it serves.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if os.getppid() != parent:
        sys.exit(1)
    # Not in the process that Granian forks this one from: it stays small.
    from backend.foundation.telemetry.logs import configure_logs
    from backend.gateway.http import gateway

    configure_logs(format=settings.log_format, service="web")
    # By name, and here alone: the pages stand above the backend.
    pages = import_module("autoweave_ui.autoweave_ui").app()
    # The pages open the rooms when they start to serve; their code is loaded while the database is still prepared.
    import_module("backend.bootstrap.wiring")
    before()
    return gateway(pages, settings)

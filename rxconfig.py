"""How Reflex builds and serves the front end."""

from pathlib import Path

import reflex as rx
from reflex_base.environment import environment

from autoweave_ui.frontend import FrontendPlugin

UNWATCHED = ("tests", "docs", "docker", "alembic", "examples")
# Hot reload watches every folder otherwise.
environment.REFLEX_HOT_RELOAD_EXCLUDE_PATHS.set([Path(name) for name in UNWATCHED])

config = rx.Config(
    app_name="autoweave_ui",
    telemetry_enabled=False,
    show_built_with_reflex=False,
    # Pages and API are one origin; other sites have no business here.
    cors_allowed_origins=[],
    # `autoweave_ui.tabs` puts its own in this one's place.
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    frontend_compression_formats=["brotli", "gzip"],
    frontend_lazy_bundled_libraries=True,
    plugins=[FrontendPlugin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)

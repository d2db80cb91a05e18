"""The pages' app, with the backend open for as long as it serves; the gateway stands in front of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import reflex as rx
from reflex.state import FrontendEventExceptionState

from autoweave_ui import pages
from autoweave_ui.head import head
from autoweave_ui.serving import front_door
from autoweave_ui.shell import blank_frame
from autoweave_ui.tabs import keep_tabs
from backend.bootstrap.settings import load
from components.basics.broken import broken_page
from state.notices import on_exception

__all__ = ["app", "pages"]

settings = load()


@asynccontextmanager
async def backend() -> AsyncIterator[None]:
    """Open the rooms for as long as the server runs: once in each of its processes."""
    # The build of the pages imports this module too, and needs none of the adapters.
    from backend.bootstrap.collector import spare_what_stays
    from backend.bootstrap.wiring import open_backend

    async with open_backend(settings, roles=("web",)):
        spare_what_stays()
        yield


# Reflex would reload the page by a script in a string, which the pages' policy forbids.
FrontendEventExceptionState.auto_reload_on_errors = []

app = rx.App(
    html_lang="en",
    toaster=None,
    app_wraps={(55, "ErrorBoundary"): lambda _stateful: broken_page()},
    backend_exception_handler=on_exception,
    head_components=head(),
    hydrate_fallback=blank_frame,
    api_transformer=front_door,
)
keep_tabs(app, settings)
app.register_lifespan_task(backend)

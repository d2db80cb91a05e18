"""One web process keeps its tabs in memory, several share them."""

import reflex as rx

from autoweave_ui.tabs.sockets import SharedSockets
from autoweave_ui.tabs.store import MemoryTabs, SharedTabs
from backend.adapters.valkey.tabs import ValkeyTabs
from backend.bootstrap.settings import Settings


def keep_tabs(app: rx.App, settings: Settings) -> None:
    """Give the app its state manager: shared as soon as a tab may come back to another process than it left."""
    if not shared(settings):
        app._state_manager = MemoryTabs()
        return
    store = ValkeyTabs(settings.redis_url, namespace=settings.namespace)
    sockets = SharedSockets(store)
    app._event_namespace._token_manager = sockets
    app._state_manager = SharedTabs(store, sockets.instance_id)


def shared(settings: Settings) -> bool:
    """Whether there are other web processes: here, or on other machines behind the same server."""
    return settings.web_workers > 1 or not settings.embedded_redis

"""REST, form posts, probes and server-sent events: the door for browsers and programs."""

from backend.gateway.http.app import create_app, create_routes, gateway
from backend.gateway.http.door import Door

__all__ = ["Door", "create_app", "create_routes", "gateway"]

"""The door's Starlette app: its routes come first, whatever is mounted behind them last."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.gateway.http import a2a_cards, asyncapi, events, forms, webhooks
from backend.gateway.http.a2a import Talk
from backend.gateway.http.door import Door, NetworkSettings
from backend.gateway.http.endpoints import endpoint, probe
from backend.gateway.http.headers import SafeHeaders
from backend.gateway.http.openapi import describe
from backend.gateway.http.probes import Probes
from backend.gateway.http.problems import routing_problem
from backend.gateway.http.proxied import KnownHosts, Proxied
from backend.gateway.http.runs import Runs
from backend.gateway.http.stream import Seats

_OURS = ("/v1", "/auth", "/events", "/a2a")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def create_routes() -> list[BaseRoute]:
    """Return every endpoint of the door; none collides with Reflex's ``/_event``, ``/_upload`` and ``/ping``."""
    seats = Seats()
    runs, talk, probes = Runs(seats), Talk(seats), Probes()
    return [
        endpoint("POST", "/auth/sign-in", forms.sign_in),
        endpoint("POST", "/auth/setup", forms.setup),
        endpoint("POST", "/auth/sign-out", forms.sign_out),
        endpoint("GET", "/v1/agents", runs.agents),
        endpoint("GET", "/v1/agents/cards", runs.cards),
        endpoint("POST", "/v1/agents/{agent}/runs", runs.start),
        endpoint("GET", "/v1/agents/{agent}/asyncapi.json", asyncapi.agent_as_json),
        endpoint("GET", "/v1/agents/{agent}/asyncapi.yaml", asyncapi.agent_as_yaml),
        endpoint("GET", "/v1/runs/{run}", runs.get),
        endpoint("GET", "/v1/runs/{run}/events", runs.events),
        endpoint("POST", "/v1/runs/{run}/cancel", runs.cancel),
        endpoint("POST", "/events/{topic}", events.publish, bulk=True),
        *_webhooks(),
        endpoint("POST", "/a2a/{agent}", talk.call),
        endpoint("GET", "/a2a/{agent}/.well-known/agent-card.json", a2a_cards.card),
        endpoint("GET", "/a2a/keys/{tenant}", a2a_cards.keys),
        endpoint("GET", "/.well-known/agent-card.json", a2a_cards.only_card),
        probe("/health", probes.health),
        probe("/ready", probes.ready),
        probe("/metrics", probes.metrics),
        probe("/openapi.json", describe),
        probe("/asyncapi.json", asyncapi.as_json),
        probe("/asyncapi.yaml", asyncapi.as_yaml),
        *(Route(f"{prefix}/{{rest:path}}", _nothing_here, methods=_METHODS) for prefix in _OURS),
    ]


def _webhooks() -> list[BaseRoute]:
    one, delivery = "/v1/webhooks/{webhook}", "/v1/deliveries/{delivery}"
    return [
        endpoint("GET", "/v1/webhooks", webhooks.list_all),
        endpoint("POST", "/v1/webhooks", webhooks.create),
        endpoint("GET", one, webhooks.get),
        endpoint("PATCH", one, webhooks.change),
        endpoint("DELETE", one, webhooks.delete),
        endpoint("POST", f"{one}/enable", webhooks.enable),
        endpoint("POST", f"{one}/disable", webhooks.disable),
        endpoint("POST", f"{one}/rotate-secret", webhooks.rotate),
        endpoint("POST", f"{one}/test", webhooks.test),
        endpoint("POST", f"{one}/redeliver-failed", webhooks.redeliver_failed),
        endpoint("GET", f"{one}/deliveries", webhooks.deliveries),
        endpoint("GET", delivery, webhooks.delivery),
        endpoint("POST", f"{delivery}/redeliver", webhooks.redeliver),
    ]


def create_app(door: Door, behind: ASGIApp | None = None) -> Starlette:
    """Return the app of the door; what it does not answer itself goes to the app ``behind`` it.

    Everything behind it gets the same headers and the same check of hosts and origins.
    """
    return Starlette(
        routes=[*create_routes(), *([Mount("", app=behind)] if behind else [])],
        middleware=[Middleware(Proxied, door), Middleware(SafeHeaders), Middleware(KnownHosts, door)],
        exception_handlers={404: routing_problem, 405: routing_problem},
    )


def gateway(behind: ASGIApp, settings: NetworkSettings) -> ASGIApp:
    """Return the pages' whole app with the door in front: what programs ask for passes none of the pages' layers.

    Args:
        behind: the pages' app, which is told when the server starts and ends.
        settings: the process's settings, of which it needs the network part.
    """
    door = Door(
        host=settings.host,
        trusted_proxies=settings.trusted_proxies,
        allowed_hosts=settings.allowed_hosts,
    )
    app = create_app(door, behind)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (behind if scope["type"] == "lifespan" else app)(scope, receive, send)

    return serve


async def _nothing_here(request: Request) -> Response:
    """Answer below our own paths, so that a typing error there never reaches the pages' app."""
    other_method = any(route.matches(request.scope)[0] is Match.PARTIAL for route in request.app.routes)
    raise HTTPException(status_code=405 if other_method else 404)

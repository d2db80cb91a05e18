"""Signed agent cards, and the keys that verify them; a card is read by anybody once its agent is published."""

from starlette.requests import Request
from starlette.responses import Response

from backend.app import current
from backend.domain.directory.errors import CardNotFound
from backend.gateway.http.callers import caller_of

_PUBLIC = {"cache-control": "public, max-age=60"}
_PRIVATE = {"cache-control": "no-store"}


async def card(request: Request) -> Response:
    """Return an agent's card: a published one to anybody, any other to its own tenant."""
    agent = request.path_params["agent"]
    try:
        return _card(await current().directory.public_card(agent), _PUBLIC)
    except CardNotFound:
        return _card(await current().directory.card(await caller_of(request), agent), _PRIVATE)


async def only_card(request: Request) -> Response:
    """Return the published card: the only one, or that of the query's ``agent``."""
    return _card(await current().directory.public_card(request.query_params.get("agent", "")), _PUBLIC)


async def keys(request: Request) -> Response:
    """Return the public keys of a tenant, by which its cards are verified."""
    found = await current().directory.keys(request.path_params["tenant"])
    return Response(found.jwks, media_type="application/jwk-set+json", headers=_PUBLIC)


def _card(text: str, headers: dict[str, str]) -> Response:
    return Response(text.encode(), media_type="application/json", headers=headers)

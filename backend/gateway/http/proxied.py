"""ASGI middleware: who is at the other end when a trusted proxy stands between, and by which name he calls."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.foundation.kernel.errors import AutoWeaveError
from backend.gateway.http.door import Door
from backend.gateway.http.problems import problem

_PROBES = frozenset({"/health", "/ready"})


class HostNotAllowed(AutoWeaveError):
    """A request carries a name that is not this server's: a mistake, or a page that rebinds its name."""

    code = "host_not_allowed"
    status = 421
    hint = "Add the name to AUTOWEAVE_ALLOWED_HOSTS, or use the address that AutoWeave printed at start."


class Proxied:
    """Puts the client's real address and scheme into the scope when the peer is a trusted proxy."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client") and self._door.trusts(scope["client"][0]):
            scope = {**scope, **self._told(scope)}
        await self._app(scope, receive, send)

    def _told(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        told: Scope = {}
        address = self._nearest_untrusted(headers.getlist("x-forwarded-for"))
        if address:
            told["client"] = (address, 0)
        if headers.get("x-forwarded-proto", "").strip().lower() in ("https", "wss"):
            told["scheme"] = "https" if scope["type"] == "http" else "wss"
        return told

    def _nearest_untrusted(self, lines: list[str]) -> str:
        # Each proxy appends the peer that it saw; what stands further left was written by that peer itself.
        addresses = [address.strip() for address in ",".join(lines).split(",")]
        return next((address for address in reversed(addresses) if address and not self._door.trusts(address)), "")


class KnownHosts:
    """Refuses names that are not this server's, and web sockets that pages of another origin open."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._fits(scope):
            refusal = HostNotAllowed(f"This server is not called {Headers(scope=scope).get('host', '')[:200]!r}.")
            await problem(refusal)(scope, receive, send)
        elif scope["type"] == "websocket" and not (self._fits(scope) and same_origin(scope)):
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    def _fits(self, scope: Scope) -> bool:
        # Probes of an orchestrator come by the address of the pod.
        return scope["path"] in _PROBES or self._door.answers_to(Headers(scope=scope).get("host", ""))


def same_origin(scope: Scope) -> bool:
    """Return whether the page that sent this is one of ours; what no browser sent has no origin and is fine here."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return True
    return origin.partition("://")[2].lower() == headers.get("host", "").lower()

"""How this door stands in the network: what it is bound to, whom it believes, and by which names it is called."""

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from starlette.requests import HTTPConnection

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class NetworkSettings(Protocol):
    """The part of the settings that a door needs."""

    @property
    def host(self) -> str: ...

    @property
    def trusted_proxies(self) -> tuple[str, ...]: ...

    @property
    def allowed_hosts(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Door:
    """Settings of the door.

    Attributes:
        host: the address that the server listens on.
        trusted_proxies: addresses and networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
        allowed_hosts: names that requests may carry besides the bound address and loopback names; ``*.example.org``
            stands for its subdomains. When it is empty and the door is not bound to loopback, any name is fine.
    """

    host: str = "127.0.0.1"
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    @cached_property
    def _networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(item, strict=False) for item in self.trusted_proxies)

    def trusts(self, address: str) -> bool:
        """Return whether a peer is a proxy that is believed."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def answers_to(self, host: str) -> bool:
        """Return whether requests may carry this ``Host`` header, whatever its port."""
        name = host_name(host)
        if not name:
            return False
        if name in _LOOPBACK_NAMES or name == self.host.lower() or any(_fits(name, one) for one in self.allowed_hosts):
            return True
        return not self.allowed_hosts and not is_loopback(self.host)


def host_name(host: str) -> str:
    """Return the name of a ``Host`` header in lower case without port and brackets; empty when it is malformed."""
    name, bracket, port = host.lower().rpartition("]")
    if bracket:
        name = name.removeprefix("[")
    else:
        name, _, port = host.lower().partition(":")
    if bracket and port.startswith(":"):
        port = port[1:]
    plain = bool(name) and all(character.isalnum() or character in ".-_:" for character in name) and name.isascii()
    return name.removesuffix(".") if plain and (not port or port.isdecimal()) else ""


def is_loopback(host: str) -> bool:
    """Return whether an address or name is this machine's own."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def peer_address(connection: HTTPConnection) -> str:
    """Return the client's address; behind a trusted proxy the one that the proxy tells (see `Proxied`)."""
    return connection.client.host if connection.client else ""


def _fits(name: str, allowed: str) -> bool:
    allowed = allowed.lower().removesuffix(".")
    return name.endswith(allowed[1:]) if allowed.startswith("*.") else name == allowed

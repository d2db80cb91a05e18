"""Which addresses webhooks may be sent to: public ones, and what an operator allows."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from backend.domain.webhooks.errors import AddressRefused, WebhookUrlInvalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST_URL = 2_000
# `is_global` differs between releases of Python; these are refused by each. The last is public, but a cloud's own.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3", "::/96", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20",
        "5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8", "168.63.129.16/32",
    )
)  # fmt: skip
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an operator allows besides ``https://`` to public addresses.

    Attributes:
        networks: private networks that may be sent to.
        http: whether ``http://`` may be used.
    """

    networks: tuple[Network, ...] = ()
    http: bool = False


def allowed(networks: Iterable[str], *, http: bool) -> Allowed:
    """Return what these networks (``10.0.0.0/8`` or an address) allow."""
    return Allowed(tuple(ipaddress.ip_network(text, strict=False) for text in networks), http)


def check_address(address: str, rules: Allowed) -> None:
    """Raise `AddressRefused` for an address that leads elsewhere than to the public internet.

    An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is judged as what it is.
    """
    parsed = _parsed(address)
    inner = _inner(parsed)
    if _within(parsed, rules.networks) or _within(inner, rules.networks):
        return
    if _within(inner, _REFUSED) or not inner.is_global or inner.is_multicast:
        raise AddressRefused(f"{inner} is not a public address.", field="url")


def check_url(url: str, rules: Allowed) -> str:
    """Return the address to send to; raise `WebhookUrlInvalid`, or `AddressRefused` where it names a private one."""
    url = url.strip()
    if not url or len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise WebhookUrlInvalid("The address is not a URL of at most 2,000 plain characters.", field="url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise WebhookUrlInvalid(f"The address cannot be read: {error}.", field="url") from error
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise WebhookUrlInvalid("The address must begin with https:// and name a host.", field="url")
    if parts.scheme == "http" and not rules.http:
        hint = "Use https://; an operator can allow http:// by AUTOWEAVE_WEBHOOK_HTTP=on."
        raise WebhookUrlInvalid("http:// would carry events in the clear.", hint=hint, field="url")
    if "@" in parts.netloc:
        raise WebhookUrlInvalid("The address must not hold a user or password.", field="url")
    if parts.fragment or url.endswith("#"):
        raise WebhookUrlInvalid("The address must not have a part after #.", field="url")
    _check_host(host, rules)
    return url


def _check_host(host: str, rules: Allowed) -> None:
    """Say early what is plain to see; a name is judged by what it leads to, each time that something is sent."""
    if host == "localhost" or host.endswith(".localhost"):
        check_address("127.0.0.1", rules)
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if len(host) > 253 or any(not label or len(label) > 63 for label in host.rstrip(".").split(".")):
            raise WebhookUrlInvalid("The address names no host.", field="url") from None
        return
    check_address(host, rules)


def _parsed(address: str) -> Address:
    try:
        # A zone would only choose an interface.
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError as error:
        raise AddressRefused(f"{address!r} is no address.", field="url") from error


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _SIX_TO_FOUR:
        return ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)

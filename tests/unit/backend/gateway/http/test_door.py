"""API-2: how the door stands in the network."""

from dataclasses import dataclass
from typing import Any

import pytest
from starlette.requests import Request

from backend.gateway.http import Door, gateway
from backend.gateway.http.bodies import ClientGone, read_body
from backend.gateway.http.door import is_loopback, peer_address


@dataclass
class Settings:
    host: str = "0.0.0.0"
    trusted_proxies: tuple[str, ...] = ("10.0.0.0/8", "2001:db8::1")
    allowed_hosts: tuple[str, ...] = ("weave.example.org",)


def test_proxies_are_trusted_by_network_or_address() -> None:
    door = Door(trusted_proxies=("10.0.0.0/8", "2001:db8::1"))
    assert door.trusts("10.9.8.7")
    assert door.trusts("2001:db8::1")
    for stranger in ("192.0.2.1", "2001:db8::2", "", "unix:"):
        assert not door.trusts(stranger)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("weave", False),
    ],
)
def test_this_machines_own_addresses(host: str, own: bool) -> None:
    assert is_loopback(host) is own


async def test_the_door_stands_in_front_of_the_pages_which_are_told_when_the_server_starts() -> None:
    called: list[str] = []

    async def behind(scope: Any, _receive: Any, _send: Any) -> None:
        called.append(scope.get("path", scope["type"]))

    app: Any = gateway(behind, Settings())
    scope = {
        "type": "http", "method": "GET", "path": "/chat", "raw_path": b"/chat", "root_path": "", "query_string": b"",
        "scheme": "http", "headers": [(b"host", b"weave.example.org")], "client": None,
    }  # fmt: skip
    await app({"type": "lifespan"}, None, None)
    await app(scope, None, None)
    assert called == ["lifespan", "/chat"]


async def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": [], "client": None}, receive)
    with pytest.raises(ClientGone):
        await read_body(request)
    assert peer_address(request) == ""

"""Whether the port is free, and whether the pages are served on it."""

import socket

from backend.bootstrap.settings import Settings
from backend.foundation.kernel.errors import Conflict

_REQUEST = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nUser-Agent: autoweave\r\nConnection: close\r\n\r\n"


class PortTaken(Conflict):
    """Another program listens there, or the address is not this machine's."""

    code = "port_taken"


def address(settings: Settings) -> str:
    """Return the IP address to listen on, IPv4 where a name has both; raise `PortTaken` for an unknown name."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PortTaken(
            f"{settings.host} is no address of this machine: {error.strerror}.",
            hint="Use an address, such as 127.0.0.1, or 0.0.0.0 for all.",
        ) from error
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def require_free(settings: Settings) -> None:
    """Raise `PortTaken` unless the address can be listened on."""
    place = address(settings)
    with socket.socket(socket.AF_INET6 if ":" in place else socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((place, settings.port))
        except OSError as error:
            raise PortTaken(
                f"AutoWeave cannot listen on {settings.host}:{settings.port}: {error.strerror}.",
                hint="Stop the program that listens there, or choose another port: --port 8001.",
            ) from error


def serves(settings: Settings) -> bool:
    """Return whether `/ready` answers 200; waits half a second at most."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    try:
        with socket.create_connection((host, settings.port), timeout=0.5) as connection:
            connection.sendall(_REQUEST)
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False

"""How a broker is named and entered: ``kafka://h1:p1,h2:p2`` (plain) or ``kafkas://…`` (TLS), and the credentials."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from backend.foundation.kernel.errors import Invalid

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
DEFAULT_PORT = 9092
_MAX_PORT = 65535
_HINT = "Write it as kafka://host:port, or kafkas://host1:port1,host2:port2 for TLS."


@dataclass(frozen=True, slots=True)
class KafkaTarget:
    """Where the brokers are; ``servers`` are ``host:port``."""

    servers: tuple[str, ...]
    tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """How to prove who we are: SASL when there is a user name, a client certificate when there are files.

    Attributes:
        username: SASL user, or the client's id where tokens are given; empty for none.
        password: SASL password, or the client's secret; never shown.
        mechanism: the SASL mechanism that the broker offers.
        token_url: where tokens come from with OAUTHBEARER: an ``https://`` endpoint, asked by the client-credentials
            grant, or ``file:///…``, a file that somebody else keeps fresh.
        token_scope: what to ask the endpoint for; empty for its default.
        ca_file: PEM file of the authorities to trust instead of the system's.
        cert_file: PEM file of the client certificate; ``key_file`` holds its key when that is apart.
        key_password: opens an encrypted key; never shown.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"
    token_url: str = ""
    token_scope: str = ""
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str = field(default="", repr=False)

    @property
    def sasl(self) -> bool:
        """Whether the broker is told who we are by SASL."""
        return bool(self.token_url if self.mechanism == "OAUTHBEARER" else self.username)


def parse_url(url: str) -> KafkaTarget:
    """Return where ``url`` points; raise `Invalid` with the way to write it. Credentials in it are refused."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in {"kafka", "kafkas"}:
        raise Invalid("The bus URL does not start with kafka:// or kafkas://.", hint=_HINT)
    if "@" in rest:
        raise Invalid("The bus URL holds credentials.", hint="Give user and password as settings of their own.")
    rest = rest.removesuffix("/")
    if not rest or any(mark in rest for mark in "/?#"):
        raise Invalid("The bus URL names no broker, or more than brokers.", hint=_HINT)
    return KafkaTarget(tuple(_server(part.strip()) for part in rest.split(",")), tls=scheme == "kafkas")


def _server(text: str) -> str:
    host, port = _split(text)
    if not host or not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise Invalid(f"{text!r} in the bus URL is no host:port.", hint=_HINT)
    return f"{host}:{int(port)}"


def _split(text: str) -> tuple[str, str]:
    bracketed, closed, rest = text.rpartition("]")
    if closed:
        return bracketed + closed, rest.removeprefix(":") if rest else str(DEFAULT_PORT)
    host, colon, port = text.partition(":")
    return host, port if colon else str(DEFAULT_PORT)


def tls_context(security: KafkaSecurity) -> ssl.SSLContext:
    """Return a context that verifies the broker's name; raise `Invalid` when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
        if security.cert_file is not None:
            # Without a password of ours the library would ask for one on the terminal, and wait.
            context.load_cert_chain(security.cert_file, security.key_file, password=security.key_password)
    except (OSError, ssl.SSLError) as error:
        hint = "Check the paths and the PEM, and AUTOWEAVE_BUS_KEY_PASSWORD if the key is encrypted."
        raise Invalid(f"A TLS file of the bus cannot be used: {error}.", hint=hint) from error
    return context

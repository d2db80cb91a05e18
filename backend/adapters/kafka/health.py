"""Why a broker does not answer, in words that tell what to do."""

import asyncio
import socket
import ssl

from aiokafka import errors as kafka

from backend.adapters.kafka.clients import Clients
from backend.adapters.kafka.failures import AUTHENTICATION, START_IT

Finding = tuple[str, str]
_CREDENTIALS = "Correct AUTOWEAVE_BUS_USERNAME, AUTOWEAVE_BUS_PASSWORD and AUTOWEAVE_BUS_MECHANISM."
_USE_TLS = "Write kafkas:// in AUTOWEAVE_BUS_URL, or name its port without TLS."
_USE_PLAIN = "Write kafka:// in AUTOWEAVE_BUS_URL, or name its TLS port."
_AUTHORITY = "Set AUTOWEAVE_BUS_CA_FILE to its authority's PEM file, and name the broker as the certificate does."
_CERTIFICATE = "Set AUTOWEAVE_BUS_CERT_FILE and AUTOWEAVE_BUS_KEY_FILE to a certificate that the broker trusts."
_USER = "It may ask for a user: set AUTOWEAVE_BUS_USERNAME and AUTOWEAVE_BUS_PASSWORD."
_NOT_KAFKA = "Look at the broker's log, and check that the URL names Kafka's port."


async def diagnose(clients: Clients, timeout_s: float) -> Finding:
    """Knock at each server as our clients do; return the cause and the way to mend it within ``timeout_s``."""
    servers = clients.target.servers
    silent = await asyncio.gather(*(_knock(server, timeout_s / 4) for server in servers))
    for server, cause in zip(servers, silent, strict=True):
        if not cause:
            return await _introduce(clients, server, timeout_s * 3 / 4)
    return "; ".join(silent) + ".", START_IT


async def _knock(server: str, timeout_s: float) -> str:
    host, port = _address(server)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"{server} does not react"
    except socket.gaierror:
        return f"the name {host} is unknown"
    except ConnectionRefusedError:
        return f"nothing listens on {server}"
    except OSError as error:
        return f"{server} cannot be reached ({error.strerror or type(error).__name__})"
    writer.transport.abort()
    return ""


async def _introduce(clients: Clients, server: str, timeout_s: float) -> Finding:
    """Say who we are to a server that listens; return what it has against it."""
    unknown = f"{server} accepts connections, but does not answer as Kafka.", _NOT_KAFKA
    try:
        async with asyncio.timeout(timeout_s):
            try:
                await clients.introduce(*_address(server))
            except (kafka.KafkaError, OSError) as error:
                return _named(server, error) or await _unnamed(clients, server, unknown)
    except TimeoutError:
        return unknown
    return f"{server} answers now; a moment ago it did not.", "Try again; look at its load if it comes back."


def _named(server: str, error: kafka.KafkaError | OSError) -> Finding | None:
    """Return what an error that names its reason means."""
    if isinstance(error, kafka.UnsupportedSaslMechanismError):
        return f"{server} does not offer this SASL mechanism.", _CREDENTIALS
    if isinstance(error, kafka.IllegalSaslStateError):
        return (
            f"{server} takes no user and password at this port.",
            "Unset AUTOWEAVE_BUS_USERNAME, or name another port.",
        )
    if isinstance(error, AUTHENTICATION):
        return f"{server} refuses this user or password.", _CREDENTIALS
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{server} shows a certificate that is not trusted: {error.verify_message}.", _AUTHORITY
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return f"{server} refuses the client certificate, or the lack of one.", _CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return f"{server} does not speak TLS.", _USE_PLAIN
    return None


async def _unnamed(clients: Clients, server: str, unknown: Finding) -> Finding:
    """Return why a server hangs up without a word: its port may speak TLS, or not, or ask for a user."""
    if clients.target.tls:
        return f"{server} ends the TLS handshake.", _USE_PLAIN
    if await _speaks_tls(server):
        return f"{server} speaks TLS, and was spoken to without.", _USE_TLS
    if not clients.has_user:
        return f"{server} hangs up on a client that does not say who it is.", _USER
    return unknown


async def _speaks_tls(server: str) -> bool:
    context = ssl.create_default_context()
    # Nothing is sent: whether there is TLS at all is the question, not whose it is.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection(*_address(server), ssl=context)
    except OSError as error:
        return isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
    # A polite end of TLS would wait for the other side's.
    writer.transport.abort()
    return True


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)

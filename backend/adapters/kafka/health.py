"""Why a broker does not answer, in words that tell what to do."""

import asyncio
import socket
import ssl
import time

from aiokafka import errors as kafka

from backend.adapters.kafka.clients import Clients
from backend.adapters.kafka.failures import AUTHENTICATION, START_IT, TokenFailed

Finding = tuple[str, str]
_CREDENTIALS = "Correct AUTOWEAVE_BUS_USERNAME, AUTOWEAVE_BUS_PASSWORD and AUTOWEAVE_BUS_MECHANISM."
_USE_TLS = "Write kafkas:// in AUTOWEAVE_BUS_URL, or name its port without TLS."
_USE_PLAIN = "Write kafka:// in AUTOWEAVE_BUS_URL, or name its TLS port."
_AUTHORITY = "Set AUTOWEAVE_BUS_CA_FILE to the PEM file of the authority that signed it."
_NAME = "Name the broker in AUTOWEAVE_BUS_URL, and in its advertised.listeners, as its certificate does."
_RENEW = "Give the broker a new certificate, and check the clock of this machine."
_CLAIMS = (
    "Check AUTOWEAVE_BUS_TOKEN_URL and AUTOWEAVE_BUS_TOKEN_SCOPE, and which issuer and audience the broker expects."
)
_FRESH = "Let AUTOWEAVE_BUS_TOKEN_URL give fresh tokens, and check the clocks of this machine and the broker's."
_ADVERTISED = "Correct advertised.listeners of the broker: clients are sent there after the first question."
_CERTIFICATE = "Set AUTOWEAVE_BUS_CERT_FILE and AUTOWEAVE_BUS_KEY_FILE to a certificate that the broker trusts."
_USER = "It may ask for a user: set AUTOWEAVE_BUS_USERNAME and AUTOWEAVE_BUS_PASSWORD."
_NOT_KAFKA = "Look at the broker's log, and check that the URL names Kafka's port."


_WRONG_NAME = frozenset({62, 64})
"""OpenSSL's numbers of certificates for another host name or address."""
_OUTDATED = 10


async def diagnose(clients: Clients, timeout_s: float) -> Finding:
    """Knock at each server as our clients do; return the cause and the way to mend it within ``timeout_s``."""
    ends = time.monotonic() + timeout_s
    servers = clients.target.servers
    silent = await asyncio.gather(*(_knock(server, timeout_s / 4) for server in servers))
    for server, cause in zip(servers, silent, strict=True):
        if not cause:
            return await _introduce(clients, server, ends)
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


async def _introduce(clients: Clients, server: str, ends: float) -> Finding:
    """Say who we are to a server that listens; return what it, or a broker that it names, has against it."""
    unknown = f"{server} accepts connections, but does not answer as Kafka.", _NOT_KAFKA
    try:
        async with asyncio.timeout(ends - time.monotonic()):
            try:
                brokers = await clients.introduce(*_address(server))
            except (kafka.KafkaError, OSError) as error:
                return _named(server, error, clients) or await _unnamed(clients, server, unknown)
            return await _advertised(clients, server, [_server(*broker) for broker in brokers], ends)
    except TimeoutError:
        return unknown


async def _advertised(clients: Clients, server: str, brokers: list[str], ends: float) -> Finding:
    others = [broker for broker in brokers if broker not in clients.target.servers]
    for other in others:
        cause = await _knock(other, max(0.0, ends - time.monotonic()) / 2)
        if cause:
            return f"{server} sends its clients to {other}, and {cause}.", _ADVERTISED
        try:
            await clients.introduce(*_address(other))
        except (kafka.KafkaError, OSError) as error:
            if found := _named(other, error, clients):
                return found
    return f"{server} answers now; a moment ago it did not.", "Try again; look at its load if it comes back."


def _named(server: str, found: kafka.KafkaError | OSError, clients: Clients) -> Finding | None:
    """Return what an error that names its reason means."""
    # With TLS 1.3 a server looks at the client's certificate only when the connection is open already.
    error = found.__cause__ if isinstance(found.__cause__, ssl.SSLError) else found
    if isinstance(error, kafka.UnsupportedSaslMechanismError):
        return f"{server} does not offer this SASL mechanism.", _CREDENTIALS
    if isinstance(error, kafka.IllegalSaslStateError):
        return (
            f"{server} takes no user and password at this port.",
            "Unset AUTOWEAVE_BUS_USERNAME, or name another port.",
        )
    if isinstance(error, TokenFailed):
        return error.cause, error.fix
    if isinstance(error, AUTHENTICATION):
        return _refused(server, clients)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(server, error)
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return f"{server} refuses the client certificate, or the lack of one.", _CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return f"{server} does not speak TLS.", _USE_PLAIN
    return None


def _refused(server: str, clients: Clients) -> Finding:
    if clients.security.mechanism != "OAUTHBEARER":
        return f"{server} refuses this user or password.", _CREDENTIALS
    # The broker does not say why, or too much: the token's claims.
    if clients.token_expired:
        return f"{server} refuses the token, which has expired.", _FRESH
    return f"{server} refuses the token.", _CLAIMS


def _untrusted(server: str, error: ssl.SSLCertVerificationError) -> Finding:
    if error.verify_code in _WRONG_NAME:
        return f"{server} shows a certificate for another name: {error.verify_message.rstrip('.')}.", _NAME
    if error.verify_code == _OUTDATED:
        return f"{server} shows a certificate that has expired.", _RENEW
    return f"{server} shows a certificate that is not trusted: {error.verify_message}.", _AUTHORITY


async def _unnamed(clients: Clients, server: str, unknown: Finding) -> Finding:
    """Return why a server hangs up without a word: its port may speak TLS, or not, or ask for a user."""
    if clients.token_expired:
        return f"{server} ends the connection, since the token has expired.", _FRESH
    if clients.target.tls:
        return f"{server} ends the TLS handshake.", _USE_PLAIN
    if await _speaks_tls(server):
        return f"{server} speaks TLS, and was spoken to without.", _USE_TLS
    if not clients.security.sasl:
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


def _server(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

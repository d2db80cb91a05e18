"""Why a broker does not answer, in words that tell what to do."""

import asyncio
import socket
from collections.abc import Sequence

from backend.adapters.kafka.failures import START_IT


async def diagnose(servers: Sequence[str], timeout_s: float) -> tuple[str, str]:
    """Knock at each server; return the cause and the way to mend it."""
    causes = await asyncio.gather(*(_knock(server, timeout_s) for server in servers))
    for server, cause in zip(servers, causes, strict=True):
        if not cause:
            return (
                f"{server} accepts connections, but does not answer as Kafka.",
                "Look at the broker's log; check that the URL names Kafka's port, TLS (kafkas://) and the credentials.",
            )
    return "; ".join(causes) + ".", START_IT


async def _knock(server: str, timeout_s: float) -> str:
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return f"{server} does not react"
    except socket.gaierror:
        return f"the name {host} is unknown"
    except ConnectionRefusedError:
        return f"nothing listens on {server}"
    except OSError as error:
        return f"{server} cannot be reached ({error.strerror or type(error).__name__})"
    writer.close()
    return ""

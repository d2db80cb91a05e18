"""A program that asks over HTTP/1.1 and costs next to nothing: what it spends, the product on the same cores lacks.

httpx takes 1.3 ms of processor time for each request, a seventh of what the product takes for a whole run.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit


class Asking:
    """One connection that stays open; one request after the other.

    Args:
        url: where the server is.
        headers: sent with each request.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._place = urlsplit(url)
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the answer to a JSON document."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._place.hostname, self._place.port)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nhost: {self._place.netloc}\r\n{self._lines}content-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        first, _, lines = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        length = next(line for line in lines.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(first.split(b" ", 2)[1]), await reader.readexactly(int(length.partition(b":")[2]))

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()

"""The frames between the sandbox and a child: a JSON header and a raw body, each with its length before it.

Standard library only, since the child imports it.
"""

import json
import socket
import struct
from asyncio import StreamReader
from typing import Any, NamedTuple

_LENGTHS = struct.Struct(">II")
_HEADER_MAX = 64 * 1024
BODY_MAX = 256 * 1024 * 1024
"""The largest body in bytes that a child takes: compiled code of the largest runtimes."""


class BadFrame(Exception):
    """The other side sent what is no frame, or one above the bound."""


class Frame(NamedTuple):
    """One message; the header's keys depend on its ``op`` (to a child) or are those of an answer (from it)."""

    header: dict[str, Any]
    body: bytes


def encode(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return the frame as bytes."""
    head = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(head), len(body)), head, body))


def receive(connection: socket.socket) -> Frame | None:
    """Wait for a frame in a child; ``None`` when the parent is gone."""
    lengths = _exactly(connection, _LENGTHS.size)
    if lengths is None:
        return None
    header_size, body_size = _checked(lengths, BODY_MAX)
    header = _exactly(connection, header_size)
    body = _exactly(connection, body_size)
    return None if header is None or body is None else Frame(json.loads(header), bytes(body))


async def read(reader: StreamReader, body_max: int) -> Frame:
    """Wait for a child's frame with a body of at most ``body_max`` bytes.

    Raises:
        BadFrame: it is above a bound, or no JSON object.
        asyncio.IncompleteReadError: the child is gone.
    """
    header_size, body_size = _checked(await reader.readexactly(_LENGTHS.size), body_max)
    header = _object(await reader.readexactly(header_size))
    return Frame(header, await reader.readexactly(body_size))


def _object(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise BadFrame("the header is no JSON") from error
    if not isinstance(header, dict):
        raise BadFrame("the header is no object")
    return header  # pyright: ignore[reportUnknownVariableType] - a JSON object has text keys


def _checked(lengths: bytes | bytearray, body_max: int) -> tuple[int, int]:
    header_size, body_size = _LENGTHS.unpack(lengths)
    if header_size > _HEADER_MAX or body_size > body_max:
        raise BadFrame(f"a frame of {header_size} and {body_size} bytes is above the bound")
    return header_size, body_size


def _exactly(connection: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view = memoryview(data)
    got = 0
    while got < size:
        count = connection.recv_into(view[got:])
        if count == 0:
            return None
        got += count
    return data

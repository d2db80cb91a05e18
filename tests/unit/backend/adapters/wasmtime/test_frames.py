"""TOL-2. Frames between the sandbox and a child."""

import asyncio
import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.wasmtime.frames import BadFrame, Frame, encode, read, receive


async def read_all(data: bytes, body_max: int = 1000) -> Frame:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read(reader, body_max)


def receive_all(data: bytes) -> Frame | None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        return receive(theirs)


headers = st.dictionaries(st.text(max_size=9), st.none() | st.booleans() | st.integers() | st.text(max_size=9))


@given(headers, st.binary(max_size=1000))
def test_a_frame_arrives_as_it_was_sent(header: dict[str, object], body: bytes) -> None:
    data = encode(header, body)
    assert receive_all(data) == Frame(header, body)
    assert asyncio.run(read_all(data)) == Frame(header, body)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_an_error_that_the_pool_knows(data: bytes) -> None:
    with contextlib.suppress(BadFrame, asyncio.IncompleteReadError):
        asyncio.run(read_all(data))


@pytest.mark.parametrize("cut", [0, 3, 8, 12, -1])
def test_a_frame_that_breaks_off_is_the_end_for_a_child(cut: int) -> None:
    assert receive_all(encode({"op": "call"}, b"body")[:cut]) is None


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", 2, 1001) + b"{}" + b"x" * 1001,
        struct.pack(">II", 70_000, 0) + b"x" * 70_000,
        struct.pack(">II", 2, 0) + b"[]",
        struct.pack(">II", 2, 0) + b"\xff\xff",
        struct.pack(">II", 4, 0) + b"nope",
    ],
    ids=["body too large", "header too large", "no object", "no text", "no JSON"],
)
async def test_what_is_no_frame_is_refused_before_it_is_taken(data: bytes) -> None:
    with pytest.raises(BadFrame):
        await read_all(data)

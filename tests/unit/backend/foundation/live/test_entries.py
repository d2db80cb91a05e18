"""What a reader of a run's stream gets to see."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import msgspec

from backend.foundation.live.ports import LiveStore, StreamEntry
from backend.foundation.live.service import Live
from backend.foundation.live.views import LiveEntry


class Store:
    """The `LiveStore` port as far as a reader needs it: entries are given, their cursors count from 1."""

    def __init__(self, *entries: LiveEntry | bytes) -> None:
        self._values = [e if isinstance(e, bytes) else msgspec.json.encode(e) for e in entries]

    @asynccontextmanager
    async def follow(self, stream: str, after: str = "0") -> AsyncGenerator[AsyncIterator[StreamEntry]]:
        assert stream == "run:run_1"

        async def entries() -> AsyncIterator[StreamEntry]:
            for number, value in enumerate(self._values, 1):
                if number > int(after.partition("-")[0]):
                    yield StreamEntry(f"{number}-0", value)

        yield entries()


def token(epoch: int, seq: int, text: str = "x") -> LiveEntry:
    return LiveEntry(epoch, "p", seq, "token", {"text": text})


async def read(*entries: LiveEntry | bytes, after: str = "0") -> list[tuple[str, LiveEntry]]:
    live = Live(cast("LiveStore", Store(*entries)))
    async with live.run_entries("run_1", after) as seen:
        return [each async for each in seen]


async def test_entries_come_in_order_with_cursors() -> None:
    """CHT-3."""
    seen = await read(token(1, 1, "a"), token(1, 2, "b"))
    assert seen == [("1-0.1.1", token(1, 1, "a")), ("2-0.1.2", token(1, 2, "b"))]


async def test_reading_goes_on_after_a_cursor() -> None:
    """CHT-3: a page that was reloaded misses nothing and sees nothing twice."""
    entries = [token(1, number) for number in range(1, 6)]
    whole = await read(*entries)
    for position, (cursor, _) in enumerate(whole, 1):
        assert await read(*entries, after=cursor) == whole[position:]


async def test_entries_of_an_older_claim_are_left_out() -> None:
    """CHT-3: a worker that was overtaken may still write."""
    seen = await read(token(1, 1), token(2, 1), token(1, 2), token(2, 2))
    assert [(entry.epoch, entry.seq) for _, entry in seen] == [(1, 1), (2, 1), (2, 2)]


async def test_they_are_left_out_after_a_reload_too() -> None:
    """CHT-3: the cursor knows the claim."""
    entries = [token(2, 1), token(1, 5), token(2, 2)]
    [(cursor, _), *_] = await read(*entries)
    assert [entry for _, entry in await read(*entries, after=cursor)] == [token(2, 2)]


async def test_a_copy_is_left_out() -> None:
    """CHT-3: an append may be carried out twice."""
    assert [e.seq for _, e in await read(token(1, 1), token(1, 2), token(1, 1), token(1, 2), token(1, 3))] == [1, 2, 3]


async def test_a_hole_makes_the_reader_begin_again_from_the_rows() -> None:
    """CHT-3: the stream is capped, and so is what waits for a reader."""
    seen = await read(token(1, 1), token(1, 4))
    assert [(entry.kind, entry.path) for _, entry in seen] == [("token", "p"), ("reset", ""), ("token", "p")]
    assert seen[1][0] == seen[0][0]


async def test_a_stream_whose_beginning_is_gone_begins_with_a_reset() -> None:
    """CHT-3."""
    seen = await read(token(1, 7))
    assert [entry.kind for _, entry in seen] == ["reset", "token"]


async def test_an_entry_that_cannot_be_read_is_passed_over() -> None:
    """CHT-3: a newer version may write what this one does not know."""
    seen = await read(b"{", b'{"kind": "later"}', token(1, 1))
    assert [entry for _, entry in seen] == [token(1, 1)]

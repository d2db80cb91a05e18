"""What a run shows: tokens go out a few at a time, in order, and nothing is raised when the store is down."""

import asyncio
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest

from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.ports import LiveStore
from backend.foundation.live.service import Live, RunWriter, writer
from backend.foundation.live.views import LiveEntry
from tests.fixtures.waiting import until


class Store:
    """The `LiveStore` port as far as a writer needs it."""

    def __init__(self) -> None:
        self.appends: list[list[LiveEntry]] = []
        self.streams: list[str] = []
        self.kept_s: list[int] = []
        self.notices: list[tuple[str, bytes]] = []
        self.down = False
        self.slow: asyncio.Event | None = None

    @property
    def entries(self) -> list[LiveEntry]:
        return [entry for entries in self.appends for entry in entries]

    async def append(self, stream: str, values: Sequence[bytes], *, keep_s: int) -> list[str]:
        if self.slow is not None:
            await self.slow.wait()
        if self.down:
            raise Unavailable("Valkey does not answer.")
        self.streams.append(stream)
        self.kept_s.append(keep_s)
        self.appends.append([msgspec.json.decode(value, type=LiveEntry) for value in values])
        return ["1-1"] * len(values)

    def notify_soon(self, channel: str, payload: bytes = b"") -> None:
        self.notices.append((channel, payload))

    async def close(self) -> None:
        pass


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def live(store: Store) -> Live:
    return Live(cast("LiveStore", store))


@pytest.fixture
def run(live: Live) -> RunWriter:
    return live.writer("run_1", 3)


async def test_tokens_of_a_moment_are_one_entry(store: Store, run: RunWriter) -> None:
    """CHT-3."""
    for text in ("Hel", "lo", " world"):
        run.token("llm#0", text)
    await until(lambda: bool(store.appends))
    assert store.entries == [LiveEntry(3, "llm#0", 1, "token", {"text": "Hello world"})]
    assert store.streams == ["run:run_1"]


async def test_tokens_do_not_wait_for_more_than_a_few_milliseconds(store: Store, run: RunWriter) -> None:
    """CHT-3: however many come after them."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not store.appends:
        run.token("p", "x")
        await asyncio.sleep(0.001)
        assert loop.time() - started < 2
    assert len(store.entries[0].data["text"]) < 200


async def test_many_tokens_go_at_once(store: Store, run: RunWriter) -> None:
    """CHT-3: from 1 KiB on nothing waits for the clock."""
    run.token("p", "x" * 1023)
    await asyncio.sleep(0)
    assert not store.appends
    run.token("p", "x")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(store.appends) == 1


async def test_order_is_kept_over_paths_and_kinds(store: Store, run: RunWriter) -> None:
    """CHT-3."""
    run.status({"status": "RUNNING"})
    run.token("a", "one")
    run.token("b", "two")
    run.tool("b/call[0]", {"name": "clock", "status": "running"})
    run.reset("a")
    run.token("a", "three")
    await run.done({"status": "SUCCEEDED", "output": "three"})
    assert [(entry.kind, entry.path) for entry in store.entries] == [
        ("status", ""),
        ("token", "a"),
        ("token", "b"),
        ("tool", "b/call[0]"),
        ("reset", "a"),
        ("token", "a"),
        ("done", ""),
    ]
    assert [entry.seq for entry in store.entries] == list(range(1, 8))


async def test_the_first_piece_goes_at_once_and_later_ones_go_together(
    store: Store, run: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CHT-3."""
    monkeypatch.setattr("backend.foundation.live.service.writer._DELAY_S", 60.0)
    run.token("a", "one ")
    await until(lambda: bool(store.appends))
    for word in ("two ", "three ", "four"):
        run.token("a", word)
    await run.flush()
    assert [[entry.data["text"] for entry in entries] for entries in store.appends] == [["one "], ["two three four"]]


async def test_the_end_is_told_also_to_those_who_wait_without_the_stream(store: Store, run: RunWriter) -> None:
    """CHT-3."""
    run.status({"status": "RUNNING"})
    assert store.notices == []
    await run.done({"status": "SUCCEEDED", "output": ""})
    assert [channel for channel, _ in store.notices] == ["ended"]


async def test_what_has_ended_stays_for_minutes_and_what_goes_on_for_an_hour(store: Store, run: RunWriter) -> None:
    """CHT-3."""
    run.status({"status": "RUNNING"})
    await run.flush()
    await run.done({"status": "SUCCEEDED", "output": ""})
    assert store.kept_s == [3_600, 120]


async def test_what_comes_while_the_store_is_slow_goes_in_the_next_append(store: Store, run: RunWriter) -> None:
    """CHT-3: one append at a time."""
    store.slow = asyncio.Event()
    run.tool("a", {"name": "first"})
    await asyncio.sleep(0.02)
    for number in range(100):
        run.token("a", f"{number} ")
        run.tool("a", {"name": str(number)})
    store.slow.set()
    await run.flush()
    assert [len(entries) for entries in store.appends] == [1, 200]
    assert [entry.seq for entry in store.entries] == list(range(1, 202))


async def test_a_store_that_is_down_is_no_error_and_entries_wait_for_it(
    store: Store, run: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CHT-3: the rows are the truth."""
    monkeypatch.setattr(writer, "_RETRY_S", 0.01)
    store.down = True
    run.token("a", "one")
    await run.error({"code": "boom", "message": "It failed.", "hint": "Try again."})
    assert not store.appends
    store.down = False
    await until(lambda: [entry.kind for entry in store.entries] == ["token", "error"])


async def test_what_waits_is_bounded_and_the_loss_shows_as_a_hole(store: Store, run: RunWriter) -> None:
    """CHT-3."""
    store.down = True
    for number in range(2_500):
        run.tool("a", {"name": str(number)})
    await run.flush()
    store.down = False
    await run.flush()
    assert run.lost >= 500
    assert len(store.entries) + run.lost == 2_500
    assert store.entries[-1].seq == 2_500


async def test_asking_again_for_a_writer_goes_on_counting(live: Live, store: Store, run: RunWriter) -> None:
    """CHT-3: a reader would take a number that starts again for a copy."""
    run.token("a", "x")
    await run.flush()
    again = live.writer("run_1", 3)
    again.token("a", "y")
    await live.close()
    assert [entry.seq for entry in store.entries] == [1, 2]
    assert live.writer("run_1", 4) is not again

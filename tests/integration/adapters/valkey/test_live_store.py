"""Capped streams and notices on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from backend.adapters.valkey import follower, listener, server
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.kernel.errors import Invalid, Unavailable
from backend.foundation.live.ports import Notice, StreamEntry
from backend.foundation.live.service import Live
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration

T = TypeVar("T")


async def take(source: AsyncIterator[T], count: int, timeout_s: float = 10) -> list[T]:
    async with asyncio.timeout(timeout_s):
        return [await anext(source) for _ in range(count)]


def values(entries: list[StreamEntry]) -> list[bytes]:
    return [entry.value for entry in entries]


async def test_a_reader_gets_what_is_stored_and_then_what_comes(live_store: ValkeyLive) -> None:
    """CHT-3."""
    cursors = await live_store.append("run", [b"1", b"2", b"3"])
    async with live_store.follow("run") as entries:
        stored = await take(entries, 3)
        assert [entry.cursor for entry in stored] == cursors
        assert values(stored) == [b"1", b"2", b"3"]
        await live_store.append("run", [b"4"])
        assert values(await take(entries, 1)) == [b"4"]


async def test_a_stream_stays_as_long_as_its_last_entry_says(
    live_store: ValkeyLive, valkey_url: str, valkey_namespace: str
) -> None:
    """CHT-3: an hour while a run goes on, some minutes after its end, or a busy server's memory would fill."""
    await asyncio.gather(live_store.append("run", [b"1", b"2"]), live_store.append("other", [b"1"]))
    await asyncio.gather(live_store.append("run", [b"3"], keep_s=120), live_store.append("other", [b"2"]))
    async with Redis.from_url(valkey_url) as client:
        stays_s = {key: await client.ttl(key) async for key in client.scan_iter(f"{valkey_namespace}:live:s:*")}
    assert {key.rpartition(b":")[2]: round(seconds, -1) for key, seconds in stays_s.items()} == {
        b"run": 120,
        b"other": 3_600,
    }


async def test_a_reader_goes_on_after_its_cursor(live_store: ValkeyLive) -> None:
    """CHT-3."""
    cursors = await live_store.append("run", [b"1", b"2", b"3"])
    async with live_store.follow("run", cursors[1]) as entries:
        assert values(await take(entries, 1)) == [b"3"]


async def test_readers_of_one_stream_each_get_everything_once(live_store: ValkeyLive) -> None:
    """CHT-3: whenever they come, while it is being written."""
    total = 300
    got: list[list[bytes]] = []

    async def read(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        async with live_store.follow("run") as entries:
            got.append(values(await take(entries, total)))

    async def write() -> None:
        for number in range(0, total, 3):
            await live_store.append("run", [str(n).encode() for n in range(number, number + 3)])

    await asyncio.gather(write(), *(read(number / 200) for number in range(20)))
    expected = [str(number).encode() for number in range(total)]
    assert all(each == expected for each in got)


async def test_a_stream_that_is_new_to_the_process_is_followed_at_once(live_store: ValkeyLive) -> None:
    """CHT-3: the reader that blocks on the others is woken."""
    async with live_store.follow("one") as first:
        await live_store.append("one", [b"x"])
        await take(first, 1)
        async with live_store.follow("two") as second:
            await live_store.append("two", [b"y"])
            assert values(await take(second, 1, 1)) == [b"y"]


async def test_readers_in_many_places_share_two_connections(
    live_store: ValkeyLive, valkey_url: str, valkey_namespace: str
) -> None:
    """CHT-3: a hundred pages are one blocking read."""
    observer = ValkeyLive(valkey_url, namespace="observer")

    async def connections() -> int:
        clients = await observer._server.call("CLIENT", "LIST")  # pyright: ignore[reportPrivateUsage]
        assert isinstance(clients, bytes)
        return len(clients.splitlines())

    before = await connections()
    async with asyncio.timeout(20):
        readers = [live_store.follow(f"run{number}") for number in range(100)]
        for reader in readers:
            await reader.__aenter__()
        after = await connections()
        for reader in readers:
            await reader.__aexit__(None, None, None)
    assert after - before <= 3
    await observer.close()


async def test_a_reader_that_is_too_slow_is_moved_on(live_store: ValkeyLive) -> None:
    """CHT-3: and holds nobody up."""
    async with live_store.follow("run") as slow, live_store.follow("run") as quick:
        for start in range(0, 5_000, 250):
            await live_store.append("run", [str(start + number).encode() for number in range(250)])
            await take(quick, 250)
        late = values(await take(slow, 2_000))
    assert late[0] == b"3000"
    assert late[-1] == b"4999"


async def test_a_stream_keeps_about_its_last_two_thousand_entries(live_store: ValkeyLive) -> None:
    """CHT-3."""
    for start in range(0, 6_000, 500):
        await live_store.append("run", [str(start + number).encode() for number in range(500)])
    async with live_store.follow("run") as entries:
        first = (await take(entries, 1))[0].value
    assert 3_500 < int(first) <= 4_000


async def test_a_cursor_from_a_future_that_was_lost_reads_what_comes(live_store: ValkeyLive) -> None:
    """CHT-3: and does not keep others from reading."""
    await live_store.append("run", [b"old"])
    async with live_store.follow("run", "9999999999999-0") as odd, live_store.follow("run") as other:
        await live_store.append("run", [b"new"])
        assert values(await take(odd, 1)) == [b"new"]
        assert values(await take(other, 2)) == [b"old", b"new"]


async def test_a_cursor_that_is_none_is_refused(live_store: ValkeyLive) -> None:
    """CHT-3."""
    with pytest.raises(Invalid):
        async with live_store.follow("run", "yesterday"):
            pass


async def test_a_deleted_stream_is_empty(live_store: ValkeyLive) -> None:
    await live_store.append("run", [b"1"])
    await live_store.delete("run")
    async with live_store.follow("run") as entries:
        await live_store.append("run", [b"2"])
        assert values(await take(entries, 1)) == [b"2"]


async def test_a_notice_reaches_every_listener_of_its_channel(
    live_store: ValkeyLive, valkey_url: str, valkey_namespace: str
) -> None:
    """CHT-3: in all processes."""
    other = ValkeyLive(valkey_url, namespace=valkey_namespace)
    async with live_store.listen("a", "b") as both, other.listen("b") as one, live_store.listen("c") as none:
        await live_store.notify("b", b"1")
        await other.notify("a", b"2")
        assert await take(both, 2) == [Notice("b", b"1"), Notice("a", b"2")]
        assert await take(one, 1) == [Notice("b", b"1")]
        with pytest.raises(TimeoutError):
            await take(none, 1, 0.1)
    await other.close()


async def test_a_channel_can_be_left_and_joined_again(live_store: ValkeyLive) -> None:
    for number in range(20):
        async with live_store.listen("a") as notices:
            await live_store.notify("a", str(number).encode())
            assert await take(notices, 1) == [Notice("a", str(number).encode())]


@pytest.mark.parametrize("going", ["leaves", "is joined"])
async def test_whoever_comes_or_goes_while_the_connection_is_greeted_disturbs_nobody(
    valkey_url: str, valkey_namespace: str, going: str
) -> None:
    """A command between the greeting and its answer would get the greeting's, and the greeting that of the command."""

    async def hear(store: ValkeyLive) -> None:
        async with store.listen("a"):
            await asyncio.Event().wait()

    with capture_logs() as said:
        for turns in range(30):
            store = ValkeyLive(valkey_url, namespace=valkey_namespace)
            first = asyncio.create_task(hear(store))
            # No waiting: each count is another moment of the greeting.
            for _ in range(turns):
                await asyncio.sleep(0)
            if going == "leaves":
                first.cancel()
            async with store.listen("b") as notices:
                await store.notify("b", b"x")
                assert await take(notices, 1) == [Notice("b", b"x")]
            first.cancel()
            await asyncio.wait([first])
            await store.close()
    assert said == []


async def test_equal_notices_that_wait_are_sent_once(live_store: ValkeyLive) -> None:
    async with live_store.listen("a") as notices:
        for _ in range(1_000):
            live_store.notify_soon("a", b"same")
        live_store.notify_soon("a", b"last")
        assert await take(notices, 2) == [Notice("a", b"same"), Notice("a", b"last")]


async def test_namespaces_do_not_hear_each_other(live_store: ValkeyLive, valkey_url: str) -> None:
    other = ValkeyLive(valkey_url, namespace="elsewhere")
    async with live_store.listen("a") as notices:
        await other.notify("a", b"theirs")
        await live_store.notify("a", b"ours")
        assert await take(notices, 1) == [Notice("a", b"ours")]
    await other.close()


async def test_everything_goes_on_after_a_crash_of_the_server(private_valkey: PrivateValkey) -> None:
    """CHT-3: readers catch up with what was stored, listeners are told to look."""
    store = ValkeyLive(private_valkey.url)
    async with store.follow("run") as entries, store.listen("a") as notices:
        await store.append("run", [b"1"])
        assert values(await take(entries, 1)) == [b"1"]
        private_valkey.kill()
        with pytest.raises(Unavailable):
            await store.append("run", [b"lost"])
        with pytest.raises(Unavailable):
            await store.notify("a")
        with pytest.raises(Unavailable):
            await store.ping()
        store.notify_soon("a", b"lost")
        await until(lambda: store.lost_notices == 1)
        await asyncio.to_thread(private_valkey.start)
        assert await take(notices, 1) == [Notice("a", b"")]
        await until(lambda: _appended(store))
        assert values(await take(entries, 1)) == [b"2"]
        await store.notify("a", b"x")
        assert await take(notices, 1) == [Notice("a", b"x")]
    await store.close()


async def _appended(store: ValkeyLive) -> bool:
    try:
        await store.append("run", [b"2"])
    except Unavailable:
        return False
    return True


async def test_without_a_server_following_and_listening_say_so(private_valkey: PrivateValkey) -> None:
    store = ValkeyLive(private_valkey.url)
    private_valkey.kill()
    with pytest.raises(Unavailable) as refused:
        async with store.follow("run"):
            pass
    assert refused.value.hint
    with pytest.raises(Unavailable):
        async with store.listen("a"):
            pass
    async with asyncio.timeout(5):
        await store.close()


async def test_a_run_is_read_while_it_is_written_over_a_crash(private_valkey: PrivateValkey) -> None:
    """CHT-3: the page misses nothing that the store had, and its cursor stays good."""
    live = Live(ValkeyLive(private_valkey.url))
    run = live.writer("run_1", 1)
    async with live.run_entries("run_1") as seen:
        run.token("llm#0", "before")
        [(cursor, entry)] = await take(seen, 1)
        assert entry.data == {"text": "before"}
        private_valkey.kill()
        run.token("llm#0", "between")
        await run.flush()
        await asyncio.to_thread(private_valkey.start)
        assert (await take(seen, 1))[0][1].data == {"text": "between"}
    await run.done({"status": "SUCCEEDED", "output": "all"})
    async with live.run_entries("run_1", cursor) as again:
        assert [e.kind for _, e in await take(again, 2)] == ["token", "done"]
    await live.close()


async def test_a_server_that_hangs_is_told_from_one_that_works(
    private_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CHT-3: it accepts connections and answers nothing; readers and listeners go on when it does."""
    monkeypatch.setattr(follower, "_BLOCK_MS", 100)
    monkeypatch.setattr(follower, "_GRACE_S", 0.3)
    monkeypatch.setattr(listener, "_IDLE_S", 0.2)
    monkeypatch.setattr(server, "_CALL_TIMEOUT_S", 0.5)
    store = ValkeyLive(private_valkey.url)
    async with store.follow("run") as entries, store.listen("a") as notices:
        await store.append("run", [b"1"])
        assert values(await take(entries, 1)) == [b"1"]
        with pytest.raises(TimeoutError):
            # Nothing is said for long: the connection is tried and kept.
            await take(notices, 1, 1)
        private_valkey.freeze()
        with pytest.raises(Unavailable):
            await store.append("run", [b"lost"])
        with pytest.raises(Unavailable):
            await store.ping()
        ear = store._listener  # pyright: ignore[reportPrivateUsage]
        await until(lambda: not ear._active)  # pyright: ignore[reportPrivateUsage]
        private_valkey.proceed()
        assert (await take(notices, 1))[0] == Notice("a", b"")
        await until(lambda: _appended(store))
        assert values(await take(entries, 1))[-1] in {b"2", b"lost"}
    await store.close()


async def test_an_odd_entry_ends_the_reading_of_nobody(live_store: ValkeyLive) -> None:
    """CHT-3: what a foreign program wrote is a fault of one stream."""
    async with live_store.follow("run") as entries:
        await live_store.append("run", [b"1"])
        await take(entries, 1)
        odd = live_store._server  # pyright: ignore[reportPrivateUsage]
        await odd.call("SET", odd.key("s", "other"), "no stream")
        with pytest.raises(Unavailable):
            async with live_store.follow("other"):
                pass
        await odd.call("XADD", odd.key("s", "run"), "*", "lonely", "")
        await odd.call("XADD", odd.key("s", "run"), "*", "v", "2")
        assert values(await take(entries, 2)) == [b"", b"2"]

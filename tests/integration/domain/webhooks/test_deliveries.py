"""BUS-9: events of a tenant reach who subscribed to them, signed, at least once, under one id."""

import asyncio
import time

import pytest
from sqlalchemy import delete, update
from sqlmodel import col

from backend.domain.webhooks.handlers import KNOWN_FOR_S
from backend.domain.webhooks.models import DeliveryRow, SubscriptionRow
from backend.domain.webhooks.repository.subscriptions import MOST_WAITING
from backend.domain.webhooks.rules.retries import GIVE_UP_AFTER_MS
from backend.domain.webhooks.service import DeliveryWorker
from backend.domain.webhooks.service.cleaning import clean
from backend.domain.webhooks.views import DeliveryView
from backend.foundation.bus.models import InboxRow
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished
from backend.foundation.kernel.ids import new_id
from backend.foundation.kernel.tables import now_ms
from tests.fixtures.engine import Engine
from tests.fixtures.receiver import STALL, Receiver, answer
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration

FINISHED = "flows.run_finished.v1"


async def subscribed(house: Engine, url: str, *types: str) -> tuple[str, str]:
    """Subscribe; return the id and the secret."""
    made = await house.backend.webhooks.create(house.ada, url=url, types=types or (FINISHED,))
    return made.view.id, made.secret


async def tell(house: Engine, count: int = 1, **changes: str) -> list[str]:
    """Publish facts; return their ids."""
    data = RunFinished(
        run="run_1", agent="concierge", thread="", trigger="t", source="rest", status="SUCCEEDED", output="42"
    )
    events = [
        Event(type=FINISHED, tenant=house.ada.tenant, key="k", source="/test", data=data, **changes)
        for _ in range(count)
    ]
    async with house.backend.database.write(house.ada.tenant) as session:
        await house.backend.bus.publish(session, *events)
    return [event.id for event in events]


async def log_of(house: Engine, webhook: str, **filters: str) -> list[DeliveryView]:
    return await house.backend.webhooks.deliveries(house.ada, webhook, **filters)


async def become(house: Engine, webhook: str, status: str, count: int = 1) -> list[DeliveryView]:
    """Wait until so many deliveries have the status."""

    async def there() -> bool:
        return len(await log_of(house, webhook, status=status)) >= count

    await until(there, 60)
    return await log_of(house, webhook, status=status)


async def attempted(house: Engine, webhook: str, attempts: int) -> DeliveryView:
    """Wait until the only delivery was tried so often."""

    async def there() -> bool:
        return any(one.attempts >= attempts and not one.sending for one in await log_of(house, webhook))

    await until(there, 60)
    return (await log_of(house, webhook))[0]


async def make_due(house: Engine, **columns: int) -> None:
    """Let what waits for its next attempt wait no longer."""
    async with house.backend.database.write(house.ada.tenant) as session:
        waiting = update(DeliveryRow).where(col(DeliveryRow.status) == "WAITING", col(DeliveryRow.owner) == "")
        await session.execute(waiting.values(due_ms=now_ms(), **columns))
    house.built.deliveries.wake()


async def test_each_event_that_is_wanted_is_sent_signed_by_the_convention(house: Engine, receiver: Receiver) -> None:
    webhook, secret = await subscribed(house, receiver.url)
    run = await house.run("hello")
    [request] = await receiver.got(1)
    event = request.verify(secret)
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert (event["type"], event["data"]["run"]) == (FINISHED, run.id)
    assert event["tenantid"] == house.ada.tenant
    assert event["timestamp"] == event["time"]
    assert "traceparent" not in event
    [delivery] = await become(house, webhook, "DELIVERED")
    assert (delivery.id, delivery.code, delivery.attempts) == (request.id, 204, 1)
    view = await house.backend.webhooks.one(house.ada, webhook)
    assert view.succeeded_ms > 0
    assert (view.failures, view.waiting) == (0, 0)


async def test_a_failed_attempt_is_made_again_under_the_same_id(house: Engine, receiver: Receiver) -> None:
    webhook, secret = await subscribed(house, receiver.url)
    receiver.answers.append(answer(503, b"come\x00 back \xff\x1b[31m", retry_after="120"))
    await tell(house)
    delivery = await attempted(house, webhook, 1)
    assert (delivery.status, delivery.code) == ("WAITING", 503)
    detail = await house.backend.webhooks.delivery(house.ada, delivery.id)
    assert 118_000 < detail.view.due_ms - detail.attempts[0].at_ms < 150_000
    assert detail.attempts[0].answer == "come\ufffd back \ufffd\ufffd[31m"
    failing = await house.backend.webhooks.one(house.ada, webhook)
    assert (failing.failures, failing.waiting, failing.error) == (1, 1, "The receiver answered 503.")
    assert failing.failing_since_ms > 0
    await make_due(house)
    first, second = await receiver.got(2)
    assert first.id == second.id == delivery.id
    assert second.verify(secret) == first.verify(secret)
    await become(house, webhook, "DELIVERED")
    assert (await house.backend.webhooks.one(house.ada, webhook)).failing_since_ms == 0


async def test_only_events_of_the_filter_are_sent(sqlite_house: Engine, receiver: Receiver) -> None:
    some, _ = await subscribed(sqlite_house, receiver.url, "chat.message_sent.v1")
    every = await sqlite_house.backend.webhooks.create(sqlite_house.ada, url=receiver.url, types=())
    await sqlite_house.backend.chat.send(sqlite_house.ada, thread=None, agent="concierge", text="hello")
    await become(sqlite_house, every.view.id, "DELIVERED", 2)
    await become(sqlite_house, some, "DELIVERED")
    assert {one.type for one in await log_of(sqlite_house, some)} == {"chat.message_sent.v1"}
    assert {one.type for one in await log_of(sqlite_house, every.view.id)} == {"chat.message_sent.v1", FINISHED}
    await sqlite_house.backend.webhooks.change(
        sqlite_house.ada, some, url=receiver.url, types=["agents.run_refused.v1"]
    )
    await tell(sqlite_house)
    await become(sqlite_house, every.view.id, "DELIVERED", 3)
    assert len(await log_of(sqlite_house, some)) == 1


async def test_no_event_that_is_published_after_a_webhook_was_made_is_missed(
    sqlite_house: Engine, receiver: Receiver
) -> None:
    """The consumer is kept busy meanwhile, so that what it knows is never read for this webhook's sake."""
    told: list[tuple[bool, str]] = []
    there, stop = asyncio.Event(), asyncio.Event()

    async def publish() -> None:
        while not stop.is_set():
            after = there.is_set()
            told.extend((after, event) for event in await tell(sqlite_house))
            # So slowly that each is handled at once: a backlog would hide what is not known yet.
            await asyncio.sleep(0.03)

    async with asyncio.TaskGroup() as group:
        group.create_task(publish())
        await until(lambda: len(told) > 30, 30)
        began = time.monotonic()
        await subscribed(sqlite_house, receiver.url)
        there.set()
        assert time.monotonic() - began > KNOWN_FOR_S
        await until(lambda: sum(after for after, _ in told) > 50, 30)
        stop.set()
    wanted = {event for after, event in told if after}
    await until(lambda: wanted <= {request.event["id"] for request in receiver.requests}, 60)


async def test_an_event_that_is_handled_twice_is_delivered_once(sqlite_house: Engine, receiver: Receiver) -> None:
    webhook, _ = await subscribed(sqlite_house, receiver.url)
    await tell(sqlite_house, 2, id=new_id("evt"))
    await become(sqlite_house, webhook, "DELIVERED")
    async with sqlite_house.backend.database.system_write() as session:
        # As after the replay of a dead letter, or once the inbox has forgotten it.
        await session.execute(delete(InboxRow).where(col(InboxRow.consumer) == "webhooks"))
    await tell(sqlite_house, id=receiver.requests[0].event["id"])
    await tell(sqlite_house)
    await become(sqlite_house, webhook, "DELIVERED", 2)
    assert len(receiver.requests) == 2


async def test_a_receiver_that_is_gone_is_sent_nothing_more(sqlite_house: Engine, receiver: Receiver) -> None:
    webhook, _ = await subscribed(sqlite_house, receiver.url)
    receiver.answers.append(answer(410))
    await tell(sqlite_house)
    [delivery] = await become(sqlite_house, webhook, "FAILED")
    view = await sqlite_house.backend.webhooks.one(sqlite_house.ada, webhook)
    assert (view.enabled, "410" in view.reason) == (False, True)
    [entry] = await sqlite_house.backend.audit.entries(sqlite_house.ada, action="webhooks.gave_up")
    assert (entry.actor, entry.target) == ("system:webhooks", webhook)
    await sqlite_house.backend.webhooks.turn(sqlite_house.ada, webhook, on=True)
    await sqlite_house.backend.webhooks.redeliver(sqlite_house.ada, delivery.id)
    await become(sqlite_house, webhook, "DELIVERED")
    view = await sqlite_house.backend.webhooks.one(sqlite_house.ada, webhook)
    assert (view.enabled, view.reason) == (True, "")


async def test_a_day_of_nothing_but_failures_turns_a_webhook_off_and_keeps_what_waits(
    house: Engine, receiver: Receiver
) -> None:
    webhook, _ = await subscribed(house, receiver.url)
    receiver.always = answer(500, b"broken")
    await tell(house, 2)
    await until(lambda: len(receiver.requests) == 2, 60)
    await until(lambda: house.built.deliveries.active == 0, 60)
    assert (await house.backend.webhooks.one(house.ada, webhook)).enabled
    async with house.backend.database.write(house.ada.tenant) as session:
        since = col(SubscriptionRow.failing_since_ms)
        await session.execute(update(SubscriptionRow).values(failing_since_ms=since - GIVE_UP_AFTER_MS))
    await make_due(house)

    async def off() -> bool:
        return not (await house.backend.webhooks.one(house.ada, webhook)).enabled

    await until(off, 60)
    await until(lambda: house.built.deliveries.active == 0, 60)
    view = await house.backend.webhooks.one(house.ada, webhook)
    assert view.reason == "Nothing was taken for a day; the last attempt: The receiver answered 500."
    assert (view.waiting, view.failed) == (2, 0)
    seen = len(receiver.requests)
    receiver.always = answer(200)
    await make_due(house)
    other, _ = await subscribed(house, receiver.url)
    await tell(house)
    await become(house, other, "DELIVERED")
    await house.backend.webhooks.turn(house.ada, webhook, on=True)
    # What was published while it was off is not sent; what waited is.
    assert len(await become(house, webhook, "DELIVERED", 2)) == 2
    assert len(receiver.requests) == seen + 3


async def test_a_delivery_that_fails_through_the_whole_schedule_is_given_up_and_can_be_sent_again(
    sqlite_house: Engine, receiver: Receiver
) -> None:
    webhook, _ = await subscribed(sqlite_house, receiver.url)
    receiver.answers.extend([answer(500), answer(500)])
    await tell(sqlite_house)
    await attempted(sqlite_house, webhook, 1)
    await make_due(sqlite_house, step=9)
    [delivery] = await become(sqlite_house, webhook, "FAILED")
    assert delivery.attempts == 2
    assert await sqlite_house.backend.webhooks.redeliver_failed(sqlite_house.ada, webhook) == 1
    [delivery] = await become(sqlite_house, webhook, "DELIVERED")
    assert len({request.id for request in receiver.requests}) == 1
    detail = await sqlite_house.backend.webhooks.delivery(sqlite_house.ada, delivery.id)
    assert [(one.number, one.code) for one in detail.attempts] == [(3, 204), (2, 500), (1, 500)]


async def test_a_slow_receiver_holds_up_nobody_else(sqlite_house: Engine, receiver: Receiver) -> None:
    slow = Receiver(always=STALL)
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    slow.port = server.sockets[0].getsockname()[1]
    try:
        stuck, _ = await subscribed(sqlite_house, slow.url)
        quick, _ = await subscribed(sqlite_house, receiver.url)
        await tell(sqlite_house, 40)
        await receiver.got(40, 10)
        await become(sqlite_house, quick, "DELIVERED", 40)
        # So many at once and no more.
        assert slow.connections == 4
        assert await log_of(sqlite_house, stuck, status="DELIVERED") == []
    finally:
        slow.released.set()
        server.close()


async def test_two_workers_send_each_delivery_once(house: Engine, receiver: Receiver) -> None:
    backend, first = house.backend, house.built.deliveries
    second = DeliveryWorker(backend.database, backend.live, backend.audit, first._sender, first._sealer, owner="wrk_2")
    await second.start()
    try:
        webhook, _ = await subscribed(house, receiver.url)
        await tell(house, 100)
        await become(house, webhook, "DELIVERED", 100)
    finally:
        await second.stop()
    assert len(receiver.requests) == len({request.id for request in receiver.requests}) == 100


async def test_a_worker_that_stops_gives_back_what_it_could_not_send(sqlite_house: Engine, receiver: Receiver) -> None:
    webhook, _ = await subscribed(sqlite_house, receiver.url)
    receiver.always = STALL
    await tell(sqlite_house)
    await receiver.got(1)
    await sqlite_house.built.deliveries.stop(grace_s=0.1)
    [delivery] = await log_of(sqlite_house, webhook)
    assert (delivery.status, delivery.sending, delivery.attempts) == ("WAITING", False, 0)
    receiver.always = answer(200)
    await sqlite_house.built.deliveries.start()
    [delivery] = await become(sqlite_house, webhook, "DELIVERED")
    assert {request.id for request in receiver.requests} == {delivery.id}


async def test_who_comes_back_too_late_records_nothing(sqlite_house: Engine, receiver: Receiver) -> None:
    webhook, _ = await subscribed(sqlite_house, receiver.url)
    receiver.answers.append(STALL)
    await tell(sqlite_house)
    await receiver.got(1)
    # Its lease is over, so the next one takes it.
    async with sqlite_house.backend.database.write(sqlite_house.ada.tenant) as session:
        await session.execute(update(DeliveryRow).values(due_ms=now_ms()))
    sqlite_house.built.deliveries.wake()
    await become(sqlite_house, webhook, "DELIVERED")
    receiver.released.set()
    await sqlite_house.built.deliveries.stop(grace_s=20)
    [delivery] = await log_of(sqlite_house, webhook)
    assert (delivery.status, delivery.attempts, delivery.code) == ("DELIVERED", 1, 204)


async def test_more_than_may_wait_is_counted_and_not_queued(sqlite_house: Engine, receiver: Receiver) -> None:
    webhook, _ = await subscribed(sqlite_house, receiver.url)
    row = {
        "tenant": sqlite_house.ada.tenant, "subscription": webhook, "type": FINISHED, "body": "{}", "status": "WAITING",
        "due_ms": 2**50, "created_ms": 1,
    }  # fmt: skip
    async with sqlite_house.backend.database.write(sqlite_house.ada.tenant) as session:
        rows = [DeliveryRow(**row, id=new_id("whd"), event=f"e{number}") for number in range(MOST_WAITING)]
        session.add_all(rows)
    await asyncio.sleep(0.6)  # until nobody believes what was known before
    await tell(sqlite_house)

    async def counted() -> bool:
        return (await sqlite_house.backend.webhooks.one(sqlite_house.ada, webhook)).dropped == 1

    await until(counted, 60)
    assert receiver.requests == []


async def test_old_deliveries_go_and_those_of_a_deleted_webhook_at_once(house: Engine, receiver: Receiver) -> None:
    webhook, _ = await subscribed(house, receiver.url)
    other, _ = await subscribed(house, receiver.url)
    await tell(house, 3)
    await become(house, webhook, "DELIVERED", 3)
    await become(house, other, "DELIVERED", 3)
    await house.backend.webhooks.delete(house.ada, other)
    async with house.backend.database.write(house.ada.tenant) as session:
        newest = (await log_of(house, webhook))[0].id
        old = update(DeliveryRow).where(col(DeliveryRow.subscription) == webhook, col(DeliveryRow.id) != newest)
        await session.execute(old.values(ended_ms=1))
    assert await clean(house.backend.database) == 5
    assert [one.id for one in await log_of(house, webhook)] == [newest]
    async with house.backend.database.system_read() as session:
        left = await session.get(SubscriptionRow, other)
    assert left is None

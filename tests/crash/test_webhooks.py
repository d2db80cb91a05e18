"""BUS-9: a worker is killed in the middle of a delivery: it is made again, under the same id, and none is lost."""

import pytest

from backend.app import Backend
from backend.domain.webhooks.views import DeliveryView
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE
from backend.foundation.kernel.ids import TenantId
from tests.crash.stand import Stand, person
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.receiver import Receiver
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

ROLES = "relay,jobs"
ALLOWED = {"AUTOWEAVE_WEBHOOK_NETWORKS": "127.0.0.0/8", "AUTOWEAVE_WEBHOOK_HTTP": "on"}
SENT_BEFORE = {
    "webhooks.queue.before": 0,
    "webhooks.claim.before": 0,
    "webhooks.claim.after": 0,
    "webhooks.send.before": 0,
    "webhooks.send.after": 1,
    "webhooks.record.after": 1,
}
"""How often the receiver has had it when the worker is killed there."""
ASKED = ("webhooks.create.after", "webhooks.rotate.after", "webhooks.redeliver.after")
CLEANED = ("webhooks.clean.after",)


@pytest.mark.parametrize("failpoint", SENT_BEFORE)
async def test_a_delivery_outlives_the_worker_that_was_killed_with_it(
    stand: Stand, receiver: Receiver, failpoint: str
) -> None:
    stand.around = ALLOWED
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        made = await backend.webhooks.create(person(tenant), url=receiver.url, types=["flows.run_finished.v1"])
        first = await stand.worker(failpoints=f"{failpoint}=kill", roles=ROLES)
        event = Event(
            type="flows.run_finished.v1", tenant=tenant, key="k", source="/test",
            data=CATALOGUE["flows.run_finished.v1"].example,
        )  # fmt: skip
        async with backend.database.write(tenant) as session:
            await backend.bus.publish(session, event)
        await first.died(60)
        assert len(receiver.requests) == SENT_BEFORE[failpoint]
        await stand.worker(replaces=first.name, roles=ROLES)
        await until(lambda: delivered(backend, tenant, made.view.id), 60)
        [delivery] = await log_of(backend, tenant, made.view.id)
        assert {request.id for request in receiver.requests} == {delivery.id}
        assert {request.verify(made.secret)["id"] for request in receiver.requests} == {event.id}
        # Twice only where nobody knows whether it was received.
        assert len(receiver.requests) == (2 if failpoint == "webhooks.send.after" else 1)


@pytest.mark.parametrize("failpoint", ASKED)
async def test_a_verb_killed_before_its_answer_has_happened(stand: Stand, receiver: Receiver, failpoint: str) -> None:
    stand.around = ALLOWED
    verb = failpoint.split(".")[1]
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        caller, webhooks = person(tenant), backend.webhooks
        made = await webhooks.create(caller, url=receiver.url, types=[])
        delivery = await webhooks.test(caller, made.view.id)
        argument = {"create": receiver.url, "rotate": made.view.id, "redeliver": delivery}[verb]
        assert await stand.door(tenant, f"webhook-{verb}", argument, failpoints=f"{failpoint}=kill") == -9
        assert len(await webhooks.all(caller)) == 1 + (verb == "create")
        await stand.worker(roles="jobs")
        [request] = await receiver.got(1)
        if verb == "rotate":
            # The new secret is told to nobody, so the old one goes on for a day.
            assert len(request.headers["webhook-signature"].split()) == 2
        request.verify(made.secret)


async def log_of(backend: Backend, tenant: TenantId, webhook: str) -> list[DeliveryView]:
    return await backend.webhooks.deliveries(person(tenant), webhook)


async def delivered(backend: Backend, tenant: TenantId, webhook: str) -> bool:
    return [one.status for one in await log_of(backend, tenant, webhook)] == ["DELIVERED"]


@pytest.mark.parametrize("failpoint", CLEANED)
async def test_cleaning_that_is_killed_is_done_by_the_next(stand: Stand, receiver: Receiver, failpoint: str) -> None:
    stand.around = ALLOWED
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        made = await backend.webhooks.create(person(tenant), url=receiver.url, types=[])
        delivery = await backend.webhooks.test(person(tenant), made.view.id)
        await backend.webhooks.delete(person(tenant), made.view.id)
        assert await stand.door(tenant, "webhook-clean", failpoints=f"{failpoint}=kill") == -9
        assert await stand.door(tenant, "webhook-clean") == 0
        assert await log_of(backend, tenant, made.view.id) == []
        assert delivery.startswith("whd_")


async def test_deliveries_go_on_while_valkey_is_away(
    stand: Stand, receiver: Receiver, private_valkey: PrivateValkey
) -> None:
    """Nobody is told then that something is due, but workers look by themselves."""
    stand.around = ALLOWED
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        made = await backend.webhooks.create(person(tenant), url=receiver.url, types=[])
        await stand.worker(roles="jobs")
        await backend.webhooks.test(person(tenant), made.view.id)
        await receiver.got(1, 60)
        private_valkey.freeze()
        try:
            await backend.webhooks.test(person(tenant), made.view.id)
            await receiver.got(2, 60)
        finally:
            private_valkey.proceed()

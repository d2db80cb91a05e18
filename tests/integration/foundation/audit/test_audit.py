"""IDN-7: the audit log is written with the action, read by page, and never changed."""

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError

from backend.adapters.database.database import SqlDatabase
from backend.foundation.audit.models import AuditEntry
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden
from backend.foundation.kernel.ids import TenantId

pytestmark = pytest.mark.integration

ADA = Caller(tenant=TenantId("ten_house"), subject="usr_ada", permissions=frozenset(Permission))
BOB = Caller(tenant=TenantId("ten_garden"), subject="usr_bob", permissions=frozenset(Permission))


async def _record(database: SqlDatabase, caller: Caller, action: str, target: str, **detail: object) -> None:
    async with database.write(caller.tenant) as session:
        await Audit(database).record(session, caller, action, target, **detail)


async def test_an_entry_tells_who_did_what_and_when_without_secrets(database: SqlDatabase) -> None:
    await _record(database, ADA, "identity.key_created", "key_1", name="ci", password="hunter2", nested={"token": "t"})
    (entry,) = await Audit(database).entries(ADA)
    assert (entry.actor, entry.actor_kind, entry.action, entry.target) == (
        "usr_ada", "user", "identity.key_created", "key_1",
    )  # fmt: skip
    assert entry.detail == {"name": "ci", "password": "[hidden]", "nested": {"token": "[hidden]"}}
    assert entry.at_ms > 1_700_000_000_000


async def _fail_after_recording(database: SqlDatabase) -> None:
    async with database.write(ADA.tenant) as session:
        await Audit(database).record(session, ADA, "chat.deleted", "thr_1")
        raise RuntimeError("the action failed")


async def test_an_action_that_is_rolled_back_leaves_no_entry(database: SqlDatabase) -> None:
    with pytest.raises(RuntimeError):
        await _fail_after_recording(database)
    assert await Audit(database).entries(ADA) == []


async def test_entries_are_paged_newest_first_and_filtered(database: SqlDatabase) -> None:
    for number in range(5):
        await _record(database, ADA, "chat.renamed" if number % 2 else "identity.signed_in", f"t{number}")
    audit = Audit(database)
    assert [entry.target for entry in await audit.entries(ADA, limit=2)] == ["t4", "t3"]
    last = (await audit.entries(ADA, limit=2))[-1].id
    assert [entry.target for entry in await audit.entries(ADA, before=last)] == ["t2", "t1", "t0"]
    assert [entry.target for entry in await audit.entries(ADA, action="chat.")] == ["t3", "t1"]
    assert [entry.target for entry in await audit.entries(ADA, action="chat.renamed", target="t1")] == ["t1"]
    assert await audit.entries(ADA, actor="usr_eve") == []
    assert await audit.entries(ADA, action="%.") == []
    assert len(await audit.entries(ADA, limit=-1)) == 1


async def test_another_tenants_entries_do_not_exist(database: SqlDatabase) -> None:
    """IDN-3."""
    await _record(database, ADA, "chat.renamed", "thr_1")
    assert await Audit(database).entries(BOB) == []


async def test_reading_needs_the_permission(database: SqlDatabase) -> None:
    with pytest.raises(Forbidden):
        await Audit(database).entries(Caller(tenant=ADA.tenant, subject="usr_eve"))


async def test_the_database_refuses_to_change_or_delete_an_entry(database: SqlDatabase) -> None:
    await _record(database, ADA, "chat.renamed", "thr_1")
    attempts = [update(AuditEntry).values(actor="nobody"), delete(AuditEntry)]
    if database.dialect == "postgresql":
        attempts.append(text("TRUNCATE audit_entry"))
    for attempt in attempts:
        with pytest.raises(DBAPIError, match="append-only"):
            async with database.system_write() as session:
                await session.execute(attempt)
    assert [entry.actor for entry in await Audit(database).entries(ADA)] == ["usr_ada"]

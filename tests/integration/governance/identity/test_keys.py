"""IDN-2: API keys hold some of their maker's permissions, until they end."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from backend.adapters.database.database import SqlDatabase
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden, Invalid, NotFound
from backend.governance.identity.errors import KeyRejected
from backend.governance.identity.models import ApiKeyRecord, UserRecord
from backend.governance.identity.rules import Role
from backend.governance.identity.service import Identity
from backend.governance.identity.views import NewApiKey
from tests.fixtures.people import CLIENT, PASSWORD, LocalNotices, SetUp, make_identity, set_up
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


async def _make(house: SetUp, *scopes: str, days: int | None = None, by: Caller | None = None) -> NewApiKey:
    return await house.identity.create_api_key(
        by or house.admin.caller, name="ci", scopes=scopes or ("agents:run",), expires_days=days
    )


async def _change(database: SqlDatabase, **values: Any) -> None:
    async with database.system_write() as session:
        await session.execute(update(ApiKeyRecord).values(**values))


async def _member(house: SetUp, email: str, role: Role) -> Caller:
    await house.identity.create_user(house.admin.caller, email=email, password=PASSWORD, name="", role=role)
    return (await house.identity.sign_in(email, PASSWORD, **CLIENT)).caller


async def test_a_key_stands_for_its_tenant_with_its_scopes(house: SetUp) -> None:
    made = await _make(house, "agents:run", "agents:read")
    caller = await house.identity.caller_of_key(made.secret)
    assert caller == Caller(
        tenant=house.admin.caller.tenant,
        subject=made.view.id,
        permissions=frozenset({Permission.AGENTS_RUN, Permission.AGENTS_READ}),
        kind="key",
    )


async def test_a_key_is_shown_once_and_stored_as_a_hash(house: SetUp, database: SqlDatabase) -> None:
    made = await _make(house)
    assert made.secret.startswith(f"{made.view.start}")
    async with database.system_read() as session:
        row = (await session.execute(select(ApiKeyRecord))).scalar_one()
    assert made.secret.rpartition("_")[2] not in repr(row)
    assert await house.identity.api_keys(house.admin.caller) == [made.view]


@pytest.mark.parametrize(
    "end",
    [{"revoked_ms": 1}, {"expires_ms": col(ApiKeyRecord.created_ms) - 1}, {"secret_hash": "0" * 64}],
    ids=["revoked", "expired", "another secret"],
)
async def test_a_key_that_is_over_is_refused(house: SetUp, database: SqlDatabase, end: dict[str, Any]) -> None:
    made = await _make(house, days=1)
    await _change(database, **end)
    with pytest.raises(KeyRejected):
        await house.identity.caller_of_key(made.secret)


@pytest.mark.parametrize(
    "key", ["", "aw_", "aw_x_y", "Bearer x", "\ud800", "x" * 100_000, "aw_" + "0" * 26 + "_" + "f" * 64]
)
async def test_a_made_up_key_is_refused(identity: Identity, key: str) -> None:
    with pytest.raises(KeyRejected):
        await identity.caller_of_key(key)


async def test_nobody_gives_what_he_has_not(house: SetUp) -> None:
    builder = await _member(house, "b@example.org", Role.BUILDER)
    with pytest.raises(Forbidden):
        await _make(house, "tenant:admin", by=builder)
    made = await _make(house, "agents:run", by=builder)
    assert (await house.identity.caller_of_key(made.secret)).permissions == {Permission.AGENTS_RUN}


async def test_a_key_loses_what_its_maker_loses(house: SetUp, database: SqlDatabase) -> None:
    builder = await _member(house, "b@example.org", Role.BUILDER)
    made = await _make(house, "agents:run", "traces:read", by=builder)
    async with database.system_write() as session:
        await session.execute(
            update(UserRecord).where(col(UserRecord.email) == "b@example.org").values(role=Role.MEMBER.value)
        )
    assert (await house.identity.caller_of_key(made.secret)).permissions == {Permission.AGENTS_RUN}
    async with database.system_write() as session:
        await session.execute(update(UserRecord).where(col(UserRecord.email) == "b@example.org").values(disabled_ms=1))
    with pytest.raises(KeyRejected):
        await make_identity(database).caller_of_key(made.secret)


async def test_a_key_makes_and_ends_no_keys(house: SetUp) -> None:
    made = await _make(house, "keys:manage")
    key = await house.identity.caller_of_key(made.secret)
    for verb in (_make(house, "keys:manage", by=key), house.identity.revoke_api_key(key, made.view.id)):
        with pytest.raises(Forbidden):
            await verb


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["everything"]}),
        ("name", {"name": ""}),
        ("expires_days", {"expires_days": 0}),
        ("expires_days", {"expires_days": 100_000}),
    ],
)
async def test_what_is_wrong_with_a_new_key_is_named(house: SetUp, field: str, values: dict[str, Any]) -> None:
    given = {"name": "ci", "scopes": ["agents:run"], "expires_days": None} | values
    with pytest.raises(Invalid) as caught:
        await house.identity.create_api_key(house.admin.caller, **given)
    assert caught.value.field == field


async def test_revoking_ends_a_key_at_once_in_every_replica(database: SqlDatabase) -> None:
    notices = LocalNotices()
    here, there = make_identity(database, notices), make_identity(database, notices)
    house = await set_up(here)
    made = await _make(house)
    listening = asyncio.create_task(there.run())
    await until(lambda: notices.listeners > 0)
    for replica in (here, there):
        assert await replica.caller_of_key(made.secret)
    await here.revoke_api_key(house.admin.caller, made.view.id)
    for replica in (here, there):
        await until(lambda replica=replica: _refused(replica, made.secret), 2.0)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_people_see_and_end_their_own_keys_and_administrators_all(house: SetUp) -> None:
    builder = await _member(house, "b@example.org", Role.BUILDER)
    admins, builders = await _make(house), await _make(house, by=builder)
    assert await house.identity.api_keys(builder) == [builders.view]
    assert await house.identity.api_keys(house.admin.caller) == [builders.view, admins.view]
    with pytest.raises(NotFound):
        await house.identity.revoke_api_key(builder, admins.view.id)
    await house.identity.revoke_api_key(house.admin.caller, builders.view.id)
    assert await house.identity.api_keys(builder) == []


async def test_another_tenants_keys_do_not_exist(house: SetUp) -> None:
    """IDN-3."""
    made = await _make(house)
    await house.identity.create_tenant("Garden", "bob@example.org", PASSWORD)
    bob = (await house.identity.sign_in("bob@example.org", PASSWORD, **CLIENT)).caller
    assert await house.identity.api_keys(bob) == []
    with pytest.raises(NotFound):
        await house.identity.revoke_api_key(bob, made.view.id)
    assert await house.identity.caller_of_key(made.secret)


async def test_use_is_noted_at_most_once_a_minute(house: SetUp, database: SqlDatabase) -> None:
    made = await _make(house)
    for _ in range(2):
        fresh = make_identity(database)
        await fresh.caller_of_key(made.secret)
        await fresh.close()
    (first,) = await house.identity.api_keys(house.admin.caller)
    assert first.used_ms >= made.view.created_ms
    await _change(database, used_ms=1)
    fresh = make_identity(database)
    await fresh.caller_of_key(made.secret)
    await fresh.close()
    (second,) = await house.identity.api_keys(house.admin.caller)
    assert second.used_ms >= first.used_ms


async def test_the_command_line_makes_a_key_for_a_tenant_by_name(house: SetUp) -> None:
    made = await house.identity.create_key_for(None, "ops", ["health:read"])
    assert (await house.identity.caller_of_key(made.secret)).tenant == house.admin.caller.tenant
    garden = await house.identity.create_tenant("Garden", "bob@example.org", PASSWORD)
    made = await house.identity.create_key_for("garden", "ops", ["health:read"], 30)
    assert (await house.identity.caller_of_key(made.secret)).tenant == garden
    with pytest.raises(Invalid):
        await house.identity.create_key_for(None, "ops", ["health:read"])
    with pytest.raises(NotFound):
        await house.identity.create_key_for("nowhere", "ops", ["health:read"])


async def test_keys_are_in_the_audit_log_without_their_secret(house: SetUp, database: SqlDatabase) -> None:
    """IDN-7."""
    made = await _make(house)
    await house.identity.revoke_api_key(house.admin.caller, made.view.id)
    entries = await Audit(database).entries(house.admin.caller, target=made.view.id)
    assert [entry.action for entry in entries] == ["identity.key_revoked", "identity.key_created"]
    assert made.secret.rpartition("_")[2] not in repr(entries)


async def _refused(identity: Identity, key: str) -> bool:
    try:
        await identity.caller_of_key(key)
    except KeyRejected:
        return True
    return False

"""IDN-1: signing in, the life of a session, and its end."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from backend.adapters.database.database import SqlDatabase
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden, NotFound
from backend.governance.identity.errors import SessionEnded, SignInFailed, TooManyAttempts
from backend.governance.identity.models import AttemptRecord, SessionRecord, UserRecord
from backend.governance.identity.rules import ATTEMPTS_PER_ADDRESS, ATTEMPTS_PER_EMAIL, DAY_MS, Role
from backend.governance.identity.service import Identity
from backend.governance.identity.service.passwords import Passwords
from tests.fixtures.people import CLIENT, PASSWORD, LocalNotices, SetUp, make_identity, set_up
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


async def _fails(identity: Identity, email: str, address: str = "203.0.113.7") -> None:
    with pytest.raises(SignInFailed):
        await identity.sign_in(email, "wrong wrong wrong", client="tests", address=address)


async def _change_session(database: SqlDatabase, **values: Any) -> None:
    async with database.system_write() as session:
        await session.execute(update(SessionRecord).values(**values))


async def test_the_right_password_opens_a_session_whatever_the_spelling_of_the_email(house: SetUp) -> None:
    signed_in = await house.identity.sign_in("  ADA@Example.ORG ", PASSWORD, **CLIENT)
    caller = await house.identity.caller_of_session(signed_in.cookie)
    assert caller == signed_in.caller
    assert caller.subject == house.admin.caller.subject
    assert signed_in.cookie != house.admin.cookie


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org", "", "no e-mail", "x" * 10_000])
async def test_a_wrong_password_and_an_unknown_email_sound_the_same(house: SetUp, email: str) -> None:
    with pytest.raises(SignInFailed) as caught:
        await house.identity.sign_in(email, "wrong wrong wrong", **CLIENT)
    assert caught.value.message == "E-mail or password is wrong."


async def test_cookies_and_passwords_are_stored_as_hashes_only(house: SetUp, database: SqlDatabase) -> None:
    async with database.system_read() as session:
        row = (await session.execute(select(SessionRecord))).scalar_one()
        user = (await session.execute(select(UserRecord))).scalar_one()
    assert house.admin.cookie not in repr(row)
    assert user.password_hash.startswith("$argon2id$")


async def test_signing_out_ends_the_session_at_once(house: SetUp) -> None:
    caller = await house.identity.caller_of_session(house.admin.cookie)
    await house.identity.sign_out(caller)
    with pytest.raises(SessionEnded):
        await house.identity.caller_of_session(house.admin.cookie)
    await house.identity.sign_out(caller)


@pytest.mark.parametrize(
    "age",
    [
        {"expires_ms": col(SessionRecord.expires_ms) - 30 * DAY_MS},
        {"seen_ms": col(SessionRecord.seen_ms) - 7 * DAY_MS},
        {"revoked_ms": 1},
    ],
    ids=["thirty days old", "unused for seven days", "revoked"],
)
async def test_a_session_that_is_over_is_refused(house: SetUp, database: SqlDatabase, age: dict[str, Any]) -> None:
    await _change_session(database, **age)
    with pytest.raises(SessionEnded):
        await house.identity.caller_of_session(house.admin.cookie)
    assert await house.identity.sessions(house.admin.caller) == []


async def test_a_disabled_person_has_no_session(house: SetUp, database: SqlDatabase) -> None:
    async with database.system_write() as session:
        await session.execute(update(UserRecord).values(disabled_ms=1))
    with pytest.raises(SessionEnded):
        await house.identity.caller_of_session(house.admin.cookie)
    await _fails(house.identity, "ada@example.org")


@pytest.mark.parametrize("cookie", ["", "made up", "\ud800", "x" * 100_000])
async def test_a_made_up_cookie_is_refused(house: SetUp, cookie: str) -> None:
    with pytest.raises(SessionEnded):
        await house.identity.caller_of_session(cookie)


async def test_the_cookie_set_behind_tls_counts_first(house: SetUp) -> None:
    other = await house.identity.sign_in("ada@example.org", PASSWORD, **CLIENT)
    header = f"theme=dark; aw_session={other.cookie}; __Host-aw_session={house.admin.cookie}"
    assert (await house.identity.caller_of_cookies(header)).session == house.admin.caller.session
    for empty in ("", "theme=dark", "aw_session=", ";;="):
        with pytest.raises(SessionEnded):
            await house.identity.caller_of_cookies(empty)


async def test_a_session_in_use_is_marked_seen_at_most_once_a_minute(house: SetUp, database: SqlDatabase) -> None:
    await _change_session(database, seen_ms=col(SessionRecord.seen_ms) - 2 * 60_000)
    await house.identity.caller_of_session(house.admin.cookie)
    await house.identity.close()
    before = (await house.identity.sessions(house.admin.caller))[0].seen_ms
    fresh = make_identity(database)
    await fresh.caller_of_session(house.admin.cookie)
    await fresh.close()
    assert (await house.identity.sessions(house.admin.caller))[0].seen_ms == before
    assert before - house.admin.expires_ms > -30 * DAY_MS - 60_000


async def test_revoking_ends_the_session_in_every_replica_at_once(database: SqlDatabase) -> None:
    notices = LocalNotices()
    here, there = make_identity(database, notices), make_identity(database, notices)
    house = await set_up(here)
    second = await here.sign_in("ada@example.org", PASSWORD, **CLIENT)
    listening = asyncio.create_task(there.run())
    await until(lambda: notices.listeners > 0)
    assert (await there.caller_of_session(second.cookie)).subject == house.admin.caller.subject
    await here.revoke_session(house.admin.caller, second.caller.session or "")
    await until(lambda: _ended(there, second.cookie), 2.0)
    assert await there.caller_of_session(house.admin.cookie)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_sessions_are_listed_with_the_one_that_asks(house: SetUp) -> None:
    await house.identity.sign_in("ada@example.org", PASSWORD, client="phone", address="198.51.100.1")
    listed = await house.identity.sessions(house.admin.caller)
    assert {(one.client, one.address, one.current) for one in listed} == {
        ("tests", "203.0.113.7", True),
        ("phone", "198.51.100.1", False),
    }


async def test_only_an_administrator_ends_another_persons_session(house: SetUp) -> None:
    await house.identity.create_user(
        house.admin.caller, email="m@example.org", password=PASSWORD, name="M", role=Role.MEMBER
    )
    member = await house.identity.sign_in("m@example.org", PASSWORD, **CLIENT)
    with pytest.raises(NotFound):
        await house.identity.revoke_session(member.caller, house.admin.caller.session or "")
    await house.identity.revoke_session(house.admin.caller, member.caller.session or "")
    with pytest.raises(SessionEnded):
        await house.identity.caller_of_session(member.cookie)
    with pytest.raises(NotFound):
        await house.identity.revoke_session(house.admin.caller, member.caller.session or "")


async def test_a_key_manages_no_sessions(house: SetUp) -> None:
    key = Caller(tenant=house.admin.caller.tenant, subject="key_1", permissions=frozenset(Permission), kind="key")
    for verb in (house.identity.sessions(key), house.identity.revoke_session(key, "ses_1"), house.identity.me(key)):
        with pytest.raises(Forbidden):
            await verb


async def test_many_wrong_passwords_for_one_email_must_wait(house: SetUp, database: SqlDatabase) -> None:
    for number in range(ATTEMPTS_PER_EMAIL):
        await _fails(house.identity, "Ada@example.org", f"198.51.100.{number}")
    after_a_restart = make_identity(database)
    with pytest.raises(TooManyAttempts) as caught:
        await after_a_restart.sign_in("ada@example.org", PASSWORD, client="", address="192.0.2.1")
    assert 0 < caught.value.retry_after <= 15 * 60


async def test_many_wrong_passwords_from_one_network_must_wait(house: SetUp) -> None:
    for number in range(ATTEMPTS_PER_ADDRESS):
        await _fails(house.identity, f"person{number}@example.org", f"2001:db8::{number:x}")
    with pytest.raises(TooManyAttempts):
        await house.identity.sign_in("ada@example.org", PASSWORD, client="", address="2001:db8::ffff")
    assert await house.identity.sign_in("ada@example.org", PASSWORD, **CLIENT)


async def test_the_window_moves(house: SetUp, database: SqlDatabase) -> None:
    for _ in range(ATTEMPTS_PER_EMAIL):
        await _fails(house.identity, "ada@example.org")
    async with database.system_write() as session:
        for row in (await session.execute(select(AttemptRecord))).scalars():
            row.times = [time - 15 * 60_000 for time in row.times]
    assert await house.identity.sign_in("ada@example.org", PASSWORD, **CLIENT)


async def test_the_right_password_forgives_the_email(house: SetUp, database: SqlDatabase) -> None:
    for _ in range(ATTEMPTS_PER_EMAIL - 1):
        await _fails(house.identity, "ada@example.org")
    await house.identity.sign_in("ada@example.org", PASSWORD, **CLIENT)
    async with database.system_read() as session:
        rows = (await session.execute(select(AttemptRecord))).scalars().all()
    assert sorted(len(row.times) for row in rows) == [0, ATTEMPTS_PER_EMAIL - 1]
    await _fails(house.identity, "ada@example.org")


async def test_wrong_passwords_at_once_do_not_slip_through_the_limit(house: SetUp) -> None:
    tries = (
        house.identity.sign_in("ada@example.org", f"wrong wrong {number}", client="", address=f"198.51.100.{number}")
        for number in range(ATTEMPTS_PER_EMAIL * 2)
    )
    outcomes = [type(one) for one in await asyncio.gather(*tries, return_exceptions=True)]
    assert outcomes.count(SignInFailed) == ATTEMPTS_PER_EMAIL
    assert outcomes.count(TooManyAttempts) == ATTEMPTS_PER_EMAIL


async def test_failures_and_successes_are_in_the_audit_log(house: SetUp, database: SqlDatabase) -> None:
    """IDN-7."""
    await _fails(house.identity, "ada@example.org")
    await house.identity.sign_out(house.admin.caller)
    await house.identity.close()
    actions = {entry.action for entry in await Audit(database).entries(house.admin.caller, action="identity.")}
    assert {"identity.sign_in_failed", "identity.signed_out", "identity.signed_in"} <= actions


async def test_a_hash_of_other_costs_is_renewed_at_sign_in(house: SetUp, database: SqlDatabase) -> None:
    stronger = Identity(database, LocalNotices(), Audit(database), Passwords(memory_kib=128, rounds=2))
    await stronger.sign_in("ada@example.org", PASSWORD, **CLIENT)
    async with database.system_read() as session:
        user = (await session.execute(select(UserRecord))).scalar_one()
    assert "m=128,t=2" in user.password_hash
    assert await stronger.sign_in("ada@example.org", PASSWORD, **CLIENT)


async def test_what_is_long_over_is_deleted(house: SetUp, database: SqlDatabase) -> None:
    await _change_session(database, expires_ms=col(SessionRecord.expires_ms) - 61 * DAY_MS)
    async with database.system_write() as session:
        await session.execute(update(AttemptRecord).values(last_ms=0))
    tidying = asyncio.create_task(house.identity.run())
    await until(lambda: _no_sessions(database))
    tidying.cancel()
    await asyncio.gather(tidying, return_exceptions=True)


async def _no_sessions(database: SqlDatabase) -> bool:
    async with database.system_read() as session:
        return not (await session.execute(select(SessionRecord))).all()


async def _ended(identity: Identity, cookie: str) -> bool:
    try:
        await identity.caller_of_session(cookie)
    except SessionEnded:
        return True
    return False

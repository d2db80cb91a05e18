"""IDN-1: the cache of callers, and passwords that cost what they should."""

import asyncio
import time

import pytest

from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.ids import TenantId
from backend.governance.identity.errors import SignInBusy
from backend.governance.identity.service.cache import CallerCache
from backend.governance.identity.service.later import Later
from backend.governance.identity.service.passwords import Passwords
from tests.fixtures.people import cheap_passwords

ADA = Caller(tenant=TenantId("ten_1"), subject="usr_ada", session="ses_1")
CI = Caller(tenant=TenantId("ten_1"), subject="key_ci", kind="key")


def test_a_caller_is_known_for_five_seconds() -> None:
    now = 0.0
    cache = CallerCache(lambda: now)
    cache.keep("a", ADA, cache.generation)
    now = 4.9
    assert cache.find("a") is ADA
    now = 5.0
    assert cache.find("a") is None


def test_dropping_forgets_one_or_all() -> None:
    cache = CallerCache()
    for secret, caller in (("a", ADA), ("k", CI)):
        cache.keep(secret, caller, cache.generation)
    cache.drop("ses_1")
    assert (cache.find("a"), cache.find("k")) == (None, CI)
    cache.drop("")
    assert cache.find("k") is None


def test_a_lookup_from_before_a_drop_is_not_kept() -> None:
    cache = CallerCache()
    before = cache.generation
    cache.drop("ses_1")
    cache.keep("a", ADA, before)
    assert cache.find("a") is None


def test_the_cache_has_a_limit() -> None:
    cache = CallerCache()
    for number in range(10_001):
        cache.keep(str(number), ADA, cache.generation)
    assert cache.find("0") is None
    assert cache.find("10000") is ADA


async def test_a_hash_is_argon2id_with_64_mib() -> None:
    stored = await Passwords().hash("a long enough phrase")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,")


async def test_an_unknown_person_costs_as_much_as_a_known_one() -> None:
    passwords = Passwords(memory_kib=16_384, rounds=2)
    stored = await passwords.hash("a long enough phrase")
    await passwords.check("first use", None)

    async def seconds(against: str | None) -> float:
        times: list[float] = []
        for _ in range(7):
            started = time.perf_counter()
            assert not await passwords.check("a wrong phrase", against)
            times.append(time.perf_counter() - started)
        return sorted(times)[3]

    known, unknown = await seconds(stored), await seconds(None)
    assert 0.5 < known / unknown < 2


async def test_more_sign_ins_than_can_be_checked_are_turned_away() -> None:
    passwords = cheap_passwords()
    outcomes = await asyncio.gather(*(passwords.hash("x") for _ in range(60)), return_exceptions=True)
    busy = [one for one in outcomes if isinstance(one, SignInBusy)]
    assert len(busy) == 60 - 34
    assert isinstance(busy[0], Unavailable)
    assert await passwords.hash("x")


async def test_the_hash_of_nobody_is_made_again_after_a_busy_moment() -> None:
    passwords = cheap_passwords()
    crowd = [asyncio.create_task(passwords.hash("x")) for _ in range(34)]
    await asyncio.sleep(0)
    with pytest.raises(SignInBusy):
        await passwords.check("x", None)
    await asyncio.gather(*crowd)
    assert not await passwords.check("x", None)


async def test_a_lone_surrogate_is_a_wrong_password_and_no_crash() -> None:
    passwords = cheap_passwords()
    assert not await passwords.check("\ud800", await passwords.hash("x"))


async def test_small_writes_never_fail_a_request_and_have_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    later = Later()
    gate = asyncio.Event()

    async def write(error: Exception | None) -> None:
        await gate.wait()
        if error:
            raise error

    assert later.run(write(Unavailable("The database does not answer.")))
    assert later.run(write(ValueError("surprise")))
    assert all(later.run(write(None)) for _ in range(98))
    assert not later.run(write(None))
    gate.set()
    await later.close()
    assert later.run(write(None))
    await later.close()

"""IDN-1: the first administrator by a one-time link; tenants and people after that."""

import asyncio

import pytest
from sqlalchemy import update
from sqlmodel import col

from backend.adapters.database.database import SqlDatabase
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import AutoWeaveError, Conflict, Invalid, NotFound
from backend.foundation.kernel.ids import TenantId
from backend.governance.identity.errors import EmailTaken, SetUpAlready, SetupLinkInvalid, TenantNameTaken
from backend.governance.identity.models import SetupRecord
from backend.governance.identity.rules import Role
from backend.governance.identity.service import Identity
from backend.governance.identity.views import SignedIn
from tests.fixtures.people import CLIENT, PASSWORD, SetUp, make_identity, set_up

pytestmark = pytest.mark.integration


async def _complete(identity: Identity, token: str, email: str = "ada@example.org") -> SignedIn:
    return await identity.complete_setup(
        token, email=email, password=PASSWORD, name="Ada", tenant_name="House", **CLIENT
    )


async def test_setup_makes_a_tenant_and_a_signed_in_administrator(identity: Identity) -> None:
    assert await identity.setup_needed()
    house = await set_up(identity)
    assert not await identity.setup_needed()
    assert house.admin.caller.permissions == frozenset(Permission)
    assert await identity.tenants() == [house.admin.caller.tenant]
    me = await identity.me(await identity.caller_of_session(house.admin.cookie))
    assert (me.email, me.role, me.tenant_name) == ("ada@example.org", "admin", "House")


async def test_a_setup_link_is_good_once(identity: Identity) -> None:
    token = await identity.issue_setup_token()
    assert token
    await _complete(identity, token)
    with pytest.raises(SetUpAlready):
        await _complete(identity, token, "eve@example.org")
    assert await identity.issue_setup_token() is None


async def test_a_new_link_ends_the_one_before(identity: Identity) -> None:
    first = await identity.issue_setup_token()
    second = await identity.issue_setup_token()
    assert first
    assert second
    with pytest.raises(SetupLinkInvalid):
        await _complete(identity, first)
    await _complete(identity, second)


async def test_a_link_is_dead_after_a_day(identity: Identity, database: SqlDatabase) -> None:
    token = await identity.issue_setup_token()
    assert token
    async with database.system_write() as session:
        await session.execute(update(SetupRecord).values(expires_ms=col(SetupRecord.expires_ms) - 24 * 3600 * 1000))
    with pytest.raises(SetupLinkInvalid):
        await _complete(identity, token)


@pytest.mark.parametrize("token", ["", "wrong", "x" * 10_000, "\ud800"])
async def test_a_made_up_link_is_refused(identity: Identity, token: str) -> None:
    with pytest.raises(SetupLinkInvalid):
        await _complete(identity, token)
    await identity.issue_setup_token()
    with pytest.raises(SetupLinkInvalid):
        await _complete(identity, token)


async def test_of_two_racing_clients_one_wins_and_the_other_hears_of_it(database: SqlDatabase) -> None:
    replicas = [make_identity(database) for _ in range(2)]
    token = await replicas[0].issue_setup_token()
    assert token
    outcomes = await asyncio.gather(
        *(_complete(replica, token, f"person{number}@example.org") for number, replica in enumerate(replicas)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["SetUpAlready", "SignedIn"]
    assert isinstance(next(outcome for outcome in outcomes if not isinstance(outcome, SignedIn)), Conflict)
    assert len(await replicas[0].tenants()) == 1


async def test_setup_and_the_command_line_race_without_two_first_tenants(identity: Identity) -> None:
    token = await identity.issue_setup_token()
    assert token
    outcomes = await asyncio.gather(
        _complete(identity, token), identity.create_admin("bob@example.org", PASSWORD), return_exceptions=True
    )
    assert all(isinstance(one, SignedIn | SetUpAlready | SetupLinkInvalid | str) for one in outcomes)
    assert len(await identity.tenants()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("password", "short"),
        ("password", "ada@example.org"),
        ("name", "\u0007"),
        ("tenant_name", " "),
        ("tenant_name", "x" * 101),
    ],
)
async def test_a_wrong_field_is_named_and_the_link_stays_good(identity: Identity, field: str, value: str) -> None:
    token = await identity.issue_setup_token()
    assert token
    fields = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada", "tenant_name": "House"}
    with pytest.raises(Invalid) as caught:
        await identity.complete_setup(token, **{**fields, field: value}, **CLIENT)
    assert caught.value.field == field
    await _complete(identity, token)


async def test_a_hook_hears_of_each_new_tenant_and_its_failure_undoes_nothing(identity: Identity) -> None:
    heard: list[TenantId] = []

    async def fails(_tenant: TenantId) -> None:
        raise RuntimeError("no starters")

    async def hears(tenant: TenantId) -> None:
        heard.append(tenant)

    identity.on_tenant_created.extend([fails, hears])
    house = await set_up(identity)
    second = await identity.create_tenant("Garden", "bob@example.org", PASSWORD)
    assert heard == [house.admin.caller.tenant, second] == await identity.tenants()


async def test_the_command_line_makes_an_administrator_without_a_link(identity: Identity) -> None:
    token = await identity.issue_setup_token()
    await identity.create_admin("Bob@Example.org", PASSWORD)
    assert not await identity.setup_needed()
    signed_in = await identity.sign_in("bob@example.org", PASSWORD, **CLIENT)
    assert signed_in.caller.permissions == frozenset(Permission)
    with pytest.raises(SetUpAlready):
        await _complete(identity, token or "")


async def test_a_second_administrator_joins_the_first_tenant(house: SetUp) -> None:
    await house.identity.create_admin("bob@example.org", PASSWORD, name="Bob")
    people = await house.identity.users(house.admin.caller)
    assert [(person.email, person.name, person.role) for person in people] == [
        ("ada@example.org", "Ada", "admin"),
        ("bob@example.org", "Bob", "admin"),
    ]
    with pytest.raises(NotFound):
        await house.identity.create_admin("eve@example.org", PASSWORD, tenant_name="Nowhere")


async def test_an_email_and_a_tenant_name_exist_once(house: SetUp) -> None:
    with pytest.raises(EmailTaken):
        await house.identity.create_tenant("Garden", "ADA@example.org", PASSWORD)
    assert len(await house.identity.tenants()) == 1
    with pytest.raises(TenantNameTaken):
        await house.identity.create_tenant("house", "bob@example.org", PASSWORD)


async def test_roles_decide_what_a_person_may_do(house: SetUp) -> None:
    """IDN-2."""
    await house.identity.create_user(
        house.admin.caller, email="mem@example.org", password=PASSWORD, name="Mem", role=Role.MEMBER
    )
    member = (await house.identity.sign_in("mem@example.org", PASSWORD, **CLIENT)).caller
    assert member.may(Permission.CHAT_USE)
    for verb in (
        house.identity.users(member),
        house.identity.create_user(member, email="x@example.org", password=PASSWORD, name="", role=Role.ADMIN),
        house.identity.api_keys(member),
        house.identity.create_api_key(member, name="k", scopes=["chat:use"], expires_days=None),
    ):
        with pytest.raises(AutoWeaveError) as caught:
            await verb
        assert caught.value.status == 403


async def test_people_of_another_tenant_do_not_exist(house: SetUp) -> None:
    """IDN-3."""
    await house.identity.create_tenant("Garden", "bob@example.org", PASSWORD)
    bob = (await house.identity.sign_in("bob@example.org", PASSWORD, **CLIENT)).caller
    assert [person.email for person in await house.identity.users(bob)] == ["bob@example.org"]
    with pytest.raises(NotFound):
        await house.identity.revoke_session(bob, house.admin.caller.session or "")
    assert await house.identity.caller_of_session(house.admin.cookie)


async def test_a_tenant_is_found_by_its_name_whatever_the_case(house: SetUp) -> None:
    assert await house.identity.tenant_named(None) == house.admin.caller.tenant
    garden = await house.identity.create_tenant("Garden", "bob@example.org", PASSWORD)
    assert await house.identity.tenant_named(" garden ") == garden
    with pytest.raises(Invalid):
        await house.identity.tenant_named(None)
    with pytest.raises(NotFound):
        await house.identity.tenant_named("Nowhere")


async def test_each_privileged_verb_leaves_an_entry(house: SetUp, database: SqlDatabase) -> None:
    """IDN-7."""
    entries = await Audit(database).entries(house.admin.caller)
    assert [entry.action for entry in reversed(entries)] == [
        "identity.tenant_created",
        "identity.user_created",
        "identity.signed_in",
    ]

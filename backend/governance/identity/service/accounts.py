"""How tenants and people come into being: the setup link, the command line, an administrator."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Caller, Permission, system_caller
from backend.foundation.kernel.errors import Invalid, NotFound
from backend.foundation.kernel.ids import TenantId, UserId
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry.logs import get_logger
from backend.governance.identity.errors import EmailTaken, SetUpAlready, SetupLinkInvalid, TenantNameTaken
from backend.governance.identity.models import UserRecord
from backend.governance.identity.repository import accounts
from backend.governance.identity.rules import Role, check_password, digest, normal_email, normal_name
from backend.governance.identity.service.passwords import Passwords
from backend.governance.identity.service.sessions import Browser, Sessions
from backend.governance.identity.views import SignedIn, UserView

_log = get_logger("identity")

FIRST_TENANT = "AutoWeave"
_MOST_PEOPLE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What makes an account; `checked` gives it back in its stored spelling."""

    email: str
    password: str
    name: str

    def checked(self) -> "Person":
        """Return the person as stored; raise `Invalid` on the first field that cannot be used."""
        email = normal_email(self.email)
        name = normal_name(self.name or email.partition("@")[0], field="name")
        check_password(self.password, email)
        return Person(email=email, password=self.password, name=name)


class Accounts:
    """Setup, tenants and people. Whoever makes a tenant or an administrator holds the one setup row meanwhile."""

    def __init__(self, db: Database, audit: Audit, passwords: Passwords, sessions: Sessions) -> None:
        self._db = db
        self._audit = audit
        self._passwords = passwords
        self._sessions = sessions
        self._set_up = False
        self.on_tenant_created: list[Callable[[TenantId], Awaitable[None]]] = []

    async def setup_needed(self) -> bool:
        if not self._set_up:
            async with self._db.system_read() as session:
                self._set_up = await accounts.administrator_exists(session)
        return not self._set_up

    async def issue_setup_token(self) -> str | None:
        token = secrets.token_urlsafe(32)
        async with self._db.system_write() as session:
            await accounts.lock_setup(session)
            if await accounts.administrator_exists(session):
                return None
            await accounts.store_setup_token(session, digest(token))
        return token

    async def complete_setup(self, token: str, person: Person, tenant_name: str, browser: Browser) -> SignedIn:
        await self._check_link(token)
        person = person.checked()
        tenant_name = normal_name(tenant_name, field="tenant_name")
        password_hash = await self._passwords.hash(person.password)
        async with self._db.system_write() as session:
            await accounts.lock_setup(session)
            await _check_setup(session, token)
            await accounts.store_setup_token(session, "")
            tenant = await self._add_tenant(session, tenant_name, part="setup")
            user = await self._add_user(session, system_caller(tenant, "setup"), person, Role.ADMIN, password_hash)
            signed_in = await self._sessions.open(session, user, browser)
        await self._tell(tenant)
        return signed_in

    async def create_admin(self, person: Person, tenant_name: str | None) -> UserId:
        person = person.checked()
        password_hash = await self._passwords.hash(person.password)
        async with self._db.system_write() as session:
            await accounts.lock_setup(session)
            made, tenant = await self._tenant_for(session, tenant_name)
            await accounts.store_setup_token(session, "")
            user = await self._add_user(session, system_caller(tenant, "cli"), person, Role.ADMIN, password_hash)
        if made:
            await self._tell(tenant)
        return UserId(user.id)

    async def create_tenant(self, name: str, person: Person) -> TenantId:
        person = person.checked()
        name = normal_name(name, field="name")
        password_hash = await self._passwords.hash(person.password)
        async with self._db.system_write() as session:
            await accounts.lock_setup(session)
            tenant = await self._add_tenant(session, name, part="cli")
            await accounts.store_setup_token(session, "")
            await self._add_user(session, system_caller(tenant, "cli"), person, Role.ADMIN, password_hash)
        await self._tell(tenant)
        return tenant

    async def create_user(self, caller: Caller, person: Person, role: Role) -> UserView:
        caller.require(Permission.TENANT_ADMIN)
        person = person.checked()
        password_hash = await self._passwords.hash(person.password)
        async with self._db.write(caller.tenant) as session:
            user = await self._add_user(session, caller, person, role, password_hash)
            return user_view(user, await accounts.tenant_name(session, caller.tenant))

    async def users(self, caller: Caller) -> list[UserView]:
        caller.require(Permission.TENANT_ADMIN)
        async with self._db.read(caller.tenant) as session:
            tenant = await accounts.tenant_name(session, caller.tenant)
            return [user_view(user, tenant) for user in await accounts.people(session, caller.tenant, _MOST_PEOPLE)]

    async def me(self, caller: Caller) -> UserView:
        async with self._db.read(caller.tenant) as session:
            user = await accounts.user_by_id(session, caller.tenant, caller.subject)
            if user is None:
                raise NotFound("There is no such person.")
            return user_view(user, await accounts.tenant_name(session, caller.tenant))

    async def tenants(self) -> list[TenantId]:
        async with self._db.system_read() as session:
            return [TenantId(identifier) for identifier, _ in await accounts.all_tenants(session)]

    async def tenant_named(self, name: str | None) -> TenantId:
        async with self._db.system_read() as session:
            return _pick(await accounts.all_tenants(session), name)

    async def _check_link(self, token: str) -> None:
        # Before the costly hash: a wrong link must not keep the processor busy.
        async with self._db.system_read() as session:
            await _check_setup(session, token)

    async def _tenant_for(self, session: AsyncSession, name: str | None) -> tuple[bool, TenantId]:
        known = await accounts.all_tenants(session)
        if known:
            return False, _pick(known, name) if name else TenantId(known[0][0])
        tenant_name = normal_name(name or FIRST_TENANT, field="tenant_name")
        return True, await self._add_tenant(session, tenant_name, part="cli")

    async def _add_tenant(self, session: AsyncSession, name: str, *, part: str) -> TenantId:
        if await accounts.name_taken(session, name):
            raise TenantNameTaken(f"There is a tenant {name!r} already.")
        tenant = await accounts.add_tenant(session, name)
        await self._audit.record(session, system_caller(tenant, part), "identity.tenant_created", tenant, name=name)
        return tenant

    async def _add_user(
        self, session: AsyncSession, caller: Caller, person: Person, role: Role, password_hash: str
    ) -> UserRecord:
        try:
            user = await accounts.add_user(
                session, caller.tenant, email=person.email, name=person.name, role=role, password_hash=password_hash
            )
        except IntegrityError as error:
            raise EmailTaken(f"{person.email!r} has an account already.", field="email") from error
        await self._audit.record(session, caller, "identity.user_created", user.id, email=person.email, role=role)
        return user

    async def _tell(self, tenant: TenantId) -> None:
        self._set_up = True
        for hook in self.on_tenant_created:
            try:
                await hook(tenant)
            except Exception:  # noqa: BLE001 - edge: a hook of another room must not undo the tenant
                # The tenant exists; what a hook makes is made again at the next start.
                _log.exception("new tenant not prepared", tenant=tenant)


async def _check_setup(session: AsyncSession, token: str) -> None:
    if await accounts.administrator_exists(session):
        raise SetUpAlready("AutoWeave is set up already.")
    if not await accounts.setup_token_is_good(session, digest(token)):
        raise SetupLinkInvalid("This setup link is not good any more.")


def _pick(known: Sequence[tuple[str, str]], name: str | None) -> TenantId:
    if name is None and len(known) == 1:
        return TenantId(known[0][0])
    if name is None:
        raise Invalid("Name the tenant: there is not exactly one.", field="tenant")
    for identifier, tenant in known:
        if tenant.lower() == name.strip().lower():
            return TenantId(identifier)
    raise NotFound(f"There is no tenant {name!r}.")


def user_view(user: UserRecord, tenant_name: str) -> UserView:
    """Return a person as pages read it."""
    return UserView(
        id=UserId(user.id),
        email=user.email,
        name=user.name,
        tenant=TenantId(user.tenant),
        tenant_name=tenant_name,
        role=user.role,
    )

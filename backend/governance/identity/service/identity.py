"""`Identity`: who somebody is and what he may do. The one door to this room."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable

from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.ids import TenantId, UserId
from backend.foundation.kernel.ports import Database
from backend.foundation.live.rules import sessions_channel
from backend.foundation.telemetry.logs import get_logger
from backend.governance.identity.errors import SessionEnded
from backend.governance.identity.ports import Notices
from backend.governance.identity.repository import attempts, sessions
from backend.governance.identity.rules import Role, session_value
from backend.governance.identity.service.accounts import Accounts, Person
from backend.governance.identity.service.cache import CallerCache
from backend.governance.identity.service.keys import Keys
from backend.governance.identity.service.later import Later
from backend.governance.identity.service.passwords import Passwords
from backend.governance.identity.service.sessions import Browser, Sessions, require_person
from backend.governance.identity.views import ApiKeyView, NewApiKey, SessionView, SignedIn, UserView

_log = get_logger("identity")
_TIDY_EVERY_S = 3600.0
_LISTEN_AGAIN_S = 1.0


class Identity:
    """Tenants, people, sessions and API keys.

    Args:
        db: where all of it is stored; secrets only as hashes.
        notices: tells the other processes that a session or key ended.
        audit: gets an entry for each privileged verb.
        passwords: how passwords are hashed.
    """

    def __init__(self, db: Database, notices: Notices, audit: Audit, passwords: Passwords | None = None) -> None:
        self._db = db
        self._notices = notices
        self._passwords = passwords or Passwords()
        self._cache = CallerCache()
        self._later = Later()
        self._sessions = Sessions(db, audit, self._passwords, self._cache, self._later, self._end)
        self._keys = Keys(db, audit, self._cache, self._later, self._end)
        self._accounts = Accounts(db, audit, self._passwords, self._sessions)

    @property
    def on_tenant_created(self) -> list[Callable[[TenantId], Awaitable[None]]]:
        """Called with each new tenant, after it is committed; what fails there is logged and does not undo it."""
        return self._accounts.on_tenant_created

    async def setup_needed(self) -> bool:
        """Return whether no administrator exists yet."""
        return await self._accounts.setup_needed()

    async def issue_setup_token(self) -> str | None:
        """Return a fresh setup token, good once and for 24 h, which ends the one before; ``None`` when set up."""
        return await self._accounts.issue_setup_token()

    async def complete_setup(
        self, token: str, *, email: str, password: str, name: str, tenant_name: str, client: str, address: str
    ) -> SignedIn:
        """Make the first tenant and its administrator, and sign in; one of two racing clients wins.

        Raises `SetUpAlready`, `SetupLinkInvalid`, `Invalid` (``email``, ``password``, ``name`` or ``tenant_name``).
        """
        person = Person(email=email, password=password, name=name)
        browser = Browser(client=client, address=address)
        return await self._accounts.complete_setup(token, person, tenant_name, browser)

    async def sign_in(self, email: str, password: str, *, client: str, address: str) -> SignedIn:
        """Open a session; raise `SignInFailed`, `TooManyAttempts` or `SignInBusy`."""
        return await self._sessions.sign_in(email, password, Browser(client=client, address=address))

    async def sign_out(self, caller: Caller) -> None:
        """End the session that the caller came by; a caller without one is fine."""
        await self._sessions.sign_out(caller)

    async def caller_of_session(self, cookie: str) -> Caller:
        """Return who has this session; raise `SessionEnded`. At most 5 s behind a revocation, usually at once."""
        return await self._sessions.caller_of(cookie)

    async def caller_of_cookies(self, cookie_header: str) -> Caller:
        """Return who a whole ``Cookie`` header belongs to; raise `SessionEnded` when it holds no living session."""
        cookie = session_value(cookie_header)
        if not cookie:
            raise SessionEnded("Nobody is signed in.")
        return await self._sessions.caller_of(cookie)

    async def caller_of_key(self, key: str) -> Caller:
        """Return who has this API key; raise `KeyRejected`."""
        return await self._keys.caller_of(key)

    async def me(self, caller: Caller) -> UserView:
        """Return the signed-in person; raise `Forbidden` for a key."""
        require_person(caller)
        return await self._accounts.me(caller)

    async def sessions(self, caller: Caller) -> list[SessionView]:
        """Return the caller's own living sessions, the last seen first, at most 100."""
        return await self._sessions.listed(caller)

    async def revoke_session(self, caller: Caller, session: str) -> None:
        """End a session of the caller, as an administrator anybody's of the tenant; raise `NotFound`."""
        await self._sessions.revoke(caller, session)

    async def api_keys(self, caller: Caller) -> list[ApiKeyView]:
        """Return the caller's keys, for an administrator the tenant's, newest first, at most 200; ``keys:manage``."""
        return await self._keys.listed(caller)

    async def create_api_key(
        self, caller: Caller, *, name: str, scopes: Iterable[str], expires_days: int | None
    ) -> NewApiKey:
        """Make a key with some of the caller's own permissions; needs ``keys:manage``.

        Raises `Forbidden` for a permission that the caller has not, `Invalid` (``name``, ``scopes``, ``expires_days``).
        """
        return await self._keys.create(caller, name=name, scopes=scopes, expires_days=expires_days)

    async def revoke_api_key(self, caller: Caller, key: str) -> None:
        """End a key of the caller, as an administrator any of the tenant; ``keys:manage``; raise `NotFound`."""
        await self._keys.revoke(caller, key)

    async def users(self, caller: Caller) -> list[UserView]:
        """Return the tenant's people by e-mail, at most 500; needs ``tenant:admin``."""
        return await self._accounts.users(caller)

    async def create_user(self, caller: Caller, *, email: str, password: str, name: str, role: Role) -> UserView:
        """Add a person to the caller's tenant; needs ``tenant:admin``; raise `EmailTaken` or `Invalid`."""
        return await self._accounts.create_user(caller, Person(email=email, password=password, name=name), role)

    async def create_admin(
        self, email: str, password: str, *, name: str = "", tenant_name: str | None = None
    ) -> UserId:
        """Command line: add an administrator to the first (or the named) tenant, which is made when there is none."""
        return await self._accounts.create_admin(Person(email=email, password=password, name=name), tenant_name)

    async def create_tenant(self, name: str, admin_email: str, password: str) -> TenantId:
        """Command line: make a tenant and its administrator; raise `TenantNameTaken`, `EmailTaken` or `Invalid`."""
        return await self._accounts.create_tenant(name, Person(email=admin_email, password=password, name=""))

    async def create_key_for(
        self, tenant_name: str | None, name: str, scopes: Iterable[str], expires_days: int | None = None
    ) -> NewApiKey:
        """Command line: make a key for a tenant (``None`` where there is only one)."""
        tenant = await self.tenant_named(tenant_name)
        return await self._keys.create_for(tenant, name=name, scopes=scopes, expires_days=expires_days)

    async def tenant_named(self, name: str | None) -> TenantId:
        """Command line: return the tenant of a name, or the only one for ``None``; raise `NotFound` or `Invalid`."""
        return await self._accounts.tenant_named(name)

    async def tenants(self) -> list[TenantId]:
        """Return every tenant, the oldest first: only for the parts that serve all of them."""
        return await self._accounts.tenants()

    async def run(self) -> None:
        """Hear of ended sessions and keys, and delete what is long over, until cancelled: one task a process."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_again_and_again(self._listen, _LISTEN_AGAIN_S))
            tasks.create_task(_again_and_again(self._tidy, _TIDY_EVERY_S))

    async def close(self) -> None:
        """Wait for small writes at work and give the threads back."""
        await self._later.close()
        self._passwords.close()

    def _end(self, owner: str) -> None:
        self._cache.drop(owner)
        self._notices.notify_soon(sessions_channel(), owner.encode())

    async def _listen(self) -> None:
        async with self._notices.listen(sessions_channel()) as notices:
            # What was told while nobody listened is forgotten with the rest.
            self._cache.drop("")
            async for notice in notices:
                self._cache.drop(notice.payload.decode(errors="replace"))

    async def _tidy(self) -> None:
        async with self._db.system_write() as session:
            await sessions.forget_ended(session)
            await attempts.forget_old(session)


async def _again_and_again(work: Callable[[], Awaitable[None]], pause_s: float) -> None:
    while True:
        try:
            await work()
        except Unavailable as error:
            _log.info("background work waits", reason=error.message)
        except Exception:  # noqa: BLE001 - edge of a process loop: what failed once is tried again
            _log.exception("background work failed")
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - only spreads load

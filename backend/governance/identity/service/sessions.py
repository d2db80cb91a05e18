"""Signing in and out, and who a cookie belongs to."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden, Invalid, NotFound
from backend.foundation.kernel.ids import SessionId, TenantId
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.work import after_commit
from backend.governance.identity.errors import SessionEnded, SignInFailed
from backend.governance.identity.models import SessionRecord, UserRecord
from backend.governance.identity.repository import accounts
from backend.governance.identity.repository import sessions as rows
from backend.governance.identity.rules import LONGEST_PASSWORD, MINUTE_MS, digest, normal_email, permissions_of
from backend.governance.identity.service.cache import CallerCache
from backend.governance.identity.service.later import Later
from backend.governance.identity.service.limits import SignInLimit
from backend.governance.identity.service.passwords import Passwords
from backend.governance.identity.views import SessionView, SignedIn

_MOST_LISTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Where a sign-in comes from: the User-Agent header and the peer's address."""

    client: str
    address: str


class Sessions:
    """Server-side sessions: 30 days at most, 7 days unused, over at once when revoked."""

    def __init__(
        self,
        db: Database,
        audit: Audit,
        passwords: Passwords,
        cache: CallerCache,
        later: Later,
        ended: Callable[[str], None],
    ) -> None:
        self._db = db
        self._audit = audit
        self._passwords = passwords
        self._limit = SignInLimit(db)
        self._cache = cache
        self._later = later
        self._ended = ended

    async def sign_in(self, email: str, password: str, browser: Browser) -> SignedIn:
        address = _address_of(email)
        at_ms = await self._limit.admit(address, browser.address)
        async with self._db.system_read() as session:
            user = await accounts.user_by_email(session, address)
        # As much work for an e-mail that nobody has, and for a password that is too long to be one.
        fits = await self._passwords.check(password[: LONGEST_PASSWORD + 1], user.password_hash if user else None)
        if user is None or not fits:
            if user is not None:
                self._later.run(self._note_failure(user, browser))
            raise SignInFailed("E-mail or password is wrong.")
        await self._limit.forgive(address, browser.address, at_ms)
        return await self._admit(user, password, browser)

    async def open(self, session: AsyncSession, user: UserRecord, browser: Browser) -> SignedIn:
        cookie = secrets.token_urlsafe(32)
        identifier, expires_ms = await rows.add_session(
            session, user, token_hash=digest(cookie), client=browser.client, address=browser.address
        )
        caller = _caller(identifier, user.tenant, user.id, user.role)
        await self._audit.record(session, caller, "identity.signed_in", identifier, address=browser.address)
        return SignedIn(cookie=cookie, expires_ms=expires_ms, caller=caller)

    async def caller_of(self, cookie: str) -> Caller:
        secret_hash = digest(cookie)
        known = self._cache.find(secret_hash)
        if known is not None:
            return known
        generation = self._cache.generation
        async with self._db.system_read() as session:
            found = await rows.session_by_hash(session, secret_hash)
        if found is None:
            raise SessionEnded("The session is over.")
        if found.unseen_ms > MINUTE_MS:
            self._later.run(self._note_seen(found.id))
        caller = _caller(found.id, found.tenant, found.user, found.role)
        self._cache.keep(secret_hash, caller, generation)
        return caller

    async def sign_out(self, caller: Caller) -> None:
        if caller.session is not None:
            await self._end(caller, caller.session, user=caller.subject, action="identity.signed_out")

    async def revoke(self, caller: Caller, identifier: str) -> None:
        require_person(caller)
        owner = None if caller.may(Permission.TENANT_ADMIN) else caller.subject
        if not await self._end(caller, identifier, user=owner, action="identity.session_revoked"):
            raise NotFound("There is no such session.")

    async def listed(self, caller: Caller) -> list[SessionView]:
        require_person(caller)
        async with self._db.read(caller.tenant) as session:
            found = await rows.sessions_of(session, caller.tenant, caller.subject, _MOST_LISTED)
        return [_view(row, caller) for row in found]

    async def _end(self, caller: Caller, identifier: str, *, user: str | None, action: str) -> bool:
        async with self._db.write(caller.tenant) as session:
            if not await rows.end_session(session, caller.tenant, identifier, user=user):
                return False
            await self._audit.record(session, caller, action, identifier)
            after_commit(session, partial(self._ended, identifier))
        return True

    async def _admit(self, user: UserRecord, password: str, browser: Browser) -> SignedIn:
        renewed = await self._passwords.hash(password) if self._passwords.outdated(user.password_hash) else ""
        async with self._db.system_write() as session:
            if renewed:
                await accounts.replace_hash(session, user.id, renewed)
            return await self.open(session, user, browser)

    async def _note_failure(self, user: UserRecord, browser: Browser) -> None:
        caller = Caller(tenant=TenantId(user.tenant), subject=user.id)
        async with self._db.write(caller.tenant) as session:
            await self._audit.record(session, caller, "identity.sign_in_failed", user.id, address=browser.address)

    async def _note_seen(self, identifier: str) -> None:
        async with self._db.system_write() as session:
            await rows.mark_seen(session, [identifier])


def require_person(caller: Caller) -> None:
    """Raise `Forbidden` unless a signed-in person asks: an API key must not manage sessions or make keys."""
    if caller.kind != "user":
        raise Forbidden("Only a signed-in person may do this.", hint="Sign in and do it on the Account page.")


def _address_of(email: str) -> str:
    try:
        return normal_email(email)
    except Invalid:
        # Nobody has it; the attempt costs and counts like any other.
        return email[:254]


def _caller(session: str, tenant: str, user: str, role: str) -> Caller:
    return Caller(tenant=TenantId(tenant), subject=user, permissions=permissions_of(role), kind="user", session=session)


def _view(row: SessionRecord, caller: Caller) -> SessionView:
    return SessionView(
        id=SessionId(row.id),
        client=row.client,
        address=row.address,
        created_ms=row.created_ms,
        seen_ms=row.seen_ms,
        current=row.id == caller.session,
    )

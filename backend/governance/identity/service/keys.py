"""API keys: made by a person or on the command line, used by programs."""

import hmac
import secrets
from collections.abc import Callable, Iterable
from functools import partial

from backend.foundation.audit.service import Audit
from backend.foundation.kernel.caller import Caller, Permission, system_caller
from backend.foundation.kernel.errors import Forbidden, NotFound
from backend.foundation.kernel.ids import ApiKeyId, TenantId, new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.work import after_commit
from backend.governance.identity.errors import KeyRejected
from backend.governance.identity.models import ApiKeyRecord
from backend.governance.identity.repository import keys as rows
from backend.governance.identity.rules import (
    MINUTE_MS,
    check_expiry,
    digest,
    format_key,
    key_id,
    known_permissions,
    normal_name,
    parse_scopes,
    permissions_of,
)
from backend.governance.identity.service.cache import CallerCache
from backend.governance.identity.service.later import Later
from backend.governance.identity.service.sessions import require_person
from backend.governance.identity.views import ApiKeyView, NewApiKey

_MOST_LISTED = 200
_SHOWN = 15


class Keys:
    """Keys ``aw_<id>_<secret>``: a key may do what both its scopes and its maker's role allow, until it ends."""

    def __init__(
        self, db: Database, audit: Audit, cache: CallerCache, later: Later, ended: Callable[[str], None]
    ) -> None:
        self._db = db
        self._audit = audit
        self._cache = cache
        self._later = later
        self._ended = ended

    async def caller_of(self, key: str) -> Caller:
        secret_hash = digest(key)
        known = self._cache.find(secret_hash)
        if known is not None:
            return known
        identifier = key_id(key)
        if identifier is None:
            raise KeyRejected("The API key is not good.")
        generation = self._cache.generation
        caller = await self._look_up(identifier, secret_hash)
        self._cache.keep(secret_hash, caller, generation)
        return caller

    async def listed(self, caller: Caller) -> list[ApiKeyView]:
        caller.require(Permission.KEYS_MANAGE)
        async with self._db.read(caller.tenant) as session:
            found = await rows.keys_of(session, caller.tenant, user=_owner(caller), limit=_MOST_LISTED)
        return [_view(row) for row in found]

    async def create(self, caller: Caller, *, name: str, scopes: Iterable[str], expires_days: int | None) -> NewApiKey:
        caller.require(Permission.KEYS_MANAGE)
        require_person(caller)
        wanted = parse_scopes(scopes)
        missing = sorted(wanted - caller.permissions)
        if missing:
            raise Forbidden(f"You cannot give the permission {missing[0].value!r}, which you do not have.")
        return await self._make(caller, caller.subject, name=name, scopes=wanted, expires_days=expires_days)

    async def create_for(
        self, tenant: TenantId, *, name: str, scopes: Iterable[str], expires_days: int | None
    ) -> NewApiKey:
        caller = system_caller(tenant, "cli")
        return await self._make(caller, "", name=name, scopes=parse_scopes(scopes), expires_days=expires_days)

    async def revoke(self, caller: Caller, identifier: str) -> None:
        caller.require(Permission.KEYS_MANAGE)
        require_person(caller)
        async with self._db.write(caller.tenant) as session:
            if not await rows.end_key(session, caller.tenant, identifier, user=_owner(caller)):
                raise NotFound("There is no such API key.")
            await self._audit.record(session, caller, "identity.key_revoked", identifier)
            after_commit(session, partial(self._ended, identifier))

    async def _make(
        self, caller: Caller, user: str, *, name: str, scopes: frozenset[Permission], expires_days: int | None
    ) -> NewApiKey:
        identifier = new_id("key")
        key = format_key(identifier, secrets.token_hex(32))
        ordered = sorted(scope.value for scope in scopes)
        name, life_ms = normal_name(name, field="name"), check_expiry(expires_days)
        async with self._db.write(caller.tenant) as session:
            row = await rows.add_key(
                session,
                identifier=identifier,
                tenant=caller.tenant,
                user=user,
                name=name,
                start=key[:_SHOWN],
                secret_hash=digest(key),
                scopes=ordered,
                life_ms=life_ms,
            )
            await self._audit.record(session, caller, "identity.key_created", identifier, name=name, scopes=ordered)
        return NewApiKey(view=_view(row), secret=key)

    async def _look_up(self, identifier: str, given_hash: str) -> Caller:
        async with self._db.system_read() as session:
            found = await rows.key_by_id(session, identifier)
        if found is None or not hmac.compare_digest(found.secret_hash, given_hash):
            raise KeyRejected("The API key is not good.")
        if found.unused_ms > MINUTE_MS:
            self._later.run(self._note_used(identifier))
        permissions = known_permissions(found.scopes)
        if found.user:
            permissions &= permissions_of(found.role)
        return Caller(tenant=TenantId(found.tenant), subject=identifier, permissions=permissions, kind="key")

    async def _note_used(self, identifier: str) -> None:
        async with self._db.system_write() as session:
            await rows.mark_used(session, [identifier])


def _owner(caller: Caller) -> str | None:
    return None if caller.may(Permission.TENANT_ADMIN) else caller.subject


def _view(row: ApiKeyRecord) -> ApiKeyView:
    return ApiKeyView(
        id=ApiKeyId(row.id),
        name=row.name,
        start=row.start,
        scopes=tuple(row.scopes),
        created_ms=row.created_ms,
        used_ms=row.used_ms,
        expires_ms=row.expires_ms,
    )

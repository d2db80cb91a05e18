"""API keys: made, shown once, revoked."""

from typing import Any

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Invalid
from backend.foundation.kernel.ids import ApiKeyId
from backend.governance.identity.views import ApiKeyView
from state.session import caller_of

EXPIRY = {"30": 30, "90": 90, "365": 365, "never": None}
SCOPE = "scope:"
"""A form names the box of a permission with this before it."""


class KeysState(rx.State):
    """The keys, the dialog that makes one (``making`` is empty, ``form`` or ``made``), and the one to revoke."""

    loaded: bool = False
    keys: rx.Field[list[ApiKeyView]] = rx.field(default_factory=list)
    scopes: rx.Field[list[str]] = rx.field(default_factory=list)
    making: str = ""
    secret: str = ""
    error: str = ""
    error_field: str = ""
    revoking: str = ""
    revoking_name: str = ""

    @rx.event
    async def load(self):
        """Load the keys."""
        caller = await caller_of(self)
        self.scopes = sorted(permission.value for permission in Permission if caller.may(permission))
        await self._fetch()

    @rx.event
    def start(self):
        """Open the form."""
        self.making, self.secret, self.error, self.error_field = "form", "", "", ""

    @rx.event
    def finish(self):
        """Close the dialog and forget the secret."""
        self.making = self.secret = ""

    @rx.event
    async def create(self, form: dict[str, Any]):
        """Make a key of what the form says; what is wrong with a field stands at the field."""
        caller = await caller_of(self)
        scopes = [name.removeprefix(SCOPE) for name in form if name.startswith(SCOPE)]
        try:
            new = await current().identity.create_api_key(
                caller,
                name=str(form.get("key_name", "")),
                scopes=scopes,
                expires_days=EXPIRY.get(str(form.get("expires", "")), EXPIRY["90"]),
            )
        except Invalid as error:
            self.error, self.error_field = error.message, error.field or "name"
            return
        self.secret, self.making, self.error = new.secret, "made", ""
        await self._fetch()

    @rx.event
    def ask_revoke(self, key: str, name: str):
        """Ask before a key is revoked."""
        self.revoking, self.revoking_name = key, name

    @rx.event
    def keep(self):
        """Do not revoke it."""
        self.revoking = self.revoking_name = ""

    @rx.event
    async def revoke(self):
        """Revoke the key that was asked about."""
        await current().identity.revoke_api_key(await caller_of(self), ApiKeyId(self.revoking))
        self.revoking = self.revoking_name = ""
        await self._fetch()

    async def _fetch(self) -> None:
        self.keys = await current().identity.api_keys(await caller_of(self))
        self.loaded = True

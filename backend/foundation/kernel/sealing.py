"""`Sealer`: secrets that must be read again, such as those that sign, stored so that rows alone tell nothing."""

import base64
import binascii
import os
from collections.abc import Callable
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.foundation.kernel.errors import Conflict

_NONCE = 12
_FORM = "s1."
"""Begins what is sealed, so that another form can be told from it."""


class SealBroken(Conflict):
    """What was sealed with another key, for another place, or by another hand."""

    code = "seal_broken"
    hint = "Give each process the AUTOWEAVE_SECRET_KEY under which it was stored, or make the secret anew."


class Sealer:
    """AES-256-GCM under a key of its own for each purpose.

    Args:
        secret: returns that of the installation, at least 32 bytes; asked when it is first needed.
        purpose: what is sealed, such as ``webhooks``: another purpose cannot read it.
    """

    def __init__(self, secret: Callable[[], bytes], purpose: str) -> None:
        self._secret = secret
        self._purpose = purpose

    @cached_property
    def _cipher(self) -> AESGCM:
        derived = HKDF(SHA256(), length=32, salt=None, info=f"autoweave;{self._purpose}".encode())
        return AESGCM(derived.derive(self._secret()))

    def seal(self, text: str, place: str) -> str:
        """Return the text unreadable; ``place`` names the row it is for, and it can be read nowhere else."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, text.encode(), place.encode())
        return _FORM + base64.b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str, place: str) -> str:
        """Return the text again; raise `SealBroken`."""
        try:
            data = base64.b64decode(sealed.removeprefix(_FORM), validate=True)
            return self._cipher.decrypt(data[:_NONCE], data[_NONCE:], place.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealBroken("A stored secret cannot be read: it was sealed under another key.") from error

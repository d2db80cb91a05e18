"""The key that signs a tenant's cards: Ed25519, made from the installation's secret whenever it is needed.

Signatures are JSON Web Signatures (RFC 7515) with ``EdDSA`` (RFC 8037), over the canonical form (RFC 8785) of a JSON
object, as A2A 1.0 asks for cards. The private key is stored nowhere.
"""

import base64
import binascii
import hashlib
from typing import Any

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_ALGORITHM = "EdDSA"
_LONGEST_HEADER = 2_000


class _Header(msgspec.Struct):
    alg: str
    kid: str
    crit: list[str] = []


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """A public key as RFC 7517 writes it."""

    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = _ALGORITHM
    kid: str
    x: str


class TenantKey:
    """Signs and verifies for one tenant.

    Args:
        secret: of the installation.
        tenant: whose key it is; another tenant's cannot be computed from it.
        address: where the public key is told, for the header ``jku``.
    """

    def __init__(self, secret: bytes, tenant: str, address: str) -> None:
        derived = HKDF(SHA256(), length=32, salt=None, info=f"autoweave;cards;{tenant}".encode())
        self._private = Ed25519PrivateKey.from_private_bytes(derived.derive(secret))
        self._public = self._private.public_key()
        x = _encoded(self._public.public_bytes_raw())
        thumb = rfc8785.dumps({"crv": "Ed25519", "kty": "OKP", "x": x})
        self.kid = _encoded(hashlib.sha256(thumb).digest())
        """The key's thumbprint (RFC 7638)."""
        self.jwk = Jwk(kid=self.kid, x=x)
        self._header = {"alg": _ALGORITHM, "jku": address, "kid": self.kid, "typ": "JOSE"}

    def sign(self, content: dict[str, Any]) -> tuple[str, str]:
        """Return the protected header and the signature of a JSON object, both as base64url."""
        protected = _encoded(rfc8785.dumps(self._header))
        signature = self._private.sign(_signed(protected, rfc8785.dumps(content)))
        return protected, _encoded(signature)

    def compact(self, content: dict[str, Any]) -> str:
        """Return a JSON object and its signature as one text, as JWS writes it: header, content, signature."""
        protected, signature = self.sign(content)
        return f"{protected}.{_encoded(rfc8785.dumps(content))}.{signature}"

    def knows(self, protected: str) -> bool:
        """Return whether a protected header names this key and nothing that is not understood."""
        if len(protected) > _LONGEST_HEADER:
            return False
        try:
            header = msgspec.json.decode(_decoded(protected), type=_Header)
        except (binascii.Error, ValueError, RecursionError):
            return False
        return header.alg == _ALGORITHM and header.kid == self.kid and not header.crit

    def verifies(self, protected: str, signature: str, content: dict[str, Any]) -> bool:
        """Return whether this key signed the object under this header; who asks has asked `knows` before."""
        try:
            self._public.verify(_decoded(signature), _signed(protected, rfc8785.dumps(content)))
        except (InvalidSignature, binascii.Error, ValueError, RecursionError):
            return False
        return True


def _signed(protected: str, canonical: bytes) -> bytes:
    return f"{protected}.{_encoded(canonical)}".encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encoded(data) != text:
        raise ValueError("base64url has one spelling.")
    return data

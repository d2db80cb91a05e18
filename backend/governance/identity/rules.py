"""Pure decisions of identity: roles, names, e-mails, passwords, keys, cookies and limits."""

import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum

from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Invalid

SESSION_COOKIE = "aw_session"
SECURE_SESSION_COOKIE = "__Host-aw_session"
"""The name behind TLS: a browser takes it only with Secure, Path=/ and without Domain."""

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
SESSION_MS = 30 * DAY_MS
IDLE_MS = 7 * DAY_MS
SETUP_MS = DAY_MS

ATTEMPT_WINDOW_MS = 15 * MINUTE_MS
ATTEMPTS_PER_EMAIL = 10
ATTEMPTS_PER_ADDRESS = 30

LONGEST_NAME = 100
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024
_FEWEST_CHARACTERS = 5
_LONGEST_KEY_DAYS = 3650
_KEY = re.compile(r"aw_([0-9a-hjkmnp-tv-z]{26})_[0-9a-f]{64}")
_EMAIL = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}@[^\s@<>()\[\]\\,;:\"]{1,189}")
_COMMON_PASSWORDS = frozenset(
    {
        "password1234", "passwordpassword", "123456789012", "1234567890123", "qwertyuiop12", "qwertyuiopasdf",
        "administrator", "administrator1", "letmeinletmein", "iloveyou1234", "changeme1234", "changemechangeme",
        "welcome12345", "adminadminadmin", "autoweave1234", "autoweaveautoweave", "correcthorsebatterystaple",
        "abcdefghijkl", "qwerty123456", "trustno1trustno1",
    }
)  # fmt: skip


class Role(StrEnum):
    """What a person is in a tenant."""

    ADMIN = "admin"
    BUILDER = "builder"
    MEMBER = "member"


_MEMBER = frozenset({Permission.CHAT_USE, Permission.AGENTS_READ, Permission.AGENTS_RUN, Permission.TOOLS_READ})
_BUILDER = _MEMBER | {
    Permission.AGENTS_MANAGE,
    Permission.TOOLS_RUN,
    Permission.EVENTS_PUBLISH,
    Permission.HEALTH_READ,
    Permission.TRACES_READ,
    Permission.KEYS_MANAGE,
}
_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.BUILDER: _BUILDER,
    Role.MEMBER: _MEMBER,
}


def permissions_of(role: str) -> frozenset[Permission]:
    """Return what a role may do; a role that is not known may do nothing."""
    return _PERMISSIONS.get(Role(role), frozenset()) if role in set(Role) else frozenset()


def known_permissions(scopes: Iterable[str]) -> frozenset[Permission]:
    """Return the permissions among stored scopes; one that no longer exists is dropped."""
    known = {permission.value: permission for permission in Permission}
    return frozenset(known[scope] for scope in scopes if scope in known)


def parse_scopes(scopes: Iterable[str]) -> frozenset[Permission]:
    """Return the permissions named; raise `Invalid` for none at all or one that does not exist."""
    wanted = list(scopes)
    found = known_permissions(wanted)
    unknown = sorted(set(wanted) - found)
    if unknown:
        raise Invalid(f"There is no permission {unknown[0]!r}.", field="scopes")
    if not found:
        raise Invalid("A key needs at least one permission.", field="scopes")
    return found


def normal_email(text: str) -> str:
    """Return the one spelling under which an e-mail is stored and looked up; raise `Invalid` when it is none."""
    email = unicodedata.normalize("NFKC", text).strip().lower()
    if len(email) > 254 or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise Invalid("Enter a complete e-mail, such as name@example.org.", field="email")
    return email


def check_password(password: str, email: str) -> None:
    """Raise `Invalid` on ``password`` unless it is 12 to 1,024 characters, hard to guess and not the e-mail."""
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(f"Use at least {SHORTEST_PASSWORD} characters.", field="password")
    if len(password) > LONGEST_PASSWORD:
        raise Invalid(f"Use at most {LONGEST_PASSWORD} characters.", field="password")
    folded = password.casefold().strip()
    if folded in (email, email.partition("@")[0]):
        raise Invalid("The password must not be the e-mail.", field="password")
    if folded in _COMMON_PASSWORDS or len(set(folded)) < _FEWEST_CHARACTERS:
        raise Invalid("This password is too easy to guess.", field="password")


def normal_name(text: str, *, field: str) -> str:
    """Return a name without outer or double blanks; raise `Invalid` unless it has 1 to 100 characters."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"Enter a name of 1 to {LONGEST_NAME} characters.", field=field)
    return name


def check_expiry(expires_days: int | None) -> int:
    """Return a key's life in milliseconds, 0 for no end; raise `Invalid` unless it is 1 day to 10 years."""
    if expires_days is None:
        return 0
    if not 1 <= expires_days <= _LONGEST_KEY_DAYS:
        raise Invalid(f"A key lives 1 to {_LONGEST_KEY_DAYS} days, or without an end.", field="expires_days")
    return expires_days * DAY_MS


def digest(secret: str) -> str:
    """Return the SHA-256 under which a random 256-bit secret is stored (a slow hash is for what people choose)."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def format_key(key_id: str, secret: str) -> str:
    """Return ``aw_<id>_<secret>`` from an id ``key_<26 characters>`` and 64 hexadecimal digits."""
    return f"aw_{key_id.removeprefix('key_')}_{secret}"


def key_id(key: str) -> str | None:
    """Return the id inside an API key, or nothing when it does not look like one."""
    match = _KEY.fullmatch(key)
    return f"key_{match[1]}" if match else None


def session_value(cookie_header: str) -> str:
    """Return the session's secret out of a ``Cookie`` header, the one set behind TLS first; empty without one."""
    pairs = (part.strip().partition("=") for part in cookie_header.split(";"))
    cookies = {name: value for name, _, value in pairs}
    return cookies.get(SECURE_SESSION_COOKIE) or cookies.get(SESSION_COOKIE, "")


def attempt_subjects(email: str, address: str) -> dict[str, int]:
    """Return what a sign-in counts against and how many each may try in the window; e-mails stand as hashes."""
    return {
        f"address:{network_of(address)}": ATTEMPTS_PER_ADDRESS,
        f"email:{digest(email)}": ATTEMPTS_PER_EMAIL,
    }


def network_of(address: str) -> str:
    """Return the address, of IPv6 the /64 network (one household has all of it); what is no address as it stands."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def wait_ms(times: Iterable[int], limit: int, now: int) -> int:
    """Return how long to wait until one more attempt fits into the moving window, 0 when it fits now."""
    recent = sorted(time for time in times if time > now - ATTEMPT_WINDOW_MS)
    return 0 if len(recent) < limit else recent[len(recent) - limit] + ATTEMPT_WINDOW_MS - now

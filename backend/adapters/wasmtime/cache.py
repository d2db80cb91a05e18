"""Compiled code on disk: bounded, and authenticated before anybody runs it.

wasmtime takes whatever bytes it is given for native code, so a file counts only with a code of this installation's key
over its name and content. The key stays in this process: no child sees it, and only the process that compiled writes.
"""

import contextlib
import hashlib
import hmac
import logging
import os
import platform
import secrets
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from backend.adapters.wasmtime.revision import ENGINE_REVISION

_log = logging.getLogger(__name__)
_MAC = 32
_KEY = 32


class CodeCache:
    """Native code by the digest of its module. All methods block for a file; call them in a thread.

    Args:
        folder: where the files lie; made with access for this user alone.
        key: a file with the key; made when it is missing or no key.
        bytes_max: the least recently used files beyond this sum are deleted.
    """

    def __init__(self, folder: Path, key: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = _key(key)
        tag = f"{version('wasmtime')}-{ENGINE_REVISION}-{platform.machine()}"
        self._suffix = f".{hashlib.sha256(tag.encode()).hexdigest()[:12]}.native"

    def get(self, sha256: str) -> bytes | None:
        """Return the code, or ``None`` for none; a file that fails its check is deleted."""
        path = self._path(sha256)
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("compiled code %s cannot be read: %s", path.name, error)
            return None
        code = stored[_MAC:]
        if not hmac.compare_digest(stored[:_MAC], self._mac(path.name, code)):
            _log.warning("compiled code %s failed its check and is thrown away", path.name)
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        return code

    def put(self, sha256: str, code: bytes) -> None:
        """Store the code; a full disk or a folder without access costs the cache, not the call."""
        path = self._path(sha256)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            with _private(part) as file:
                file.write(self._mac(path.name, code))
                file.write(code)
            part.replace(path)
            self._evict()
        except OSError as error:
            _log.warning("compiled code %s cannot be stored: %s", path.name, error)
            part.unlink(missing_ok=True)

    def discard(self, sha256: str) -> None:
        """Forget the code, such as that of another processor."""
        self._path(sha256).unlink(missing_ok=True)

    def _evict(self) -> None:
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        total = 0
        for _, size, path in sorted(found, reverse=True):
            total += size
            if total > self._bytes_max:
                path.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}{self._suffix}"

    def _mac(self, name: str, code: bytes) -> bytes:
        code_of = hmac.new(self._key, name.encode() + b"\0", hashlib.sha256)
        code_of.update(code)
        return code_of.digest()


def _key(path: Path) -> bytes:
    """Return the key of a file; make the file where there is none, once however many processes do so."""
    try:
        path.chmod(0o600)
        key = path.read_bytes()
    except FileNotFoundError:
        key = None
    if key is not None and len(key) == _KEY:
        return key
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with _private(made) as file:
        file.write(secrets.token_bytes(_KEY))
    if key is not None:
        made.replace(path)
        return path.read_bytes()
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(made)
    made.unlink()
    return path.read_bytes()


def _private(path: Path) -> BinaryIO:
    """Make a new file for this user alone, whatever the process's mask is."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

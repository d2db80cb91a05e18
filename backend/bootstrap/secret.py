"""The installation's own secret: from the settings, or made once in the data folder."""

import contextlib
import os
import secrets
from pathlib import Path

from backend.bootstrap.settings import Settings
from backend.foundation.kernel.errors import Unavailable

_BYTES = 32
_NAME = "secret.key"


def secret_of(settings: Settings) -> bytes:
    """Return the secret from which all keys are derived; a file that is not there is made, for this user alone."""
    if settings.secret_key:
        return settings.secret_key.encode()
    path = settings.data / _NAME
    try:
        if not path.exists():
            _make(path)
        path.chmod(0o600)
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            f"The key that seals stored secrets can neither be read nor made: {error.strerror}.",
            hint="Set AUTOWEAVE_SECRET_KEY, or let the process write to its data folder.",
        ) from error


def _make(path: Path) -> None:
    """Write a whole file first and give it its name then: of processes that do so at once, one is the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_hex(_BYTES).encode())
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(made)
    made.unlink()

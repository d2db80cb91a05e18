"""Code from the database, checked against its SHA-256 whenever it is loaded."""

import hashlib
from collections import OrderedDict

from backend.domain.tools import repository
from backend.domain.tools.errors import DataCorruption, IntegrityViolation
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database

_BYTES_MAX = 32 * 1024 * 1024


class Codes:
    """Loads code and keeps what it has checked, up to 32 MiB; content-addressed, so nothing kept can be outdated."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0

    async def load(self, tenant: TenantId, tool: str, sha256: str) -> bytes:
        """Return the code of a tool.

        Raises:
            DataCorruption: there is none.
            IntegrityViolation: what is stored has another SHA-256.
        """
        key = (tenant, sha256)
        if (code := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return code
        async with self._db.read(tenant) as session:
            code = await repository.code(session, tenant, sha256)
        if code is None:
            raise DataCorruption(f"The code of the tool {tool!r} is missing.")
        if hashlib.sha256(code).hexdigest() != sha256:
            raise IntegrityViolation(f"The stored code of the tool {tool!r} is not the code that was installed.")
        self._keep(key, code)
        return code

    def _keep(self, key: tuple[str, str], code: bytes) -> None:
        if key not in self._kept:
            self._kept[key] = code
            self._size += len(code)
        while self._size > _BYTES_MAX:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)

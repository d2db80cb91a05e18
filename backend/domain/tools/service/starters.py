"""The tools that AutoWeave brings along, read from the package."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backend.domain.tools.errors import IntegrityViolation
from backend.domain.tools.rules.manifest import Manifest, parse_manifest

_FOLDER = Path(__file__).resolve().parent.parent / "starter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A tool before it is installed; ``sha256`` is computed from ``code``."""

    manifest: Manifest
    code: bytes
    sha256: str


@cache
def starters() -> tuple[Package, ...]:
    """Return the starter tools by name: each folder with a manifest is one."""
    return tuple(read_package(manifest.parent) for manifest in sorted(_FOLDER.glob("*/tool.toml")))


def read_package(folder: Path) -> Package:
    """Read ``tool.toml`` and its module.

    Raises:
        ManifestInvalid: see `parse_manifest`.
        IntegrityViolation: the module is not the one whose SHA-256 the manifest gives.
    """
    manifest = parse_manifest((folder / "tool.toml").read_text(encoding="utf-8"))
    code = (folder / manifest.wasm).read_bytes()
    sha256 = hashlib.sha256(code).hexdigest()
    if manifest.sha256 not in ("", sha256):
        raise IntegrityViolation(
            f"The module {manifest.wasm!r} is not the one that tool.toml of {manifest.id!r} names."
        )
    return Package(manifest=manifest, code=code, sha256=sha256)

"""Writes a project into a folder: never outside it, never through a link, never over what a person wrote.

What was generated stands in a manifest with its digest. A file whose digest is another one was changed by hand: it
stays, and the new version is put beside it. What is about to be written stands there before it is, so that nothing is
taken for a person's work when the process is killed between.
"""

import fcntl
import hashlib
import json
import os
import re
import stat
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from backend.cli.kit.project import File
from backend.foundation.kernel.errors import Invalid

MANIFEST = ".autoweave-kit.json"
BESIDE = ".new"
PART = ".autoweave-kit.part"
_MOST_BYTES = 8 * 1024 * 1024
_MOST_ENTRIES = 5000
_PATH = re.compile(r"[A-Za-z0-9_.-]{1,120}(?:/[A-Za-z0-9_.-]{1,120}){0,8}")


class UnsafeOutput(Invalid):
    """The folder cannot be written to safely."""

    code = "kit_output_unsafe"
    hint = "Give a folder of its own with --output, without symbolic links in it."


@dataclass(slots=True)
class Outcome:
    """What was done, or would be; paths with slashes.

    Attributes:
        kept: generated files that were changed by hand, so that the new version lies beside them.
        left: files that are not generated any more, but were changed by hand or belong to the person.
    """

    written: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])

    @property
    def changes(self) -> bool:
        """Whether anything is not as the spec says."""
        return bool(self.written or self.removed or self.kept)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the manifest says: digests by path, those that were being written last, and the files of the person."""

    files: Mapping[str, str]
    next: Mapping[str, str]
    yours: Sequence[str]

    def is_ours(self, path: str, data: bytes) -> bool:
        """Return whether a file is as it was generated."""
        return _digest(data) in (self.files.get(path), self.next.get(path))


def write(files: Mapping[str, File], folder: Path, *, dry: bool = False) -> Outcome:
    """Bring a folder in line with a project; only say what would be done when it is ``dry``.

    Raises:
        UnsafeOutput: the folder, or what lies in it, is not what it has to be. Nothing was written.
    """
    with _opened(folder, dry=dry) as root:
        if root is None:
            return Outcome(written=list(files))
        if not dry:
            _alone(root, folder)
        known = _manifest(root)
        outcome, texts = _decide(files, known, root)
        if not dry:
            _carry_out(root, files, known, outcome, texts)
        return outcome


def _alone(root: int, folder: Path) -> None:
    """Keep others out until the folder is closed, and clear away what one that was killed left half written."""
    try:
        fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UnsafeOutput(f"Another command writes to {folder}.", hint="Wait for its end, and try again.") from None
    with suppress(FileNotFoundError):
        os.unlink(PART, dir_fd=root)


def _carry_out(root: int, files: Mapping[str, File], known: _Known, outcome: Outcome, texts: Mapping[str, str]) -> None:
    digests = {path: _digest(file.text.encode()) for path, file in files.items() if not file.yours}
    kept = {path: known.files.get(path, "") for path in outcome.kept}
    left = {path: known.files[path] for path in outcome.left if path in known.files}
    yours = {path for path, file in files.items() if file.yours} | (set(outcome.left) - left.keys())
    _put_manifest(root, _Known(known.files, digests, sorted({*known.yours, *yours})))
    for path, text in texts.items():
        _put(root, path, text.encode())
    for path in outcome.removed:
        _remove(root, path)
    _put_manifest(root, _Known(digests | kept | left, {}, sorted(yours)))


def _put_manifest(root: int, known: _Known) -> None:
    told = {"files": known.files, "yours": known.yours} | ({"next": known.next} if known.next else {})
    _put(root, MANIFEST, (json.dumps(told, indent=1) + "\n").encode())


def text_in(folder: Path, path: str) -> str:
    """Return a file of a project, as far as it is there."""
    with _opened(folder, dry=True) as root:
        data = None if root is None else _get(root, path)
        return "" if data is None else data.decode(errors="replace")


def _decide(files: Mapping[str, File], known: _Known, root: int) -> tuple[Outcome, dict[str, str]]:
    outcome, texts = Outcome(), dict[str, str]()
    for path, file in files.items():
        there, wanted = _get(root, path), file.text.encode()
        if file.yours and there is not None:
            continue
        if there not in (None, wanted) and not known.is_ours(path, there or b""):
            outcome.kept.append(path)
            texts[path + BESIDE] = file.text
        elif there != wanted:
            outcome.written.append(path)
            texts[path] = file.text
        beside = None if file.yours else _get(root, path + BESIDE)
        if beside == wanted and path not in outcome.kept:
            # It has been taken over.
            outcome.removed.append(path + BESIDE)
    for path in sorted({*known.files, *known.next, *known.yours} - files.keys()):
        there = _get(root, path)
        if there is not None:
            (outcome.removed if known.is_ours(path, there) else outcome.left).append(path)
    return outcome, texts


def _manifest(root: int) -> _Known:
    text = _get(root, MANIFEST)
    if text is None:
        return _Known({}, {}, [])
    try:
        told = cast("dict[str, Any]", json.loads(text))
        files, further, yours = told["files"], told.get("next", {}), told.get("yours", [])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnsafeOutput(
            f"{MANIFEST} cannot be read.", hint="Restore it, or remove it: then nothing is overwritten."
        ) from error
    named = cast("list[object]", yours) if isinstance(yours, list) else []
    if max(len(cast("Any", part)) for part in (_mapping(files), _mapping(further), named)) > _MOST_ENTRIES:
        raise UnsafeOutput(f"{MANIFEST} lists too many files.", hint="Restore it, or remove it.")
    paths = [path for path in named if isinstance(path, str) and _is_inside(path)]
    return _Known(_digests(files), _digests(further), paths)


def _mapping(value: object) -> dict[object, object]:
    return cast("dict[object, object]", value) if isinstance(value, dict) else {}


def _digests(told: object) -> dict[str, str]:
    # Anybody may have written it, and files that it names are removed.
    return {path: str(digest) for path, digest in _mapping(told).items() if isinstance(path, str) and _is_inside(path)}


def _is_inside(path: str) -> bool:
    return bool(_PATH.fullmatch(path)) and not {".", "..", ".git"} & set(path.split("/"))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _opened(folder: Path, *, dry: bool) -> Generator[int | None]:
    """Open the folder itself, so that no link can lead elsewhere afterwards."""
    try:
        if not dry:
            folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        if not dry:
            raise UnsafeOutput(f"{folder} cannot be made.") from None
        yield None
        return
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no path"
        raise UnsafeOutput(f"{folder} is no folder that can be written to: {told}.") from error
    try:
        yield descriptor
    except OSError as error:
        raise UnsafeOutput(f"{folder} cannot be written to: {error.strerror}.") from error
    finally:
        os.close(descriptor)


@contextmanager
def _parent(root: int, path: str, *, make: bool = False) -> Generator[tuple[int | None, str]]:
    """Open the folder that a file lies in, step by step; ``None`` where there is none."""
    if not _is_inside(path):
        raise UnsafeOutput(f"{path!r} leads out of the folder.")
    *steps, name = path.split("/")
    current: int | None = os.dup(root)
    try:
        for step in steps:
            further = _step(current, step, path, make=make)
            os.close(current)
            current = further
            if current is None:
                break
        yield current, name
    finally:
        if current is not None:
            os.close(current)


def _step(current: int, step: str, path: str, *, make: bool) -> int | None:
    if make:
        with suppress(FileExistsError):
            os.mkdir(step, dir_fd=current)
    try:
        return os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnsafeOutput(f"{step!r} in the way to {path!r} is a link or no folder.") from error


def _get(root: int, path: str) -> bytes | None:
    with _parent(root, path) as (folder, name):
        if folder is None:
            return None
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnsafeOutput(f"{path!r} is a link, or cannot be read.") from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnsafeOutput(f"{path!r} is no regular file.")
            return file.read(_MOST_BYTES)


def _put(root: int, path: str, data: bytes) -> None:
    """Write a file whole or not at all."""
    with _parent(root, path, make=True) as (folder, name):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(PART, flags, 0o644, dir_fd=root), "wb") as file:
                file.write(data)
            os.replace(PART, name, src_dir_fd=root, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(PART, dir_fd=root)
            raise


def _remove(root: int, path: str) -> None:
    with _parent(root, path) as (folder, name):
        if folder is not None:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)

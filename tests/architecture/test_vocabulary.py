"""House rule: rooms have the same files, so that who knows one knows all (design.md, "Files of a room")."""

from pathlib import Path

from tests.architecture.source import PACKAGES, ROOT, name, python_files

FLOORS = ("foundation", "governance", "domain")
USUAL = {"service", "models", "repository", "views", "handlers", "jobs", "ports", "errors", "rules"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core"}
LIBRARY_FOLDERS = ("", "alembic", "docker")

MORE = {
    # Everybody else stands on these two; they have no verbs of their own.
    "kernel": {"backoff", "caller", "ids", "clock", "outage", "work", "tables", "failpoints", "sealing"},
    "events": {"envelope", "types", "codec", "names"},
    # Spans, logs and figures are called by every room as functions, not as verbs of a service.
    "telemetry": {"tracing", "logs", "metrics", "attributes"},
    # Registries of one file an entry.
    "flows": {"nodes"},
    "tools": {"starter"},
}
"""What a room has beside the usual files, and why."""


def test_rooms_have_only_the_usual_files() -> None:
    strange = [
        name(entry)
        for room in _rooms()
        for entry in room.iterdir()
        if _is_source(entry) and entry.stem not in USUAL | MORE.get(room.name, set())
    ]
    assert strange == []


def test_no_file_is_a_heap() -> None:
    heaps = [
        name(file) for file in python_files(*PACKAGES, "tests", "scripts") if VAGUE & set(file.with_suffix("").parts)
    ]
    assert heaps == []


def test_folders_that_bear_the_name_of_a_library_are_no_packages() -> None:
    """With an `__init__.py` the folder would be imported instead of the library."""
    assert [folder for folder in LIBRARY_FOLDERS if (ROOT / folder / "__init__.py").exists()] == []


def test_every_package_says_what_it_is() -> None:
    silent = [
        name(file)
        for file in python_files()
        if file.name == "__init__.py" and not file.read_text().lstrip().startswith('"""')
    ]
    assert silent == []


def _rooms() -> list[Path]:
    entries = [entry for floor in FLOORS for entry in (ROOT / "backend" / floor).iterdir()]
    return [entry for entry in entries if entry.is_dir() and entry.name != "__pycache__"]


def _is_source(entry: Path) -> bool:
    return entry.name not in {"__init__.py", "__pycache__"} and (entry.is_dir() or entry.suffix == ".py")

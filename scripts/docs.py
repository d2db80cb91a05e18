#!/usr/bin/env python3
"""Write what follows from the code: the tables of docs/guides (settings, commands, events, errors) and the documents of
the events, docs/asyncapi.yaml and proto/.

``docs.py`` writes them, ``docs.py --check`` only says whether they are as they should be. What stands outside the two
marks of a file is written by hand and stays. An AsyncAPI document that breaks who uses the written one is not written,
unless ``--breaking`` says that this is meant.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402 - the project is found first
import typer  # noqa: E402 - the project is found first

import backend  # noqa: E402 - the project is found first
from backend.bootstrap.settings import FILE, SETTINGS  # noqa: E402 - the project is found first
from backend.cli.app import app  # noqa: E402 - the project is found first
from backend.foundation.events.rules.changes import compare  # noqa: E402 - the project is found first
from backend.foundation.events.types import CATALOGUE  # noqa: E402 - the project is found first
from backend.foundation.kernel.errors import AutoWeaveError  # noqa: E402 - the project is found first
from backend.reads.asyncapi import document  # noqa: E402 - the project is found first
from backend.reads.protobuf import protobuf  # noqa: E402 - the project is found first

GUIDES = ROOT / "docs" / "guides"
ASYNCAPI = ROOT / "docs" / "asyncapi.yaml"
PROTOBUF = ROOT / "proto" / "autoweave" / "events" / "v1" / "events.proto"
START, END = "<!-- written by `make docs` -->", "<!-- end -->"


def settings() -> Iterator[str]:
    """Every setting: variable, key, flag, default."""
    yield f"| Variable | In `{FILE}` | Flag | Default | What it is |"
    yield "|---|---|---|---|---|"
    for s in SETTINGS:
        flag = "" if s.secret or s.internal else f"`{s.flag}`"
        default = f"`{s.default}`" if s.default else ""
        yield f"| `{s.variable}` | `{s.key}` | {flag} | {default} | {_cell(s.help)} |"


def commands() -> Iterator[str]:
    """Every command for people with its help; `run` is described by hand."""
    for path, command in _walk("autoweave", typer.main.get_command(app)):
        if path != "autoweave run":
            yield from _command(path, command)


def events() -> Iterator[str]:
    """Every event type: topic, payload, who may send it, and whether webhooks are sent it."""
    yield "| Type | Topic | Fields | From outside | To webhooks | What it tells |"
    yield "|---|---|---|---|---|---|"
    for name, entry in sorted(CATALOGUE.items()):
        fields = ", ".join(f"`{field}`" for field in entry.data.__struct_fields__)
        public = "`POST /events/{topic}`" if entry.public else "no"
        outgoing = "yes" if entry.outgoing else "no"
        yield f"| `{name}` | `{entry.topic}` | {fields} | {public} | {outgoing} | {_cell(entry.summary)} |"


def errors() -> Iterator[str]:
    """Every error code: HTTP status, whether another try may help, the next step."""
    for module in pkgutil.walk_packages(backend.__path__, "backend."):
        if module.name.rpartition(".")[2] != "__main__":
            importlib.import_module(module.name)
    yield "| Code | Status | Try again | What to do |"
    yield "|---|---|---|---|"
    for code, error in sorted({error.code: error for error in _below(AutoWeaveError)}.items()):
        yield f"| `{code}` | {error.status} | {'yes' if error.retry else 'no'} | {_cell(error.hint)} |"


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "settings.md": settings,
    "cli.md": commands,
    "events.md": events,
    "errors.md": errors,
}


def main(arguments: list[str]) -> int:
    """Return 0 when all is written, or with ``--check`` when nothing would change."""
    check = "--check" in arguments
    stale = [name for name, table in TABLES.items() if _write(GUIDES / name, "\n".join(table()).rstrip(), check=check)]
    broken = _broken()
    if broken and "--breaking" not in arguments:
        print("\n".join(["The events break who uses docs/asyncapi.yaml:", *broken]), file=sys.stderr)
        print("Add a new version beside the old one, or say `scripts/docs.py --breaking`.", file=sys.stderr)
        return 1
    stale += [ASYNCAPI.name] if _write_asyncapi(check=check) else []
    stale += [PROTOBUF.name] if _write_protobuf(check=check) else []
    if stale and check:
        print(f"Not as the code says: {', '.join(stale)}. Run `make docs`.", file=sys.stderr)
        return 1
    print(f"Written: {', '.join(stale)}" if stale else "Everything is as the code says.")
    return 0


def _write(file: Path, table: str, *, check: bool) -> bool:
    text = file.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{file} has lost its marks: {START} and {END}.")
    wanted = f"{before}{START}\n{table}\n{END}{after}"
    if wanted != text and not check:
        file.write_text(wanted, encoding="utf-8")
    return wanted != text


def _broken() -> list[str]:
    """What would break who uses the document as it is written."""
    if not ASYNCAPI.exists():
        return []
    found = compare(msgspec.yaml.decode(ASYNCAPI.read_bytes()), document())
    return [f"  {one.place}: {one.change} {one.cause}\n    Fix: {one.fix}" for one in found if one.breaking]


def _write_asyncapi(*, check: bool) -> bool:
    wanted = f"# Written by `make docs` from the catalogue of events.\n{msgspec.yaml.encode(document()).decode()}"
    stale = not ASYNCAPI.exists() or ASYNCAPI.read_text(encoding="utf-8") != wanted
    if stale and not check:
        ASYNCAPI.write_text(wanted, encoding="utf-8")
    return stale


def _write_protobuf(*, check: bool) -> bool:
    written = PROTOBUF.read_text(encoding="utf-8") if PROTOBUF.exists() else ""
    wanted = protobuf(written)
    if wanted != written and not check:
        PROTOBUF.parent.mkdir(parents=True, exist_ok=True)
        PROTOBUF.write_text(wanted, encoding="utf-8")
    return wanted != written


def _walk(path: str, command: "typer.core.TyperCommand | typer.core.TyperGroup") -> Iterator[tuple[str, object]]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from _walk(f"{path} {name}", child)


def _command(path: str, command: object) -> Iterator[str]:
    yield f"### `{path}`"
    yield ""
    yield (command.help or "").strip()
    yield ""
    for parameter in command.params:
        if parameter.name == "help":
            continue
        names = ", ".join(f"`{each}`" for each in getattr(parameter, "opts", [])) or parameter.name
        words = getattr(parameter, "help", "") or ""
        yield f"- {names if names.startswith('`-') else f'`{parameter.name.upper()}`'}: {words}"
    yield ""


def _below(error: type[AutoWeaveError]) -> Iterator[type[AutoWeaveError]]:
    yield error
    for child in error.__subclasses__():
        yield from _below(child)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``tool.toml`` to a `Manifest`: everything that is not known and enforced is refused, with the line, cause and fix."""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from backend.domain.tools.errors import ManifestInvalid
from backend.domain.tools.rules.lines import Lines, line_of_error
from backend.domain.tools.rules.names import is_tool_id, is_version
from backend.domain.tools.rules.schema import Schema, schema_fault
from backend.domain.tools.rules.security import (
    CONCURRENCY_MAX,
    CONCURRENCY_MIN,
    FUEL_MAX,
    FUEL_MIN,
    MEMORY_MAX,
    MEMORY_MIN,
    MIB,
    NET_MODES,
    TIMEOUT_MAX_S,
    TIMEOUT_MIN_S,
    Security,
)
from backend.domain.tools.rules.units import parse_bytes, parse_seconds

_SIZE_MAX = 64 * 1024
_ARGUMENTS_MAX = 64
_TEXT_MAX = 2000
_NAME_MAX = 80
_TOP = ("tool", "arguments", "input", "output", "security", "sha256")
_TOOL = ("id", "version", "wasm", "name", "description")
_ARGUMENT = ("name", "type", "description", "required", "default", "enum")
_SECURITY = (
    "fs_access", "net_allow_list", "net_mode", "env_allow_list", "memory", "fuel", "timeout", "concurrency"
)  # fmt: skip
_TYPES = ("string", "number", "integer", "boolean", "array", "object")
_ARGUMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.wasm")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_ARGUMENTS: Schema = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A tool as its author describes it; ``sha256`` is that of the module, empty when the author gives none."""

    id: str
    version: str
    wasm: str
    name: str
    description: str
    input_schema: Schema
    output_schema: Schema
    security: Security
    sha256: str


def parse_manifest(text: str) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestInvalid: something is wrong, unknown, or asks for what the sandbox does not offer.
    """
    if len(text.encode(errors="replace")) > _SIZE_MAX:
        raise ManifestInvalid(f"it is larger than {_SIZE_MAX // 1024} KiB", line=1, hint="Shorten the descriptions.")
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        line = line_of_error(str(error), text)
        raise ManifestInvalid(f"it is no TOML: {error}", line=line, hint="Correct the syntax there.") from error
    return _Reader(tables, Lines(text)).manifest()


class _Reader:
    """Walks the tables; every complaint knows its line."""

    def __init__(self, tables: dict[str, Any], lines: Lines) -> None:
        self._tables = tables
        self._lines = lines

    def manifest(self) -> Manifest:
        self._known("", self._tables, _TOP)
        tool = self._table("tool", needed=True)
        self._known("tool", tool, _TOOL)
        tool_id = self._text("tool", tool, "id")
        if not is_tool_id(tool_id):
            self._refuse("tool", "id", f"{tool_id!r} is no id", "Write it as `dev.example.echo`: two or more parts.")
        return Manifest(
            id=tool_id,
            version=self._version(tool),
            wasm=self._wasm(tool),
            name=self._title(tool, tool_id),
            description=self._text("tool", tool, "description"),
            input_schema=self._input(),
            output_schema=self._schema("output") if "output" in self._tables else {"type": "object"},
            security=self._security(),
            sha256=self._sha256(),
        )

    def _version(self, tool: dict[str, Any]) -> str:
        version = self._text("tool", tool, "version")
        if not is_version(version):
            self._refuse("tool", "version", f"{version!r} is no version", 'Write three numbers, such as "1.0.0".')
        return version

    def _wasm(self, tool: dict[str, Any]) -> str:
        wasm = self._text("tool", tool, "wasm")
        if not _FILE.fullmatch(wasm):
            fix = 'Name a file beside tool.toml, such as "echo.wasm", without a folder.'
            self._refuse("tool", "wasm", f"{wasm!r} is no file name of a module", fix)
        return wasm

    def _title(self, tool: dict[str, Any], tool_id: str) -> str:
        if "name" not in tool:
            return tool_id.rpartition(".")[2]
        name = self._text("tool", tool, "name")
        if len(name) > _NAME_MAX:
            self._refuse("tool", "name", f"it is longer than {_NAME_MAX} characters", "Shorten it.")
        return name

    def _sha256(self) -> str:
        value = self._tables.get("sha256", "")
        if value != "" and not (isinstance(value, str) and _SHA256.fullmatch(value)):
            self._refuse("", "sha256", "it is no SHA-256", "Write the 64 small hexadecimal digits of `sha256sum`.")
        return str(value)

    def _input(self) -> Schema:
        if "input" not in self._tables:
            return self._arguments() if "arguments" in self._tables else _NO_ARGUMENTS
        if "arguments" in self._tables:
            self._refuse("input", "", "both [input] and [[arguments]] are given", "Keep one of them.")
        return self._schema("input")

    def _schema(self, table: str) -> Schema:
        schema = self._tables[table]
        if fault := schema_fault(schema):
            self._refuse(table, "", f"the schema [{table}] is not taken: {fault}", "Correct the schema.")
        return cast("Schema", schema)

    def _arguments(self) -> Schema:
        given: object = self._tables["arguments"]
        if not isinstance(given, list):
            self._refuse("arguments", "", "`arguments` is no list of tables", "Write [[arguments]] for each of them.")
        entries = cast("list[object]", given)
        if len(entries) > _ARGUMENTS_MAX:
            self._refuse("arguments", "", f"there are more than {_ARGUMENTS_MAX} arguments", "Take an object instead.")
        properties: dict[str, Any] = {}
        required: list[str] = []
        for index, entry in enumerate(entries):
            name, schema, needed = self._argument(f"arguments[{index}]", entry)
            if name in properties:
                self._refuse(f"arguments[{index}]", "name", f"{name!r} appears twice", "Give it another name.")
            properties[name] = schema
            if needed:
                required.append(name)
        made = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        if fault := schema_fault(made):
            self._refuse("arguments", "", f"the arguments make no schema: {fault}", "Correct `default` and `enum`.")
        return made

    def _argument(self, table: str, entry: object) -> tuple[str, dict[str, Any], bool]:
        if not isinstance(entry, dict):
            self._refuse("arguments", "", "an argument is no table", "Write [[arguments]] for each of them.")
        given = cast("dict[str, Any]", entry)
        self._known(table, given, _ARGUMENT)
        name = self._text(table, given, "name")
        if not _ARGUMENT_NAME.fullmatch(name):
            self._refuse(table, "name", f"{name!r} is no name", "Use letters, digits, `_` and `-`.")
        kind = self._text(table, given, "type")
        if kind not in _TYPES:
            self._refuse(table, "type", f"{kind!r} is no type", f"There are {_listed(_TYPES)}.")
        required = given.get("required", "default" not in given)
        if not isinstance(required, bool):
            self._refuse(table, "required", "it is neither true nor false", "Write true or false.")
        schema = {"type": kind, "description": self._text(table, given, "description")}
        return name, schema | {key: given[key] for key in ("default", "enum") if key in given}, required

    def _security(self) -> Security:
        table = self._table("security", needed=False)
        self._known("security", table, _SECURITY)
        self._nothing_to_reach(table)
        return Security(
            net_mode=self._net_mode(table),
            memory_bytes=self._memory(table),
            fuel=self._whole(table, "fuel", Security().fuel, FUEL_MIN, FUEL_MAX),
            timeout_s=self._timeout(table),
            concurrency=self._whole(table, "concurrency", Security().concurrency, CONCURRENCY_MIN, CONCURRENCY_MAX),
        )

    def _nothing_to_reach(self, table: dict[str, Any]) -> None:
        access = table.get("fs_access", "none")
        if access != "none":
            words = f"it asks for files ({access!r}), and the sandbox offers a tool no import for files"
            self._refuse("security", "fs_access", words, 'Set fs_access = "none" and take the data as an argument.')
        for key, what in (("net_allow_list", "the network"), ("env_allow_list", "environment variables")):
            asked: object = table.get(key, [])
            if asked != []:
                words = f"it asks for {what} ({asked!r}), and the sandbox offers a tool no import for {what}"
                self._refuse("security", key, words, f"Set {key} = [] and take the data as an argument.")

    def _net_mode(self, table: dict[str, Any]) -> Any:
        mode: object = table.get("net_mode", "hostname-only")
        if mode not in NET_MODES:
            self._refuse("security", "net_mode", f"{mode!r} is no mode", f"There are {_listed(NET_MODES)}.")
        return mode

    def _memory(self, table: dict[str, Any]) -> int:
        memory = parse_bytes(table["memory"]) if "memory" in table else Security().memory_bytes
        if memory is None or not MEMORY_MIN <= memory <= MEMORY_MAX:
            fix = f'Write a size from {MEMORY_MIN // MIB} to {MEMORY_MAX // MIB} MiB, such as "64MiB".'
            self._refuse("security", "memory", f"{table['memory']!r} is no size that is possible here", fix)
        return memory

    def _timeout(self, table: dict[str, Any]) -> float:
        timeout = parse_seconds(table["timeout"]) if "timeout" in table else Security().timeout_s
        if timeout is None or not TIMEOUT_MIN_S <= timeout <= TIMEOUT_MAX_S:
            fix = f'Write a time from {TIMEOUT_MIN_S * 1000:.0f} ms to {TIMEOUT_MAX_S:.0f} s, such as "5s".'
            self._refuse("security", "timeout", f"{table['timeout']!r} is no time that is possible here", fix)
        return timeout

    def _whole(self, table: dict[str, Any], key: str, default: int, least: int, most: int) -> int:
        value: object = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self._refuse("security", key, f"{value!r} is not possible here", f"Write {least:,} to {most:,}.")
        return value

    def _table(self, name: str, *, needed: bool) -> dict[str, Any]:
        value: object = self._tables.get(name)
        if value is None and not needed:
            return {}
        if not isinstance(value, dict):
            self._refuse(name, "", f"the table [{name}] is missing", f"Add [{name}] as the documentation shows.")
        return cast("dict[str, Any]", value)

    def _text(self, table: str, values: dict[str, Any], key: str) -> str:
        value: object = values.get(key)
        if not isinstance(value, str) or not value.strip():
            self._refuse(table, key, f"`{key}` is missing or no text", f'Add {key} = "…".')
        if len(value) > _TEXT_MAX:
            self._refuse(table, key, f"`{key}` is longer than {_TEXT_MAX} characters", "Shorten it.")
        return value.strip()

    def _known(self, table: str, values: dict[str, Any], keys: Collection[str]) -> None:
        for key in values:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                fix = f"Did you mean `{near[0]}`?" if near else f"There are {_listed(keys)}."
                where = f" in [{table.partition('[')[0]}]" if table else ""
                self._refuse(table, key, f"`{key}` is unknown{where}", fix)

    def _refuse(self, table: str, key: str, words: str, fix: str) -> NoReturn:
        raise ManifestInvalid(words, line=self._lines.of(table, key), hint=fix, field=f"{table}.{key}".strip("."))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

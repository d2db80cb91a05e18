"""Every setting, read from four sources: defaults < ``autoweave.toml`` < environment < flags.

Standard library only: the supervisor reads the same settings and must stay small.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.bootstrap import embedded, parsers
from backend.foundation.kernel.errors import Invalid

PREFIX = "AUTOWEAVE_"
FILE = "autoweave.toml"
DEFAULT = "default"


class WrongSetting(Invalid):
    """A setting that cannot be used; the message names it and its source, the hint is the fix."""

    code = "wrong_setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        key: its name in ``autoweave.toml`` and in `Settings`.
        variable: its environment variable.
        parse: turns the text into the value; raises ``ValueError`` with the fix in words.
        secret: never shown, and never a flag (flags are seen by everybody on the machine).
        internal: for tests of the product; a variable only.
        help: what it is, for the command line and the documents.
    """

    key: str
    variable: str
    default: str
    parse: Callable[[str], object]
    help: str
    secret: bool = False
    internal: bool = False

    @property
    def flag(self) -> str:
        """``--web-workers`` for ``web_workers``."""
        return "--" + self.key.replace("_", "-")


def _ours(key: str, default: str, parse: Callable[[str], object], words: str) -> Setting:
    return Setting(key=key, variable=PREFIX + key.upper(), default=default, parse=parse, help=words)


SETTINGS: tuple[Setting, ...] = (
    _ours("host", "127.0.0.1", parsers.host, "Address to listen on; another than loopback needs an administrator."),
    _ours("port", "8000", parsers.port, "Port of the web pages and the API."),
    _ours("data", "./.autoweave", parsers.folder, "Folder of the database, the bundled Valkey and files."),
    _ours("database_url", "", parsers.database, "PostgreSQL by URL; unset: SQLite in the data folder."),
    _ours("redis_url", "", parsers.redis, "Redis >= 7 or Valkey by URL; unset: the bundled Valkey."),
    _ours("bus_url", "", parsers.bus, "Kafka as kafka://host:port,… (kafkas:// with TLS); unset: streams on Valkey."),
    _ours("bus_username", "", parsers.text, "User of Kafka, by SASL (of the token endpoint with OAUTHBEARER)."),
    Setting(
        key="bus_password",
        variable=f"{PREFIX}BUS_PASSWORD",
        default="",
        parse=parsers.text,
        help="Password of that user.",
        secret=True,
    ),
    _ours(
        "bus_mechanism",
        "SCRAM-SHA-512",
        parsers.one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
        "How Kafka is told who comes: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or, by token, OAUTHBEARER.",
    ),
    _ours(
        "bus_token_url",
        "",
        parsers.token_source,
        "Where tokens for OAUTHBEARER come from: https://… (client credentials) or file:///….",
    ),
    _ours("bus_token_scope", "", parsers.text, "Scope to ask that endpoint for; unset: its default."),
    _ours(
        "bus_ca_file", "", parsers.file, "PEM file of the authorities that Kafka is trusted by; unset: the system's."
    ),
    _ours("bus_cert_file", "", parsers.file, "PEM file of the client certificate that Kafka is shown."),
    _ours("bus_key_file", "", parsers.file, "PEM file of its key; unset: the certificate's file holds it."),
    Setting(
        key="bus_key_password",
        variable=f"{PREFIX}BUS_KEY_PASSWORD",
        default="",
        parse=parsers.text,
        help="Password of that key, when it is encrypted.",
        secret=True,
    ),
    _ours(
        "bus_partitions",
        "8",
        parsers.number(1, 1000),
        "Partitions of a topic when it is made; `autoweave bus apply --partitions` raises those of one that is there.",
    ),
    _ours(
        "bus_retention",
        "0",
        parsers.number(0, 87_600),
        "Hours for which topics keep messages; 0: the bus's own default, mostly 7 days. `autoweave bus apply` changes "
        "topics that are there.",
    ),
    _ours(
        "bus_restart",
        "0",
        parsers.restart,
        "Seconds for which a stopped worker's partitions on Kafka wait for its return by the same --member; 0: not.",
    ),
    _ours("model", "offline", parsers.model, "openai:<name>, anthropic:<name>, ollama:<name> or offline."),
    _ours("log_format", "plain", parsers.one_of("plain", "json"), "plain for people, json for machines."),
    _ours(
        "public_url", "", parsers.public_url, "Address by which others reach it, as cards tell; unset: host and port."
    ),
    _ours("web_workers", "1", parsers.number(1, 64), "Processes that serve pages and the API."),
    _ours("workers", "1", parsers.number(1, 64), "Worker processes that `autoweave run all` starts."),
    _ours("trusted_proxies", "", parsers.networks, "Addresses or networks whose X-Forwarded-* headers are believed."),
    _ours("allowed_hosts", "", parsers.hosts, "Host names that requests may carry; unset: any."),
    _ours("events_per_second", "1000", parsers.number(0, 1_000_000), "Events a second by HTTP of a caller; 0: any."),
    _ours("events_burst", "5000", parsers.number(1, 10_000_000), "Events that a caller may send at once."),
    _ours("tenant_events_per_second", "5000", parsers.number(0, 1_000_000), "The same of a whole workspace; 0: any."),
    _ours("tenant_events_burst", "25000", parsers.number(1, 10_000_000), "Events that it may send at once."),
    _ours("namespace", "aw", parsers.name, "First part of keys, topics and groups: installations can share servers."),
    _ours("webhook_networks", "", parsers.networks, "Private addresses or networks that webhooks may be sent to."),
    _ours("webhook_http", "off", parsers.one_of("off", "on"), "on: webhooks may use http://, which anybody can read."),
    _ours("webhook_ca_file", "", parsers.file, "PEM file of authorities that webhooks trust besides the usual ones."),
    Setting(
        key="secret_key",
        variable=f"{PREFIX}SECRET_KEY",
        default="",
        parse=parsers.secret,
        help="Seals stored secrets; 32 characters or more, the same in each process; unset: made in the data folder.",
        secret=True,
    ),
    _ours("trace_events", "0.01", parsers.share, "Share of the traces of bulk events that are kept, from 0 to 1."),
    _ours("trace_statements", "off", parsers.one_of("off", "on"), "on: traces show each statement and Redis command."),
    Setting(
        key="otlp_endpoint",
        variable="OTEL_EXPORTER_OTLP_ENDPOINT",
        default="",
        parse=parsers.http_url,
        help="Where traces are sent to by OTLP over HTTP, besides the own store; unset: nowhere.",
    ),
    Setting(
        key="openai_api_key",
        variable="OPENAI_API_KEY",
        default="",
        parse=parsers.text,
        help="Key for openai:<name>.",
        secret=True,
    ),
    Setting(
        key="openai_base_url",
        variable="OPENAI_BASE_URL",
        default="",
        parse=parsers.http_url,
        help="Address of any server that speaks OpenAI's protocol; unset: OpenAI itself.",
    ),
    Setting(
        key="anthropic_api_key",
        variable="ANTHROPIC_API_KEY",
        default="",
        parse=parsers.text,
        help="Key for anthropic:<name>.",
        secret=True,
    ),
    Setting(
        key="ollama_base_url",
        variable="OLLAMA_BASE_URL",
        default="http://127.0.0.1:11434",
        parse=parsers.http_url,
        help="Address of an Ollama server.",
    ),
    Setting(
        key="failpoints",
        variable="AUTOWEAVE_FAILPOINTS",
        default="",
        parse=parsers.text,
        help="Places where a test stops or kills the process, such as flows.turn.started=kill@3.",
        internal=True,
    ),
)

FLAGS: tuple[Setting, ...] = tuple(setting for setting in SETTINGS if not setting.secret and not setting.internal)
"""What the command line takes as ``--key value``."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """All settings, checked. ``sources`` says for each key where its value came from."""

    host: str
    port: int
    data: Path
    database_url: str
    redis_url: str
    bus_url: str
    bus_username: str
    bus_password: str
    bus_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    bus_token_url: str
    bus_token_scope: str
    bus_ca_file: str
    bus_cert_file: str
    bus_key_file: str
    bus_key_password: str
    bus_partitions: int
    bus_retention: int
    bus_restart: int
    model: str
    log_format: Literal["plain", "json"]
    public_url: str
    web_workers: int
    workers: int
    trusted_proxies: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    events_per_second: int
    events_burst: int
    tenant_events_per_second: int
    tenant_events_burst: int
    namespace: str
    webhook_networks: tuple[str, ...]
    webhook_http: Literal["off", "on"]
    webhook_ca_file: str
    secret_key: str
    trace_events: float
    trace_statements: Literal["off", "on"]
    otlp_endpoint: str
    failpoints: str
    openai_api_key: str
    openai_base_url: str
    anthropic_api_key: str
    ollama_base_url: str
    sources: Mapping[str, str]

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the port."""
        return parsers.is_loopback(self.host)

    @property
    def url(self) -> str:
        """The address of the pages, as a person on this machine types it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def reached_by(self) -> str:
        """The address of the pages, as others know it; without a slash at its end."""
        return self.public_url or self.url

    @property
    def embedded_redis(self) -> bool:
        """Whether the bundled Valkey is used."""
        return self.sources["redis_url"] == DEFAULT

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that nobody may see: keys, and the passwords of URLs."""
        values = [_as_text(getattr(self, setting.key)) for setting in SETTINGS if setting.secret]
        urls = (_as_text(getattr(self, setting.key)) for setting in SETTINGS if not setting.secret)
        return tuple(value for value in (*values, *(word for url in urls for word in parsers.passwords(url))) if value)

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process in any folder the same settings."""
        given = (s for s in SETTINGS if self.sources[s.key] != DEFAULT or s.key == "data")
        return {setting.variable: _as_text(getattr(self, setting.key)) for setting in given}

    def shown(self) -> dict[str, str]:
        """Return each setting as text that may be logged: keys and the passwords of URLs are masked."""
        return {s.key: _masked(s, _as_text(getattr(self, s.key))) for s in SETTINGS}

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{key}={value!r}' for key, value in self.shown().items())})"


def load(
    flags: Mapping[str, str | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Read all sources and return the settings; raise `WrongSetting` naming each wrong one, its source and the fix.

    Args:
        flags: values by key as the command line gave them; ``None`` is "not given".
        environ: the environment, the process's own by default.
        file: the settings file, ``autoweave.toml`` in the current folder by default; it need not exist.
    """
    environ = os.environ if environ is None else environ
    file = Path(FILE) if file is None else file
    problems = _misspelt(environ)
    texts = _from_file(file, problems)
    texts |= {s.key: (environ[s.variable], s.variable) for s in SETTINGS if environ.get(s.variable)}
    given = flags or {}
    texts |= {s.key: (value, s.flag) for s in FLAGS if (value := given.get(s.key)) is not None}
    values = {setting.key: _parse(setting, texts, problems) for setting in SETTINGS}
    problems += _of_the_bus(values)
    if problems:
        message, hint = problems[0]
        raise WrongSetting("\n".join([message, *(f"{m} {h}" for m, h in problems[1:])]), hint=hint)
    values["database_url"] = values["database_url"] or f"sqlite:///{values['data']}/autoweave.db"
    values["redis_url"] = values["redis_url"] or embedded.url(values["data"])
    sources = {s.key: texts[s.key][1] if s.key in texts else DEFAULT for s in SETTINGS}
    return Settings(**values, sources=sources)


def _parse(setting: Setting, texts: dict[str, tuple[str, str]], problems: list[tuple[str, str]]) -> Any:
    value, source = texts.get(setting.key, (setting.default, DEFAULT))
    try:
        return setting.parse(value.strip())
    except ValueError as error:
        shown = _masked(setting, value)
        problems.append((f"{source} is {shown!r}, which cannot be used.", str(error)))
        return None


def _of_the_bus(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Find what is told of Kafka without what it belongs to."""
    needs = {
        "bus_username": ("bus_url", "bus_password"),
        "bus_password": ("bus_username",),
        "bus_ca_file": ("bus_url",),
        "bus_cert_file": ("bus_url",),
        "bus_key_file": ("bus_cert_file",),
        "bus_token_url": ("bus_url",),
        "bus_token_scope": ("bus_token_url",),
    }
    if (values["bus_token_url"] or "").startswith("http"):
        needs["bus_token_url"] = ("bus_url", "bus_username")
    lonely = [(key, other) for key, others in needs.items() for other in others if values[key] and not values[other]]
    problems = [
        (f"{PREFIX}{key.upper()} is set, but not {PREFIX}{other.upper()}.", "Set both or neither.")
        for key, other in lonely
    ]
    if bool(values["bus_token_url"]) != (values["bus_mechanism"] == "OAUTHBEARER"):
        problems.append((f"{PREFIX}BUS_TOKEN_URL and the mechanism OAUTHBEARER go together.", "Set both or neither."))
    files = [key for key in ("bus_ca_file", "bus_cert_file") if values[key]]
    if files and (values["bus_url"] or "").startswith("kafka://"):
        problems.append((f"{PREFIX}{files[0].upper()} is for TLS.", f"Write kafkas:// in {PREFIX}BUS_URL."))
    return problems


def _from_file(file: Path, problems: list[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        problems.append((f"{file} cannot be read: {error}.", "Correct the file, or move it away."))
        return {}
    known = {setting.key for setting in SETTINGS}
    unknown = sorted(table.keys() - known)
    problems.extend((f"{file} has an unknown setting {key!r}.", _nearest(key, known)) for key in unknown)
    return {key: (_as_text(value), f"{key} in {file}") for key, value in table.items() if key in known}


def _misspelt(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Find variables that look like one of ours; others with the prefix may be somebody else's, as Kubernetes'."""
    known = {setting.variable for setting in SETTINGS}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [
        (f"{name} in the environment is not a setting.", _nearest(name, known))
        for name in unknown
        if difflib.get_close_matches(name, known, n=1, cutoff=0.9)
    ]


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else f"The settings are: {', '.join(sorted(known))}."


def _as_text(value: object) -> str:
    if isinstance(value, list | tuple):
        items: tuple[object, ...] = tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return ",".join(str(item) for item in items)
    return str(value)


def _masked(setting: Setting, value: str) -> str:
    return ("********" if value else "") if setting.secret else parsers.without_password(value)

"""House rules that reviews would otherwise have to repeat (design.md 1.5-1.8, style.md 5)."""

import ast
import re
import subprocess

import pytest

from tests.architecture.source import PACKAGES, ROOT, name, python_files, tree

ALL_TENANTS = {
    "backend/adapters/database/database.py": "offers it",
    "backend/bootstrap/prepare.py": "looks at the version of the tables",
    "backend/domain/directory/service/directory.py": "shows public cards and keys to anybody",
    "backend/domain/flows/service/commits.py": "commits the steps of all tenants in groups",
    "backend/domain/flows/service/overdue.py": "sweeps leases and timers",
    "backend/domain/flows/service/worker.py": "claims and renews runs",
    "backend/domain/webhooks/service/cleaning.py": "removes what was delivered",
    "backend/domain/webhooks/service/outcomes.py": "records attempts of all tenants",
    "backend/domain/webhooks/service/worker.py": "claims and sends what is due",
    "backend/foundation/bus/service/bus.py": "subscribes for all tenants",
    "backend/foundation/bus/service/cleaning.py": "removes what was sent",
    "backend/foundation/bus/service/contract.py": "tells every tenant of the installation's document",
    "backend/foundation/bus/service/lease.py": "leads one shard of the outbox",
    "backend/foundation/bus/service/relay.py": "sends the outbox",
    "backend/foundation/bus/service/work.py": "handles batches of several tenants",
    "backend/foundation/kernel/ports.py": "declares it",
    "backend/foundation/telemetry/service/heart.py": "beats for a process, which has no tenant",
    "backend/foundation/telemetry/service/recorder.py": "stores spans of all tenants in groups",
    "backend/foundation/telemetry/service/telemetry.py": "lists processes, which have no tenant",
    "backend/governance/identity/service/accounts.py": "makes tenants",
    "backend/governance/identity/service/identity.py": "tidies what is over",
    "backend/governance/identity/service/keys.py": "finds the tenant of a key",
    "backend/governance/identity/service/limits.py": "counts attempts before anybody is known",
    "backend/governance/identity/service/sessions.py": "finds the tenant of a session",
}
"""Who may open a session over all tenants, and what for."""

COLOURS_AND_SIZES = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3,5})?\b|\b\d+(?:\.\d+)?px\b|\b(?:rgb|hsl)a?\(")
WORDS_OF_ONE_MACHINE = re.compile(r"(?<![\w.-])/(?:work|root|home/(?!ada)\w+|Users/\w+|tmp/(?!autoweave))[/\w]")
INDEX_HOSTS = re.compile(
    r"pypi\.(?:org|python)|files\.pythonhosted|registry\.npm|npmmirror|repo1?\.maven", re.IGNORECASE
)
IGNORED = re.compile(r"#\s*noqa(?!: [A-Z]+\d+(?:, ?[A-Z]+\d+)* - \S)|type: ignore|pyright: ignore(?!\[)")
UNDONE = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|NotImplementedError|pragma: no cover")


def test_only_named_files_open_sessions_over_all_tenants() -> None:
    """IDN-3."""
    found = {
        name(file)
        for file in python_files("backend", "state")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute | ast.FunctionDef)
        and (node.attr if isinstance(node, ast.Attribute) else node.name) in {"system_read", "system_write"}
    }
    assert found - ALL_TENANTS.keys() == set()


def test_nobody_catches_every_exception_there_is() -> None:
    """A cancelled task and a process that is to end must get through; what is to be undone stands in a ``finally``."""
    found = [
        f"{name(file)}:{node.lineno}"
        for package in PACKAGES
        for file in python_files(package)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or any(isinstance(part, ast.Name) and part.id == "BaseException" for part in ast.walk(node.type))
        )
    ]
    assert found == []


def test_every_exception_to_a_rule_says_why() -> None:
    unexplained = [
        f"{name(file)}:{number} {line.strip()}"
        for file in python_files(*PACKAGES, "scripts", "docker", "alembic")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if IGNORED.search(line)
    ]
    assert unexplained == []


def test_nothing_is_left_undone() -> None:
    undone = [
        f"{name(file)}:{number}"
        for file in python_files(*PACKAGES, "scripts", "docker")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if UNDONE.search(line)
    ]
    assert undone == []


@pytest.mark.parametrize("folder", ["components", "state", "autoweave_ui"])
def test_colours_and_sizes_stand_in_the_theme_alone(folder: str) -> None:
    """ADM-2."""
    endings = (".py", ".css", ".js", ".jsx")
    files = [file for file in (ROOT / folder).rglob("*") if file.suffix in endings and file.name != "theme.py"]
    literal = [
        f"{name(file)}:{number} {found[0]}"
        for file in sorted(files)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (found := COLOURS_AND_SIZES.search(line))
    ]
    assert literal == []


@pytest.mark.parametrize("pattern", [WORDS_OF_ONE_MACHINE, INDEX_HOSTS], ids=["machine paths", "package indexes"])
def test_the_tree_knows_no_machine_and_no_package_index(pattern: re.Pattern[str]) -> None:
    """OPS-1."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / entry for entry in listed.decode().split("\0") if entry and entry != name_of_this_file()]
    found = [
        f"{name(file)}: {match[0]}"
        for file in files
        if file.exists() and (match := pattern.search(file.read_bytes().decode(errors="ignore")))
    ]
    assert found == []


def name_of_this_file() -> str:
    return "tests/architecture/test_habits.py"

"""BUS-6, BUS-8: `autoweave spec`, as people type it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from backend.cli.app import main
from backend.reads.asyncapi import document
from tests.fixtures.processes import ROOT, free_port

pytestmark = pytest.mark.integration


def autoweave(data: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command on an installation in this folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOWEAVE_")}
    environment |= {"AUTOWEAVE_DATA": str(data), "AUTOWEAVE_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-m", "backend", *words],
        input=given, capture_output=True, text=True, env=environment, cwd=ROOT, check=False,
    )  # fmt: skip


def test_the_whole_document_needs_no_installation(tmp_path: Path) -> None:
    nowhere = tmp_path / "data"
    assert json.loads(autoweave(nowhere, "spec", "asyncapi", "--json").stdout) == document()
    assert msgspec.yaml.decode(autoweave(nowhere, "spec", "asyncapi").stdout) == document()
    assert not nowhere.exists()


def test_an_agents_document_comes_from_its_installation(tmp_path: Path) -> None:
    autoweave(tmp_path, "migrate")
    autoweave(tmp_path, "admin", "create", "--email", "a@example.org", "--password-stdin", given="correct horse 7\n")
    told = json.loads(autoweave(tmp_path, "spec", "asyncapi", "--agent", "concierge", "--json").stdout)
    assert told["info"]["title"] == "Concierge"
    assert told["components"]["schemas"]["StartRun"]["properties"]["agent"]["enum"][0] == "concierge"
    missing = autoweave(tmp_path, "spec", "asyncapi", "--agent", "nobody")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "Fix:" in missing.stderr


def test_a_breaking_change_ends_the_check_with_code_1(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.json"
    described = document()
    old.write_bytes(msgspec.yaml.encode(described))
    del described["components"]["schemas"]["RunFinished"]["properties"]["output"]
    new.write_bytes(msgspec.json.encode(described))
    done = autoweave(tmp_path, "spec", "check", str(old), str(new))
    assert done.returncode == 1
    for words in ("BREAKING", "flows.run_finished.v1/payload/output: The property is gone.", "Fix: ", "1 breaking, 0"):
        assert words in done.stdout
    told = json.loads(autoweave(tmp_path, "spec", "check", str(old), str(new), "--json").stdout)
    assert told["compatible"] is False
    assert [(one["breaking"], bool(one["cause"]), bool(one["fix"])) for one in told["changes"]] == [(True, True, True)]


def test_a_compatible_change_ends_the_check_with_code_0(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    described = document()
    old.write_bytes(msgspec.yaml.encode(described))
    described["components"]["schemas"]["RunFinished"]["properties"]["mood"] = {"type": "string", "default": ""}
    new.write_bytes(msgspec.yaml.encode(described))
    done = autoweave(tmp_path, "spec", "check", str(old), str(new))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 breaking, 1 compatible.")
    same = autoweave(tmp_path, "spec", "check", str(old), str(old))
    assert (same.returncode, same.stdout) == (0, "Nothing has changed for anybody.\n")


def test_what_cannot_be_compared_is_told_with_a_fix(tmp_path: Path) -> None:
    good, broken, other = tmp_path / "good.yaml", tmp_path / "broken.yaml", tmp_path / "other.yaml"
    good.write_bytes(msgspec.yaml.encode(document()))
    broken.write_text("a: [")
    other.write_text("openapi: 3.1.0")
    for wrong in (broken, other, tmp_path / "missing.yaml"):
        done = autoweave(tmp_path, "spec", "check", str(good), str(wrong))
        assert (done.returncode, done.stdout) == (2, "")
        assert "Error: " in done.stderr
        assert "Fix: " in done.stderr
        assert "Traceback" not in done.stderr


Spec = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def spec(capsys: pytest.CaptureFixture[str]) -> Spec:
    """`autoweave spec` in this process: a start of its own for each call would take the time of the whole test."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        code = main(["spec", *words])
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, printed.out, printed.err)

    return run


def test_a_spec_goes_from_the_sample_to_a_project_and_back_in_line(tmp_path: Path, spec: Spec) -> None:
    file, folder, run = tmp_path / "mesh.md", tmp_path / "project", spec
    assert run("init", "--output", str(file)).returncode == 0
    again = run("init", "--output", str(file))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert run("validate", "--input", str(file)).stdout.endswith("is good: 3 agents, 3 topics, 3 schemas.\n")
    generate = ("generate", "--input", str(file), "--output", str(folder))
    assert run(*generate, "--check").returncode == 1
    assert not folder.exists()
    made = run(*generate)
    assert (made.returncode, made.stdout.splitlines()[-1]) == (0, f"Next: cd {folder} && make up")
    assert (run(*generate, "--check").returncode, run(*generate).stdout) == (0, "Everything is as the spec says.\n")

    (folder / "Makefile").write_text("mine:\n")
    file.write_text(file.read_text().replace("order.decided", "order.judged"))
    (folder / "order_mesh" / "agents" / "reviewer.py").write_text("# I begin anew.\n")
    kept = run(*generate, "--json")
    told = json.loads(kept.stdout)
    assert (kept.returncode, told["kept"]) == (1, ["Makefile"])
    assert told["missing"] == ["order_mesh/agents/reviewer.py: rule"]
    assert (folder / "Makefile").read_text() == "mine:\n"
    assert "make" in (folder / "Makefile.new").read_text()


def test_a_bad_spec_is_told_line_by_line_and_makes_nothing(tmp_path: Path, spec: Spec) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text("name: my mesh\nagents: &a [*a]\n")
    done = spec("validate", "--input", str(file))
    assert done.returncode == 2
    assert f"{file}:2: Anchors and aliases" in done.stdout
    file.write_text("name: my mesh\n")
    told = json.loads(spec("validate", "--input", str(file), "--json").stdout)
    assert (told["valid"], told["findings"][0]["line"]) == (False, 1)
    failed = spec("generate", "--input", str(file), "--output", str(tmp_path / "out"))
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "line 1: The name" in failed.stderr
    os.mkfifo(tmp_path / "pipe")
    for wrong in ("missing.md", ".", "pipe", "/dev/zero", "x" * 5000):
        done = spec("validate", "--input", str(tmp_path / wrong))
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert not (tmp_path / "out").exists()

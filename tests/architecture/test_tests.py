"""House rule: a test says which line of the specification it proves."""

import ast
import re
from pathlib import Path

from tests.architecture.source import name, python_files, tree

SPEC = re.compile(r"\b(?:BUS|AGT|FLW|CHT|TOL|PLG|JOB|IDN|API|OBS|ADM|FAC|MEM|FIC|OPS)-\d+\b")
OF_THE_HOUSE = "tests/architecture/"


def test_every_test_module_names_what_it_proves() -> None:
    silent = [name(file) for file in _test_modules() if not SPEC.search(_text(file))]
    assert [file for file in silent if not file.startswith(OF_THE_HOUSE)] == []


def test_tests_are_plain_functions() -> None:
    grouped = [
        f"{name(file)} {node.name}"
        for file in _test_modules()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    assert grouped == []


def _test_modules() -> list[Path]:
    return [file for file in python_files("tests") if file.name.startswith("test_")]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")

"""House rule: nothing is too long to be read at once (design.md, "Sizes")."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, classes, functions, length, name, python_files

FILE, TEST_FILE, FUNCTION = 400, 500, 50
STATE_LINES, STATE_VARS, STATE_HANDLERS = 150, 12, 10
FOLDERS = (*PACKAGES, "scripts", "docker", "tests")


def test_files_have_at_most_400_lines() -> None:
    sizes = {name(file): len(file.read_text().splitlines()) for file in python_files(*FOLDERS)}
    limits = {file: TEST_FILE if file.startswith("tests/") else FILE for file in sizes}
    assert {file: lines for file, lines in sizes.items() if lines > limits[file]} == {}


def test_functions_have_at_most_50_lines() -> None:
    long = [
        f"{name(file)}:{node.lineno} {node.name} has {length(node)} lines"
        for file in python_files(*FOLDERS)
        for node in functions(file)
        if length(node) > FUNCTION
    ]
    assert long == []


@pytest.mark.parametrize("style", ["assets", "autoweave_ui/styles"])
def test_other_sources_have_at_most_400_lines(style: str) -> None:
    files = [file for ending in ("*.css", "*.js", "*.jsx") for file in (ROOT / style).rglob(ending)]
    own = [file for file in files if "external" not in file.parts]
    assert {name(file): n for file in own if (n := len(file.read_text().splitlines())) > FILE} == {}


def test_states_stay_small() -> None:
    too_big = [
        f"{name(file)} {state.name}: {length(state)} lines, {n_vars} vars, {handlers} handlers"
        for file, state in _states()
        for n_vars, handlers in [(_vars(state), _handlers(state))]
        if length(state) > STATE_LINES or n_vars > STATE_VARS or handlers > STATE_HANDLERS
    ]
    assert too_big == []


def _states() -> Iterator[tuple[Path, ast.ClassDef]]:
    for file in python_files("state"):
        for node in classes(file):
            if any(ast.unparse(base).endswith("State") for base in node.bases):
                yield file, node


def _vars(state: ast.ClassDef) -> int:
    fields = [node for node in state.body if isinstance(node, ast.AnnAssign)]
    return sum("ClassVar" not in ast.unparse(field.annotation) for field in fields)


def _handlers(state: ast.ClassDef) -> int:
    methods = [node for node in state.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sum(any(ast.unparse(each).startswith("rx.event") for each in node.decorator_list) for node in methods)

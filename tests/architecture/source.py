"""What the rules look at: the project's own files, parsed once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("backend", "state", "components", "autoweave_ui")
_GENERATED = {"__pycache__", "node_modules", "assets/external"}


def python_files(*folders: str) -> list[Path]:
    """Every Python file under the folders, the packages by default."""
    found = (file for folder in folders or PACKAGES for file in (ROOT / folder).rglob("*.py"))
    return sorted(file for file in found if not _GENERATED & set(file.parts))


@cache
def tree(file: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def name(file: Path) -> str:
    """The path as messages give it."""
    return file.relative_to(ROOT).as_posix()


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of the file."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def classes(file: Path) -> Iterator[ast.ClassDef]:
    """Every class of the file."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef):
            yield node


def length(node: ast.stmt) -> int:
    """Lines from the first to the last, decorators apart."""
    return (node.end_lineno or node.lineno) - node.lineno + 1

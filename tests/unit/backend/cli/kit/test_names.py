"""BUS-8: no name of a spec takes the place of what the generated project needs."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement

from backend.cli.kit import names
from backend.cli.kit.mesh import Kind, Mesh
from backend.cli.kit.project import project
from tests.fixtures.mesh import WIDE, checked


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """It has agents of every kind."""
    return checked(WIDE.read_text())


def used(code: str) -> set[str]:
    """The names that a module imports, or looks up when it runs."""
    tree = ast.parse(code)
    looked_up = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}
    imports = [one for one in ast.walk(tree) if isinstance(one, ast.Import | ast.ImportFrom)]
    return looked_up | {alias.asname or alias.name for one in imports for alias in one.names}


def test_no_agent_takes_the_place_of_what_the_wiring_uses(mesh: Mesh) -> None:
    """The wiring imports the module of each agent by its name."""
    wiring = project(mesh)[f"{mesh.package}/wiring.py"].text
    others = {name for name in used(wiring) - mesh.agents.keys() if names.SNAKE.fullmatch(name)}
    functions = {f"run_{agent}" for agent in mesh.agents}
    assert {name for name in others - functions if not names.of_agent(name)} == set()


def test_no_schema_takes_the_place_of_what_its_module_and_the_agents_use(mesh: Mesh) -> None:
    files = project(mesh)
    own = [agent.name for agent in mesh.of_kind(Kind.REASONER, Kind.WORKER)]
    paths = [f"{mesh.package}/contracts.py", *(f"{mesh.package}/agents/{name}.py" for name in own)]
    found = set[str]().union(*(used(files[path].text) for path in paths))
    topics = {topic.constant for topic in mesh.topics.values()}
    others = {name for name in found - mesh.schemas.keys() - topics if names.PASCAL.fullmatch(name)}
    assert {"Message", "Sequence", "TOPICS", "AnyTopic"} <= others
    assert {name for name in others if not names.of_schema(name)} == set()


def needed(*wanted: str) -> Iterator[str]:
    """Yield the distributions that these lead to on this machine."""
    seen, ahead = set[str](), list(wanted)
    while ahead:
        one = Requirement(ahead.pop())
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if name not in seen and (one.marker is None or one.marker.evaluate({"extra": ""})):
            seen.add(name)
            yield name
            try:
                ahead += requires(name) or []
            except PackageNotFoundError:
                continue


def test_no_mesh_takes_the_place_of_a_library_that_it_needs(mesh: Mesh) -> None:
    """What lies in the working folder goes before what is installed."""
    told = tomllib.loads(project(mesh)["pyproject.toml"].text)
    wanted = [*told["project"]["dependencies"], *told["dependency-groups"]["dev"]]
    of = {re.sub(r"[-_.]+", "-", one).lower(): module for module, all_ in packages_distributions().items()
          for one in all_ if not module.startswith("_")}  # fmt: skip
    modules = {of[name].replace("_", "-") for name in needed(*wanted) if name in of}
    assert {"aiokafka", "packaging", "anyio"} <= modules
    assert {name for name in modules if not names.of_project(name)} == set()

"""TOL-1, TOL-2. What the guide for authors shows works as it says."""

import json
import re

import pytest
from wasmtime import Module, wat2wasm

from backend.adapters.wasmtime import guest
from backend.adapters.wasmtime.engine import new_engine
from backend.domain.tools.rules import security
from backend.domain.tools.rules.manifest import parse_manifest
from tests.integration.domain.tools.starter_guest import STARTER, ask

pytestmark = pytest.mark.integration


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def guide(request: pytest.FixtureRequest) -> str:
    return (request.config.rootpath / "docs/guides/tool-abi.md").read_text()


def test_the_smallest_tool_answers(guide: str) -> None:
    (source,) = blocks(guide, "wat")
    engine = new_engine()
    module = Module.deserialize(engine, guest.compiled(engine, bytes(wat2wasm(source))))
    ended = guest.run(engine, module, b"{}", guest.Bounds(1 << 20, 10_000, 1000))
    assert json.loads(ended.output) == {"ok": {"answer": 42}}


def test_the_manifest_is_taken_and_its_bounds_are_the_defaults(guide: str) -> None:
    (text,) = blocks(guide, "toml")
    manifest = parse_manifest(text)
    assert manifest.input_schema["required"] == ["city"]
    assert manifest.security == security.Security(net_mode="deny-all")
    assert "1 to 256 MiB" in guide
    assert security.MEMORY_MAX == 256 * security.MIB


@pytest.mark.parametrize("name", ["text-stats", "calculator", "json-query"])
def test_the_example_of_a_starter_tools_readme_is_true(name: str) -> None:
    """TOL-8."""
    arguments, answer = map(json.loads, blocks((STARTER / name / "README.md").read_text(), "json"))
    assert ask(name, **arguments) == answer

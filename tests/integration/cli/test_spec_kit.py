"""BUS-8, BUS-6: what `autoweave spec generate` makes is clean, tested, and brings an order to its decision."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from tests.fixtures.asyncapi import judged
from tests.fixtures.buf import buf
from tests.fixtures.js_checks import NODE
from tests.fixtures.kafka import Broker
from tests.fixtures.mesh import Mesh, Provider, run_mesh
from tests.fixtures.processes import until

pytestmark = pytest.mark.integration

TREES = ("sample", "wide")
SOON_S = 60.0


def run(folder: Path, *command: str | Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as made:
        yield made


@pytest.mark.timeout(300)
def test_generated_code_needs_no_formatter_and_no_excuse(mesh_trees: Path) -> None:
    # Each file is judged by the settings of its own project.
    run(mesh_trees, sys.executable, "-m", "ruff", "check", *TREES)
    run(mesh_trees, sys.executable, "-m", "ruff", "format", "--check", *TREES)
    for tree in TREES:
        folder = mesh_trees / tree
        run(folder, NODE, "--check", "load/order.js")
        answer = judged((folder / "asyncapi" / "agentmesh.yaml").read_text())
        assert (answer["parsed"], answer["found"]) == (True, [])
        for words in (("lint",), ("build",)):
            done = buf(*words, folder=folder)
            assert (done.returncode, done.stdout) == (0, b""), done.stderr


@pytest.mark.timeout(300)
def test_generated_code_is_typed_to_the_last(mesh_trees: Path) -> None:
    """One run for all: most of its time goes into the libraries, which are the same."""
    settings, included = _of_pyright(mesh_trees / "sample"), list[str]()
    for tree in TREES:
        assert _of_pyright(mesh_trees / tree) | {"include": []} == settings | {"include": []}
        included += [f"{tree}/{part}" for part in _of_pyright(mesh_trees / tree)["include"]]
    places = {"include": included, "executionEnvironments": [{"root": tree} for tree in TREES]}
    (mesh_trees / "pyrightconfig.json").write_text(json.dumps(settings | places))
    run(mesh_trees, sys.executable, "-m", "pyright", "--pythonpath", sys.executable)


def _of_pyright(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["pyright"]


@pytest.mark.timeout(300)
def test_generated_code_passes_its_own_tests(mesh_project: Path) -> None:
    run(mesh_project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_the_model_decides_the_rule_steps_in_and_poison_is_put_aside(
    mesh_project: Path, provider: Provider, tmp_path: Path
) -> None:
    with run_mesh(mesh_project, tmp_path, MODEL_URL=provider.url, MODEL_NAME="stub", ATTEMPTS="2") as mesh:
        provider.answer = {"accepted": True, "reason": "Tea is what we sell."}
        placed = mesh.post({"item": "Green tea", "quantity": 2, "amount": 19.8})
        decision = mesh.decision(placed)
        assert (decision["accepted"], decision["decided_by"]) == (True, "model")
        assert json.loads(provider.asked[-1]["messages"][-1]["content"])["item"] == "Green tea"
        # A model that talks instead of answering, and one that is away.
        provider.answer = "I would rather talk."
        assert mesh.decision(mesh.post({"item": "Tea", "quantity": 1, "amount": 1}))["decided_by"] == "rule"
        assert len(provider.asked) == 3
        provider.close()
        decision = mesh.decision(mesh.post({"item": "Tea", "quantity": 1, "amount": 1}))
        assert (decision["accepted"], decision["decided_by"]) == (False, "rule")
        _poison_and_replay(mesh)
        _a_changed_document_is_told(mesh, mesh_project)


def _poison_and_replay(mesh: Mesh) -> None:
    """What cannot be read is a dead letter that can be listed and sent again; what comes after it is handled."""
    valkey = redis.Redis.from_url(mesh.valkey_url)
    good: Any = valkey.xrange("mesh:t:order.placed", count=1)
    fields: dict[bytes, bytes] = good[0][1]
    headers = json.loads(fields[b"headers"]) | {"ce_id": "poison-1"}
    valkey.xadd("mesh:t:order.placed", {b"key": b"p", b"headers": json.dumps(headers), b"data": b'{"item": 7}'})
    valkey.xadd("mesh:t:order.placed", {b"anything": b"\xff\x00"})
    assert mesh.decision(mesh.post({"item": "Tea", "quantity": 1, "amount": 1}))["decided_by"] == "rule"
    until(lambda: mesh.command("dead", "reviewer").count("\n") == 2, SOON_S)
    told = mesh.command("dead", "reviewer")
    assert "poison-1" in told
    assert "Its payload is no Order" in told
    assert "no CloudEvent 1.0" in told
    assert "poison-1 is on order.placed again" in mesh.command("dead", "reviewer", "--replay", "poison-1")
    # It is as bad as before, for that agent alone.
    until(lambda: mesh.command("dead", "reviewer").count("poison-1") == 2, SOON_S)
    assert mesh.command("dead", "shop").count("poison-1") == 1
    valkey.close()


def _a_changed_document_is_told(mesh: Mesh, folder: Path) -> None:
    file = folder / "asyncapi" / "agentmesh.yaml"
    text = file.read_text()
    until((mesh.data / "scout.json").exists, SOON_S)
    file.write_text(text.replace("version: 1.0.0", "version: 1.0.1"))
    with redis.Redis.from_url(mesh.valkey_url) as valkey:
        until(lambda: valkey.xlen("mesh:t:spec.changed") == 1, SOON_S)
        entries: Any = valkey.xrange("mesh:t:spec.changed")
    file.write_text(text)
    told = json.loads(entries[0][1][b"data"])
    assert (told["version"], told["changed"]) == ("1.0.1", ["info/version"])
    assert json.loads(entries[0][1][b"headers"])["ce_type"] == "spec.changed"


@pytest.mark.parametrize("bus", ["valkey", "kafka"])
@pytest.mark.timeout(300)
def test_killing_an_agent_in_the_middle_loses_and_doubles_nothing(
    bus: str, mesh_project: Path, provider: Provider, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = {"MODEL_URL": provider.url, "MODEL_NAME": "stub"}
    if bus == "kafka":
        broker: Broker = request.getfixturevalue("kafka_broker")
        settings |= {"BUS_URL": broker.url, "BUS_PREFIX": request.getfixturevalue("kafka_namespace")}
    provider.answer = {"accepted": True, "reason": "Yes."}
    with run_mesh(mesh_project, tmp_path, **settings) as mesh:
        before = mesh.post({"item": "Tea", "quantity": 1, "amount": 1})
        assert mesh.decision(before)["decided_by"] == "model"
        provider.hold()
        orders = [mesh.post({"item": f"Tea {number}", "quantity": 1, "amount": 1}) for number in range(20)]
        until(lambda: len(provider.asked) > 4, SOON_S)
        victim = mesh.process_of("reviewer")
        provider.release()
        # Some are told and not committed, some are with the model, some wait: now the process is gone.
        mesh.decision(orders[0])
        victim.kill()
        victim.wait(SOON_S)
        # What is done again is told before what comes after it.
        for number in range(3):
            orders.append(mesh.post({"item": f"More tea {number}", "quantity": 1, "amount": 1}))
            mesh.decision(orders[-1])
        for order in orders:
            assert mesh.decision(order)["decided_by"] == "model"
            assert [one["type"] for one in mesh.story(order)["events"]] == ["order.placed", "order.decided"]
        assert mesh.process_of("reviewer").pid != victim.pid
        assert mesh.command("dead", "reviewer") == "reviewer has given up nothing.\n"
    assert not [child for child in mesh.children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.timeout(300)
def test_processes_that_share_an_agent_lose_nothing_when_one_comes_or_goes(
    mesh_project: Path, tmp_path: Path, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """What was read while partitions changed hands was passed over once: each change reads from what is committed."""
    with ExitStack() as stack:
        settings = {"BUS_URL": kafka_broker.url, "BUS_PREFIX": kafka_namespace}
        mesh = stack.enter_context(run_mesh(mesh_project, tmp_path, **settings))
        others: list[subprocess.Popen[bytes]] = []

        def another() -> None:
            others.append(mesh.start("reviewer"))
            stack.callback(others[-1].wait, SOON_S)
            stack.callback(others[-1].kill)

        orders: list[str] = []
        for number in range(300):
            orders.append(mesh.post({"item": f"Tea {number}", "quantity": 1, "amount": 1}))
            if number in (0, 150):
                another()
            if number in (0, 60, 149, 220):
                # It has joined, or its place is known to be empty, when this one is through.
                mesh.decision(orders[-1])
            if number == 100:
                others[0].kill()
        for order in orders:
            mesh.decision(order)
        # One that ends as it should hands over at once.
        others[1].terminate()
        assert others[1].wait(SOON_S) == 0
        orders.append(mesh.post({"item": "Last tea", "quantity": 1, "amount": 1}))
        mesh.decision(orders[-1])
        assert {len(mesh.story(order)["events"]) for order in orders} == {2}


def test_the_door_says_when_the_bus_is_away_and_goes_on_when_it_is_back(mesh_project: Path, tmp_path: Path) -> None:
    with run_mesh(mesh_project, tmp_path) as mesh:
        first = mesh.post({"item": "Tea", "quantity": 1, "amount": 1})
        assert mesh.decision(first)["decided_by"] == "rule"
        valkey = next(child for child in mesh.children if "valkey" in child.name())
        valkey.kill()
        valkey.wait(SOON_S)
        # The supervisor starts it again, and what it had acknowledged is there.
        second = mesh.post({"item": "Tea", "quantity": 1, "amount": 1}, patient=True)
        assert mesh.decision(second)["decided_by"] == "rule"
        assert len(mesh.story(first)["events"]) == 2

"""BUS-8: what can be known of the Docker files without Docker: form, safety, and that their commands run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.fixtures.kafka import LAUNCHER, Broker, kafka_server
from tests.fixtures.mesh import PACKAGE, decided, run_parts
from tests.fixtures.processes import ROOT, free_port

pytestmark = pytest.mark.integration

SCHEMA = ROOT / "tests" / "fixtures" / "compose_spec" / "compose-spec.json"
SOON_S = 60.0
SECRET = re.compile(r"KEY|PASSWORD|SECRET|TOKEN")
ASKED_FOR = re.compile(r"\$\{[A-Z_]+:-\}")


@pytest.fixture(params=["sample", "wide"])
def folder(request: pytest.FixtureRequest, mesh_trees: Path) -> Path:
    return mesh_trees / request.param


def composed(folder: Path) -> dict[str, Any]:
    """The Compose file as Compose reads it: with what is merged by << put in."""
    return yaml.safe_load((folder / "docker-compose.yml").read_text())


def instructions(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "Dockerfile").read_text().splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word and word != "#"]


def test_the_compose_file_is_one_by_the_public_schema(folder: Path) -> None:
    schema = json.loads(SCHEMA.read_text())
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(composed(folder))] == []
    broken = composed(folder)
    broken["services"]["kafka"]["healtcheck"] = broken["services"]["kafka"].pop("healthcheck")
    assert not jsonschema.Draft7Validator(schema).is_valid(broken)


def test_each_part_waits_for_a_kafka_that_says_when_it_is_well(folder: Path) -> None:
    file = composed(folder)
    for name, service in file["services"].items():
        for other, wait in service.get("depends_on", {}).items():
            assert wait == {"condition": "service_healthy"}
            assert file["services"][other]["healthcheck"]["test"][0] == "CMD", name
    mounted = {place.partition(":")[0] for one in file["services"].values() for place in one.get("volumes", [])}
    assert mounted - {"./asyncapi"} == set(file["volumes"])


def test_images_have_versions_that_were_tried(folder: Path) -> None:
    """The broker is the version that all tests run on; Python is one that the project is made for."""
    version = re.search(r"<kafka.version>([\d.]+)<", (LAUNCHER.parent / "pom.xml").read_text())
    assert version is not None
    images = [service["image"] for service in composed(folder)["services"].values() if "image" in service]
    assert images == [f"apache/kafka:{version[1]}"]
    [base] = [rest for word, rest in instructions(folder) if word == "FROM"]
    assert base in {f"python:3.{minor}-slim" for minor in (11, 12, 13, 14)}


def test_nothing_is_open_to_others_and_nothing_is_secret(folder: Path) -> None:
    for service in composed(folder)["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert "no-new-privileges:true" in service["security_opt"]
        assert not service.keys() & {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices", "user"}
        for name, value in service["environment"].items():
            assert not SECRET.search(name) or ASKED_FOR.fullmatch(value), name
    words = [word for word, _ in instructions(folder)]
    users = [rest for word, rest in instructions(folder) if word == "USER"]
    assert users[-1] not in ("root", "0")
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not {"ADD", "ARG", "ENV"} & set(words)
    ignored = (folder / ".dockerignore").read_text().split()
    assert {".env", "certs", ".git", "data"} <= set(ignored)
    assert {".env", "certs/", "data/"} <= set((folder / ".gitignore").read_text().split())


def test_the_brokers_settings_are_some_that_kafka_takes(
    mesh_project: Path, tmp_path: Path, kafka_broker: Broker
) -> None:
    """Its image makes a file of what begins with KAFKA_; Kafka reads that when it formats its folder."""
    told = composed(mesh_project)["services"]["kafka"]["environment"]
    settings = {name.removeprefix("KAFKA_").lower().replace("_", "."): str(value) for name, value in told.items()}
    settings["log.dirs"] = str(tmp_path / "data")
    file = tmp_path / "server.properties"
    jars = kafka_server.libraries()

    def formatted() -> subprocess.CompletedProcess[str]:
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        tool = [kafka_server.java(), "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "-c", str(file)]
        identity = ["-t", "5L6g3nShT-eMCtK--X86sw"]
        return subprocess.run([*tool, *identity], capture_output=True, text=True, check=False, timeout=SOON_S)

    done = formatted()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "data" / "meta.properties").exists()
    settings["advertised.listeners"] = "PLAIN://kafka:9092"
    assert formatted().returncode != 0


def staged(folder: Path, image: Path) -> list[str]:
    """Put there what the Dockerfile copies, and nothing else; return its entry point."""
    for word, rest in instructions(folder):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                place = image / target / (source if target.endswith("/") else "")
                copy = shutil.copytree if (folder / source).is_dir() else shutil.copy
                copy(folder / source, place)
    return json.loads(dict(instructions(folder))["ENTRYPOINT"])


def test_the_containers_commands_bring_an_order_to_its_decision(
    mesh_project: Path, tmp_path: Path, kafka_broker: Broker, kafka_namespace: str
) -> None:
    port, image = str(free_port()), tmp_path / "image"
    image.mkdir()
    assert staged(mesh_project, image) == ["python", "-m", PACKAGE]
    services = composed(mesh_project)["services"]
    around = {"BUS_URL": kafka_broker.url, "BUS_PREFIX": kafka_namespace, "HOST": "127.0.0.1", "PORT": port}
    parts = dict[str, dict[str, str]]()
    for name in services.keys() - {"kafka"}:
        assert services[name]["command"] == (["api"] if name == "api" else ["run", name])
        told = {word: ASKED_FOR.sub("", str(value)) for word, value in services[name]["environment"].items()}
        assert around.keys() - told.keys() <= {"BUS_PREFIX", "HOST", "PORT"}
        parts[name] = told | around
    probe = services["api"]["healthcheck"]["test"]
    assert probe[:2] == ["CMD", "python"]

    def is_well(at: str) -> bool:
        command = [sys.executable, *(word.replace(":8080", f":{at}") for word in probe[2:])]
        return subprocess.run(command, capture_output=True, check=False, timeout=SOON_S).returncode == 0

    assert not is_well(port)
    with run_parts(image, tmp_path, parts):
        assert decided(f"http://127.0.0.1:{port}", {"item": "Tea", "quantity": 1, "amount": 1})["decided_by"] == "rule"
        assert is_well(port)

"""BUS-8: a generated mesh on a Kafka that asks who comes: let in by each way, or told why not and what to do."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import redis

from tests.fixtures.kafka import Broker
from tests.fixtures.kafka_doors import KEY_PASSWORD, PASSWORD, USERNAME
from tests.fixtures.mesh import PACKAGE, bare_environment, decided, run_mesh, run_parts
from tests.fixtures.processes import free_port
from tests.fixtures.valkey import PrivateValkey

pytestmark = pytest.mark.integration

Way = Callable[[Broker], dict[str, str]]
GUESSED = "guessed-secret"


def by_password(door: str, mechanism: str, *, scheme: str = "", host: str = "", **changes: str) -> Way:
    """SASL, on TLS where the door has it; changes are settings, to leave one out say ''."""

    def of(broker: Broker) -> dict[str, str]:
        found, _, place = str(getattr(broker, door)).partition("://")
        url = f"{scheme or found}://{place.replace('127.0.0.1', host) if host else place}"
        tls = {"BUS_CA_FILE": str(broker.papers.authority)} if url.startswith("kafkas") else {}
        login = {"BUS_USERNAME": USERNAME, "BUS_PASSWORD": PASSWORD, "BUS_MECHANISM": mechanism}
        return {"BUS_URL": url, **login, **tls, **changes}

    return of


def by_certificate(name: str, **changes: str) -> Way:
    def of(broker: Broker) -> dict[str, str]:
        shown = {"BUS_CERT_FILE": str(broker.papers.of(name))} if name else {}
        return {"BUS_URL": broker.mutual_url, "BUS_CA_FILE": str(broker.papers.authority), **shown, **changes}

    return of


def by_url(broker: Broker) -> dict[str, str]:
    return {"BUS_URL": broker.password_url.replace("://", f"://{USERNAME}:{PASSWORD}@")}


def of_another_authority(broker: Broker) -> dict[str, str]:
    return {**by_password("secure_url", "PLAIN")(broker), "BUS_CA_FILE": str(broker.papers.other_authority)}


def outdated(broker: Broker) -> dict[str, str]:
    return {"BUS_URL": broker.outdated_url, "BUS_CA_FILE": str(broker.papers.authority)}


@pytest.mark.timeout(180)
def test_an_order_is_decided_on_a_kafka_that_asks_for_a_user(
    mesh_project: Path, tmp_path: Path, kafka_broker: Broker, kafka_namespace: str
) -> None:
    way = by_password("secure_url", "SCRAM-SHA-512")(kafka_broker)
    with run_mesh(mesh_project, tmp_path, BUS_PREFIX=kafka_namespace, **way) as mesh:
        placed = mesh.post({"item": "Green tea", "quantity": 2, "amount": 19.8})
        assert mesh.decision(placed)["decided_by"] == "rule"
        assert mesh.command("dead", "reviewer") == "reviewer has given up nothing.\n"
    _nothing_odd_was_printed(tmp_path / "printed")


def _nothing_odd_was_printed(file: Path) -> None:
    printed = file.read_text()
    assert "Traceback" not in printed
    assert PASSWORD not in printed
    assert KEY_PASSWORD not in printed


@pytest.mark.timeout(180)
def test_parts_may_be_let_in_by_ways_of_their_own(
    mesh_project: Path, tmp_path: Path, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """The door by PLAIN, the reviewer by a certificate whose key is locked: each reads and writes."""
    ways = {
        "api": by_password("secure_url", "PLAIN"),
        "reviewer": by_certificate("locked", BUS_KEY_PASSWORD=KEY_PASSWORD),
    }
    port = str(free_port())
    around = {"BUS_PREFIX": kafka_namespace, "PORT": port}
    with run_parts(mesh_project, tmp_path, {name: around | way(kafka_broker) for name, way in ways.items()}):
        order = {"item": "Green tea", "quantity": 2, "amount": 19.8}
        assert decided(f"http://127.0.0.1:{port}", order)["decided_by"] == "rule"
    for name in ways:
        _nothing_odd_was_printed(tmp_path / name / "printed")


@pytest.fixture
def runtime(mesh_project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Modules of the generated runtime, by attribute, in this process."""
    monkeypatch.syspath_prepend(mesh_project)
    yield importlib.import_module(f"{PACKAGE}.runtime.command")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


async def _knock(runtime: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    await runtime.let_in(runtime.load())


@pytest.mark.parametrize(
    "way",
    [
        by_password("secure_url", "scram-sha-256"),
        by_password("password_url", ""),
        by_url,
        by_certificate("worker"),
    ],
    ids=["SCRAM-SHA-256", "PLAIN in the clear", "by URL", "certificate"],
)
async def test_other_ways_in_are_open_too(
    way: Way, runtime: Any, kafka_broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await _knock(runtime, monkeypatch, way(kafka_broker))
    assert "Waiting for the bus" not in caplog.text


@pytest.mark.parametrize(
    ("way", "cause", "fix"),
    [
        (by_password("secure_url", "PLAIN", BUS_PASSWORD=GUESSED), "refuses this user", "BUS_PASSWORD"),
        (by_password("password_url", "PLAIN", BUS_PASSWORD=GUESSED), "refuses this user", "BUS_PASSWORD"),
        (by_password("secure_url", "SCRAM-SHA-512", BUS_PASSWORD=GUESSED), "refuses this user", "BUS_PASSWORD"),
        (by_password("secure_url", "SCRAM-SHA-256", BUS_USERNAME="mallory"), "refuses this user", "BUS_USERNAME"),
        (by_password("password_url", "SCRAM-SHA-512"), "does not offer", "BUS_MECHANISM"),
        (by_password("url", "PLAIN"), "takes no user", "BUS_USERNAME"),
        (by_password("secure_url", "PLAIN", BUS_CA_FILE=""), "not trusted", "BUS_CA_FILE"),
        (of_another_authority, "not trusted", "BUS_CA_FILE"),
        (outdated, "has expired", "Renew"),
        (by_password("secure_url", "PLAIN", host="localhost"), "another name", "BUS_URL"),
        (by_certificate(""), "refuses the client certificate", "BUS_CERT_FILE"),
        (by_certificate("stranger"), "refuses the client certificate", "BUS_CERT_FILE"),
    ],
    ids=["wrong password, TLS", "wrong password", "wrong password, SCRAM", "unknown user", "wrong mechanism",
         "user where none is asked for", "unknown authority", "another authority", "expired", "another name",
         "no certificate", "certificate of a stranger"],
)  # fmt: skip
async def test_who_is_refused_is_told_why_and_what_to_do(
    way: Way, cause: str, fix: str, runtime: Any, kafka_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(runtime.BusRefused) as refused:
        await _knock(runtime, monkeypatch, way(kafka_broker))
    assert cause in str(refused.value)
    assert fix in str(refused.value)
    assert GUESSED not in str(refused.value)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (by_password("secure_url", "PLAIN", scheme="kafka"), "Write kafkas://"),
        (lambda broker: {"BUS_URL": broker.password_url}, "set BUS_USERNAME"),
        (lambda broker: {"BUS_URL": broker.url.replace("kafka", "kafkas")}, "write kafka://"),
        (lambda _: {"BUS_URL": "kafka://127.0.0.1:1"}, "127.0.0.1:1 cannot be reached"),
    ],
    ids=["plain to TLS", "no user", "TLS to plain", "nobody there"],
)
async def test_a_broker_that_says_nothing_is_waited_for_with_what_it_may_mean(
    way: Way,
    said: str,
    runtime: Any,
    kafka_broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may be on its way down or up: that is no reason to end."""
    await _knock(runtime, monkeypatch, way(kafka_broker))
    assert "Waiting for the bus: " in caplog.text
    assert said in caplog.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"BUS_USERNAME": "alice"}, "BUS_USERNAME is for Kafka"),
        ({"BUS_URL": "kafka://h", "BUS_USERNAME": "alice"}, "Set BUS_PASSWORD"),
        ({"BUS_URL": "kafka://h", "BUS_PASSWORD": GUESSED}, "BUS_USERNAME is not set"),
        ({"BUS_URL": "kafka://h", "BUS_MECHANISM": "GSSAPI"}, "Use one of PLAIN, SCRAM-SHA-256"),
        ({"BUS_URL": f"kafka://a:{GUESSED}@h", "BUS_USERNAME": "b"}, "Keep BUS_USERNAME"),
        ({"BUS_URL": f"kafka://a:{GUESSED}@h:x"}, "names no broker"),
        ({"BUS_URL": "kafka://h:70000"}, "names no broker"),
        ({"BUS_URL": f"kafka://{'h' * 300}"}, "names no broker"),
        ({"BUS_URL": f"redis://a:{GUESSED}/b@h"}, "BUS_URL cannot be read"),
        ({"BUS_URL": "kafka://h", "BUS_CA_FILE": "README.md"}, "Write kafkas://"),
        ({"BUS_URL": "kafkas://h", "BUS_CA_FILE": "/nowhere.pem"}, "BUS_CA_FILE names /nowhere.pem"),
        ({"BUS_URL": "kafkas://h", "BUS_CA_FILE": __file__}, "BUS_CA_FILE cannot be used"),
        ({"BUS_URL": "kafkas://h", "BUS_KEY_FILE": __file__}, "BUS_CERT_FILE is not"),
        ({"BUS_URL": "kafkas://h", "BUS_CERT_FILE": __file__}, "BUS_CERT_FILE cannot be used"),
    ],
)  # fmt: skip
async def test_settings_that_cannot_be_right_are_named(
    settings: dict[str, str], said: str, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(runtime.WrongSetting) as wrong:
        await _knock(runtime, monkeypatch, settings)
    assert said in str(wrong.value)
    assert GUESSED not in str(wrong.value)


async def test_a_locked_key_without_its_password_asks_nobody_at_the_terminal(
    runtime: Any, kafka_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(runtime.WrongSetting, match="BUS_KEY_PASSWORD"):
        await _knock(runtime, monkeypatch, by_certificate("locked")(kafka_broker))


def ended(folder: Path, words: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a process of the mesh, which ends by itself with one line of an error and no secret in it."""
    command = [sys.executable, "-m", PACKAGE, *words]
    done = subprocess.run(command, cwd=folder, env=bare_environment() | settings, capture_output=True, text=True,
                          check=False, timeout=60)  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("Error: ") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert GUESSED not in done.stderr
    return done


def test_a_mesh_that_is_refused_ends_with_one_clear_line(
    mesh_project: Path, tmp_path: Path, kafka_broker: Broker
) -> None:
    way = by_password("secure_url", "SCRAM-SHA-512", BUS_PASSWORD=GUESSED)
    environment = {"DATA": str(tmp_path), "PORT": "0", **way(kafka_broker)}
    for words in (["up"], ["api"], ["run", "reviewer"], ["dead", "reviewer"]):
        done = ended(mesh_project, words, environment)
        assert "refuses this user or password. Correct BUS_USERNAME" in done.stderr


@pytest.mark.parametrize("words", [["up"], ["run", "reviewer"]])
def test_a_valkey_that_asks_for_a_password_is_told_by_name(
    words: list[str], mesh_project: Path, tmp_path: Path
) -> None:
    with TemporaryDirectory() as short:
        valkey = PrivateValkey(Path(short))
        valkey.start()
        with redis.Redis.from_url(valkey.url) as client:
            client.config_set("requirepass", "swordfish")
        try:
            for url in (valkey.url, valkey.url.replace("unix://", f"unix://:{GUESSED}@")):
                settings = {"BUS_URL": url, "DATA": str(tmp_path), "PORT": "0"}
                done = ended(mesh_project, words, settings)
                assert "Correct user and password in BUS_URL" in done.stderr
        finally:
            valkey.kill()


@pytest.mark.parametrize(("around", "scheme"), [({}, "from-the-file"), ({"BUS_URL": "ftp://x"}, "ftp")])
def test_make_up_reads_a_file_of_settings_and_the_environment_goes_before_it(
    around: dict[str, str], scheme: str, mesh_project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(mesh_project, folder)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "ready").touch()
    (folder / ".env").write_text("# a comment\nBUS_URL='from-the-file://$HOME `id` \"x'\nBUS_PREFIX=a.\n")
    environment = {**bare_environment(), "ODD": "a'b\nc$(id)", **around}
    done = subprocess.run(["make", "up", f"PY={sys.executable}"], cwd=folder, env=environment, capture_output=True,
                          text=True, check=False, timeout=60)  # fmt: skip
    assert f"BUS_URL begins with '{scheme}'" in done.stderr

"""OPS-1, IDN-1, IDN-2: what people type, and what they are told when it cannot be done."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.processes import ROOT, free_port

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"
Done = subprocess.CompletedProcess[str]
Autoweave = Callable[..., Done]


@pytest.fixture(scope="module")
def autoweave(tmp_path_factory: pytest.TempPathFactory) -> Autoweave:
    """The command on an installation of its own, with one tenant."""
    data = tmp_path_factory.mktemp("cli") / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOWEAVE_")}
    environment |= {"AUTOWEAVE_DATA": str(data), "AUTOWEAVE_PORT": str(free_port())}

    def run(*words: str, given: str = "", **more: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "backend", *words],
            input=given,
            capture_output=True,
            text=True,
            env=environment | more,
            cwd=ROOT,
            check=False,
        )

    newest = max(file.name[:4] for file in (ROOT / "alembic" / "versions").glob("[0-9]*.py"))
    assert run("migrate").stdout == f"The database is at version {newest}.\n"
    made = run("admin", "create", "--email", "ada@example.org", "--password-stdin", given=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    return run


def test_the_first_administrator_gets_a_tenant_with_its_starter_agent(autoweave: Autoweave) -> None:
    """AGT-1."""
    agents = json.loads(autoweave("agent", "list", "--json").stdout)
    assert [agent["slug"] for agent in agents] == ["concierge"]
    assert json.loads(autoweave("agent", "show", "concierge", "--json").stdout) == agents[0]
    assert "Concierge" in autoweave("agent", "show", "concierge").stdout


def test_an_agent_is_stopped_started_shown_hidden_and_terminated(autoweave: Autoweave) -> None:
    """AGT-3 BUS-7."""
    for verb, status in (("stop", "STOPPED"), ("start", "RUNNING"), ("publish", "RUNNING"), ("unpublish", "RUNNING")):
        done = autoweave("agent", verb, "concierge")
        assert done.returncode == 0, done.stderr
        assert "concierge" in done.stdout
        assert json.loads(autoweave("agent", "show", "concierge", "--json").stdout)["status"] == status
    assert autoweave("agent", "terminate", "concierge", given="n\n").returncode != 0
    assert "no agent" in autoweave("agent", "terminate", "nobody", "--yes").stderr
    assert autoweave("agent", "terminate", "concierge", "--yes").returncode == 0
    assert json.loads(autoweave("agent", "list", "--json").stdout) == []
    assert "terminated" in autoweave("agent", "start", "concierge").stderr


def test_a_key_is_printed_once_as_text_or_as_json(autoweave: Autoweave) -> None:
    secret = autoweave("key", "create", "--name", "one", "--scopes", "agents:read").stdout.strip()
    told = json.loads(
        autoweave("key", "create", "--name", "two", "--scopes", "agents:read,agents:run", "--json").stdout
    )
    assert secret.startswith("aw_")
    assert told["key"] != secret
    assert sorted(told["scopes"]) == ["agents:read", "agents:run"]


def test_with_several_tenants_one_is_named(autoweave: Autoweave) -> None:
    """IDN-3."""
    words = ("tenant", "create", "Second", "--admin-email", "bob@example.org", "--password-stdin")
    made = autoweave(*words, given=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    refused = autoweave("agent", "list")
    assert refused.returncode == 2
    assert "tenant" in refused.stderr
    assert "concierge" in autoweave("agent", "list", "--tenant", "second").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("agent", "show", "nobody", "--tenant", "second"), "nobody"),
        (("key", "create", "--name", "x", "--scopes", "nope", "--tenant", "second"), "nope"),
        (("admin", "create", "--email", "no address", "--password-stdin"), "mail"),
        (("admin", "create", "--email", "eve@example.org"), "--password-stdin"),
        (("--database-url", "mysql://a/b", "migrate"), "postgresql://"),
        (("run", "all", "--port", "x"), "1 to 65535"),
        (("run", "worker", "--roles", "nothing"), "agents, jobs, relay, hotplug"),
        (("run", "nothing"), "invalid choice"),
        (("nothing",), "No such command"),
    ],
)
def test_wrong_use_has_a_cause_a_fix_and_code_2(autoweave: Autoweave, words: tuple[str, ...], told: str) -> None:
    done = autoweave(*words, given=f"{PASSWORD}\n")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_down_has_a_cause_a_fix_and_code_1(autoweave: Autoweave) -> None:
    done = autoweave("migrate", AUTOWEAVE_DATABASE_URL=f"postgresql://a:word-of-db@127.0.0.1:{free_port()}/b")
    assert done.returncode == 1
    assert "AUTOWEAVE_DATABASE_URL" in done.stderr
    assert "word-of-db" not in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_says_of_each_part_whether_it_works(autoweave: Autoweave) -> None:
    found = {each["name"]: each for each in json.loads(autoweave("doctor", "--json").stdout)}
    assert found.keys() == {"python", "data", "database", "valkey", "bus", "sandbox", "model", "pages", "address"}
    assert all(set(each) == {"name", "ok", "cause", "fix"} for each in found.values())
    for name in ("python", "data", "database", "valkey", "sandbox", "model", "address"):
        assert found[name]["ok"], found[name]


def test_doctor_names_what_is_broken_and_the_fix(autoweave: Autoweave, tmp_path: Path) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}"
    done = autoweave("doctor", "--json", AUTOWEAVE_REDIS_URL=nobody, AUTOWEAVE_DATA=str(tmp_path / "new"))
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 1
    assert "autoweave migrate" in found["database"]["fix"]
    assert not found["valkey"]["ok"]
    assert found["valkey"]["fix"]


def test_the_topics_of_the_bus_are_listed_and_made_as_the_settings_say(autoweave: Autoweave, valkey_url: str) -> None:
    """BUS-1 OPS-1."""
    here = {"AUTOWEAVE_REDIS_URL": valkey_url, "AUTOWEAVE_NAMESPACE": f"cli{os.getpid()}"}
    assert "There are no topics yet" in autoweave("bus", "topics", **here).stdout
    assert autoweave("bus", "apply", **here, AUTOWEAVE_BUS_PARTITIONS="2").stdout == (
        "Every topic is as the settings want it.\n"
    )
    more = here | {"AUTOWEAVE_BUS_PARTITIONS": "3", "AUTOWEAVE_BUS_RETENTION": "24"}
    told = json.loads(autoweave("bus", "topics", "--json", **more).stdout)
    assert {topic["partitions"] for topic in told["topics"]} == {2}
    assert {each["setting"] for each in told["differences"] if each["topic"] == "aw.chat"} == {
        "partitions",
        "retention.ms",
    }
    done = autoweave("bus", "apply", **more)
    assert done.returncode == 1
    assert "changed  aw.chat: retention.ms from 604800000 to 86400000" in done.stdout
    assert "`autoweave bus apply --partitions` does it all the same." in done.stdout
    assert autoweave("bus", "apply", "--partitions", **more).returncode == 0
    doctor = autoweave("doctor", **here, AUTOWEAVE_BUS_PARTITIONS="4").stdout
    assert "aw.agents: partitions is 3, wanted is 4. `autoweave bus topics` lists all" in doctor


def test_the_web_role_alone_stays_on_loopback_without_an_administrator(autoweave: Autoweave, tmp_path: Path) -> None:
    """IDN-1."""
    new = {"AUTOWEAVE_DATA": str(tmp_path / "new")}
    assert autoweave("migrate", **new).returncode == 0
    done = autoweave("run", "web", "--host", "0.0.0.0", **new)
    assert done.returncode == 2
    assert "autoweave admin create" in done.stderr


def test_help_lists_every_command(autoweave: Autoweave) -> None:
    told = autoweave("--help").stdout
    for command in ("run", "migrate", "doctor", "admin", "tenant", "key", "agent"):
        assert command in told
    assert "worker" in autoweave("run", "--help").stdout

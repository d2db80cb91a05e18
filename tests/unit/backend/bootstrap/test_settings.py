"""OPS-1: settings come from four sources, and a wrong one is named with its source and the fix."""

from dataclasses import fields
from pathlib import Path

import pytest

from backend.bootstrap.settings import SETTINGS, Settings, WrongSetting, load


def test_defaults_need_nothing(tmp_path: Path) -> None:
    settings = load(environ={}, file=tmp_path / "absent.toml")
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "offline")
    assert settings.database_url == f"sqlite:///{settings.data}/autoweave.db"
    assert settings.data == Path.cwd() / ".autoweave"
    assert settings.embedded_redis
    assert settings.loopback
    assert set(settings.sources.values()) == {"default"}


def test_a_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "autoweave.toml"
    file.write_text('port = 8001\nmodel = "ollama:a"\nlog_format = "json"\nallowed_hosts = ["a.example", "b.example"]')
    environ = {"AUTOWEAVE_PORT": "8002", "AUTOWEAVE_MODEL": "ollama:b"}
    settings = load({"port": "8003", "host": None}, environ=environ, file=file)
    assert (settings.port, settings.model, settings.log_format) == (8003, "ollama:b", "json")
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.sources["port"] == "--port"
    assert settings.sources["model"] == "AUTOWEAVE_MODEL"
    assert settings.sources["log_format"] == f"log_format in {file}"


def test_every_setting_has_a_field() -> None:
    assert {field.name for field in fields(Settings)} == {setting.key for setting in SETTINGS} | {"sources"}


def test_the_environment_of_a_child_gives_the_same_settings(tmp_path: Path) -> None:
    environ = {
        "AUTOWEAVE_DATA": str(tmp_path),
        "AUTOWEAVE_BUS_URL": "kafka://a:9092,b:9092",
        "AUTOWEAVE_TRUSTED_PROXIES": "10.0.0.0/8, 192.168.1.7",
        "ANTHROPIC_API_KEY": "made-up",
    }
    settings = load({"port": "9000"}, environ=environ, file=tmp_path / "absent.toml")
    again = load(environ=settings.environment(), file=tmp_path / "absent.toml")
    assert again.shown() == settings.shown()
    assert again.anthropic_api_key == "made-up"


def test_the_bus_takes_what_its_adapter_takes(tmp_path: Path) -> None:
    """BUS-1: TLS by the URL, user, password and certificates by settings of their own."""
    certificate = tmp_path / "client.pem"
    certificate.touch()
    environ = {
        "AUTOWEAVE_BUS_URL": "kafkas://a:9093,b",
        "AUTOWEAVE_BUS_USERNAME": "house",
        "AUTOWEAVE_BUS_PASSWORD": "a very good one",
        "AUTOWEAVE_BUS_MECHANISM": "PLAIN",
    }
    file = tmp_path / "autoweave.toml"
    file.write_text(f'bus_ca_file = "{certificate}"\nbus_cert_file = "{certificate}"')
    settings = load(environ=environ, file=file)
    assert (settings.bus_username, settings.bus_password) == ("house", "a very good one")
    assert settings.bus_ca_file == settings.bus_cert_file == str(certificate)
    assert "a very good one" not in repr(settings)
    again = load(environ=settings.environment(), file=tmp_path / "absent.toml")
    assert again.shown() == settings.shown()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"BUS_URL": "kafka://a", "BUS_USERNAME": "house"}, "not AUTOWEAVE_BUS_PASSWORD"),
        ({"BUS_URL": "kafka://a", "BUS_PASSWORD": "word"}, "not AUTOWEAVE_BUS_USERNAME"),
        ({"BUS_USERNAME": "house", "BUS_PASSWORD": "word"}, "not AUTOWEAVE_BUS_URL"),
        ({"BUS_URL": "kafkas://a", "BUS_KEY_FILE": __file__}, "not AUTOWEAVE_BUS_CERT_FILE"),
        ({"BUS_URL": "kafka://a", "BUS_CA_FILE": __file__}, "is for TLS"),
        ({"BUS_URL": "kafka://a", "BUS_MECHANISM": "OAUTHBEARER"}, "go together"),
        ({"BUS_URL": "kafka://a", "BUS_TOKEN_URL": f"file://{__file__}"}, "go together"),
        (
            {"BUS_URL": "kafka://a", "BUS_TOKEN_URL": "https://a/token", "BUS_MECHANISM": "OAUTHBEARER"},
            "not AUTOWEAVE_BUS_USERNAME",
        ),
        ({"BUS_URL": "kafka://a", "BUS_TOKEN_SCOPE": "all"}, "not AUTOWEAVE_BUS_TOKEN_URL"),
    ],
)
def test_what_is_told_of_the_bus_without_what_it_belongs_to_is_refused(
    given: dict[str, str], words: str, tmp_path: Path
) -> None:
    """BUS-1."""
    environ = {f"AUTOWEAVE_{name}": value for name, value in given.items()}
    with pytest.raises(WrongSetting, match=words):
        load(environ=environ, file=tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("AUTOWEAVE_HOST", "http://localhost", "127.0.0.1"),
        ("AUTOWEAVE_PORT", "80000", "1 to 65535"),
        ("AUTOWEAVE_PORT", "tcp://10.0.0.1:8000", "enableServiceLinks"),
        ("AUTOWEAVE_DATABASE_URL", "mysql://a/b", "postgresql://"),
        ("AUTOWEAVE_REDIS_URL", "localhost:6379", "redis://"),
        ("AUTOWEAVE_BUS_URL", "localhost:9092", "kafka://"),
        ("AUTOWEAVE_BUS_URL", "kafka://user@host:9092", "settings of their own"),
        ("AUTOWEAVE_BUS_MECHANISM", "GSSAPI", "SCRAM-SHA-512"),
        ("AUTOWEAVE_BUS_CA_FILE", "/nowhere/ca.pem", "no such file"),
        ("AUTOWEAVE_BUS_TOKEN_URL", "http://issuer.example/token", "https://"),
        ("AUTOWEAVE_BUS_TOKEN_URL", "https://user@issuer.example/token", "https://"),
        ("AUTOWEAVE_BUS_TOKEN_URL", "https:///token", "https://"),
        ("AUTOWEAVE_BUS_TOKEN_URL", "issuer.example/token", "https://"),
        ("AUTOWEAVE_BUS_TOKEN_URL", "file:///nowhere/token", "no such file"),
        ("AUTOWEAVE_MODEL", "gpt", "openai:<name>"),
        ("AUTOWEAVE_LOG_FORMAT", "xml", "plain or json"),
        ("AUTOWEAVE_WEB_WORKERS", "0", "1 to 64"),
        ("AUTOWEAVE_WORKERS", "many", "1 to 64"),
        ("AUTOWEAVE_TRUSTED_PROXIES", "10.0.0.0/99", "10.0.0.0/8"),
        ("AUTOWEAVE_ALLOWED_HOSTS", "a b", "host name"),
        ("OPENAI_BASE_URL", "localhost", "http://"),
    ],
)
def test_a_wrong_setting_is_named_with_its_source_and_the_fix(
    variable: str, value: str, fix: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongSetting) as caught:
        load(environ={variable: value}, file=tmp_path / "absent.toml")
    assert variable in caught.value.message
    assert value in caught.value.message
    assert fix in caught.value.hint


def test_a_misspelt_variable_is_refused_with_the_right_name(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="AUTOWEAVE_PROT") as caught:
        load(environ={"AUTOWEAVE_PROT": "1"}, file=tmp_path / "absent.toml")
    assert "AUTOWEAVE_PORT" in caught.value.hint


def test_variables_that_kubernetes_adds_are_let_be(tmp_path: Path) -> None:
    environ = {"AUTOWEAVE_PORT_8000_TCP": "tcp://10.0.0.1:8000", "AUTOWEAVE_SERVICE_HOST": "10.0.0.1"}
    assert load(environ=environ, file=tmp_path / "absent.toml").port == 8000


@pytest.mark.parametrize(
    ("text", "words"), [("prot = 1", "port"), ("port = ", "Correct the file"), ('port = "x"', "1 to 65535")]
)
def test_a_wrong_file_is_named(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "autoweave.toml"
    file.write_text(text)
    with pytest.raises(WrongSetting, match=r"autoweave\.toml") as caught:
        load(environ={}, file=file)
    assert words in caught.value.hint


def test_all_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match=r"(?s)AUTOWEAVE_PORT.*AUTOWEAVE_MODEL"):
        load(environ={"AUTOWEAVE_PORT": "x", "AUTOWEAVE_MODEL": "x"}, file=tmp_path / "absent.toml")


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """IDN-6."""
    environ = {
        "OPENAI_API_KEY": "key-of-openai",
        "AUTOWEAVE_DATABASE_URL": "postgresql://me:word-of-db@db/x",
        "AUTOWEAVE_REDIS_URL": "redis://:word-of-redis@cache:6379",
    }
    settings = load(environ=environ, file=tmp_path / "absent.toml")
    for secret in ("key-of-openai", "word-of-db", "word-of-redis"):
        assert secret not in repr(settings)
    assert settings.openai_api_key == "key-of-openai"


def test_a_wrong_url_is_named_without_its_password(tmp_path: Path) -> None:
    """IDN-6."""
    with pytest.raises(WrongSetting) as caught:
        load(environ={"AUTOWEAVE_DATABASE_URL": "mysql://me:word@db/x"}, file=tmp_path / "absent.toml")
    assert "word" not in caught.value.message


@pytest.mark.parametrize(("host", "expected"), [("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)])
def test_loopback_is_told_from_the_rest(host: str, expected: bool, tmp_path: Path) -> None:
    """IDN-1."""
    settings = load({"host": host}, environ={}, file=tmp_path / "absent.toml")
    assert settings.loopback is expected
    assert settings.url.endswith(":8000")

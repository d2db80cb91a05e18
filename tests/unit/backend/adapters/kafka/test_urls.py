"""The bus URL and the credentials."""

from pathlib import Path

import pytest

from backend.adapters.kafka.urls import KafkaSecurity, KafkaTarget, parse_url, tls_context
from backend.foundation.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("url", "servers", "tls"),
    [
        ("kafka://localhost:9092", ("localhost:9092",), False),
        ("kafka://localhost", ("localhost:9092",), False),
        ("kafka://a:1,b:2", ("a:1", "b:2"), False),
        ("kafka://a:1, b", ("a:1", "b:9092"), False),
        ("kafka://broker.example/", ("broker.example:9092",), False),
        ("kafkas://a:9093", ("a:9093",), True),
        ("kafka://[::1]:9092,[fe80::1]", ("[::1]:9092", "[fe80::1]:9092"), False),
    ],
)
def test_a_url_names_its_brokers(url: str, servers: tuple[str, ...], tls: bool) -> None:
    """BUS-1."""
    assert parse_url(url) == KafkaTarget(servers, tls)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9092",
        "redis://localhost",
        "kafka://",
        "kafka://,a:1",
        "kafka://a:1,",
        "kafka://a:0",
        "kafka://a:70000",
        "kafka://a:port",
        "kafka://a:",
        "kafka://:9092",
        "kafka://a:1:2",
        "kafka://a:1/topic",
        "kafka://a:1?x=y",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_way_to_write_it(url: str) -> None:
    """BUS-1."""
    with pytest.raises(Invalid) as refused:
        parse_url(url)
    assert "kafka://host:port" in refused.value.hint


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    """BUS-1: URLs end up in logs."""
    with pytest.raises(Invalid) as refused:
        parse_url("kafka://user:hunter2@a:9092")
    assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"


def test_a_password_is_not_shown() -> None:
    """BUS-1."""
    assert "hunter2" not in repr(KafkaSecurity(username="user", password="hunter2"))


def test_tls_verifies_the_name_of_the_broker() -> None:
    """BUS-1."""
    assert tls_context(KafkaSecurity()).check_hostname


def test_a_tls_file_that_is_missing_is_told(tmp_path: Path) -> None:
    """BUS-1."""
    with pytest.raises(Invalid, match="cannot be used"):
        tls_context(KafkaSecurity(ca_file=tmp_path / "missing.pem"))

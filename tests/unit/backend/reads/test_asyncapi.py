"""BUS-6, BUS-2: what the AsyncAPI document says is what the codec does."""

from functools import partial

import jsonschema
import pytest

from backend.foundation.bus.rules import plan_of
from backend.foundation.events.codec import Undecodable, decode, encode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE, EventGivenUp, EventType
from backend.foundation.kernel.ids import TenantId
from backend.reads.asyncapi import document
from tests.architecture.source import ROOT

ENTRIES = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))


def sent(entry: EventType) -> tuple[dict[str, str], bytes]:
    event = Event(
        type=entry.name, tenant=TenantId("tnt_1"), key="k", data=entry.example, source="/x", subject="s",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )  # fmt: skip
    return encode(event).headers, encode(event).value


@ENTRIES
def test_the_headers_are_those_of_the_codec(entry: EventType) -> None:
    schema = document()["components"]["messages"][entry.name]["headers"]
    headers, _ = sent(entry)
    jsonschema.validate(headers, schema)
    assert set(headers) == set(schema["properties"])


@ENTRIES
def test_a_header_is_required_if_nothing_can_be_read_without_it(entry: EventType) -> None:
    schema = document()["components"]["messages"][entry.name]["headers"]
    headers, value = sent(entry)

    def readable(without: str) -> bool:
        try:
            decode({name: text for name, text in headers.items() if name != without}, value)
        except Undecodable:
            return False
        return True

    assert {name for name in headers if not readable(name)} == set(schema["required"])


@ENTRIES
def test_the_examples_fit_and_can_be_read(entry: EventType) -> None:
    described = document()
    message = described["components"]["messages"][entry.name]
    [example] = message["examples"]
    jsonschema.validate(example["headers"], message["headers"])
    jsonschema.validate(example["payload"], described["components"]["schemas"][entry.data.__name__])
    assert decode(example["headers"], sent(entry)[1]).data == entry.example


@ENTRIES
def test_every_event_has_a_sender_and_each_sender_makes_it(entry: EventType) -> None:
    assert entry.published_by or entry.public
    if entry.data is EventGivenUp:
        # The bus tells it for every room, in one place.
        maker = ROOT / "backend" / "foundation" / "bus" / "service" / "work.py"
        assert '.event_given_up.v1"' in maker.read_text()
        return
    for room in entry.published_by:
        sources = (
            file for floor in ("domain", "foundation") for file in (ROOT / "backend" / floor / room).rglob("*.py")
        )
        assert any(f'type="{entry.name}"' in file.read_text() for file in sources), room


def test_the_document_knows_nothing_of_an_installation() -> None:
    servers = document()["servers"].values()
    assert all(server["host"].startswith("{") for server in servers)


def test_channels_tell_how_topics_have_to_be_by_the_settings_and_the_catalogue() -> None:
    plain, given = (
        document()["channels"],
        document(plan=partial(plan_of, partitions=3, retention_ms=7_200_000))["channels"],
    )
    bindings = {channel["bindings"]["kafka"]["partitions"] for channel in given.values()}
    assert (bindings, plain["aw.chat"]["bindings"]["kafka"]["partitions"]) == ({3}, 8)
    assert given["aw.chat"]["x-retention"] == {
        "kafka": {"cleanup.policy": "delete", "retention.ms": 7_200_000},
        "embedded": {"cleanup.policy": "delete", "retention.ms": 7_200_000, "retention.messages": 20_000},
    }
    assert plain["aw.chat"]["x-retention"]["kafka"]["retention.ms"] == "As the broker is set."
    for channels in (plain, given):
        assert channels["aw.cards"]["x-retention"]["kafka"] == {
            "cleanup.policy": "compact,delete",
            "retention.ms": 691_200_000,
        }

"""BUS-7: a card is an A2A 1.0 agent card, and others verify it by A2A's own means."""

import base64

import msgspec
import pytest
import rfc8785
from a2a.client.card_resolver import parse_agent_card
from a2a.types import AgentCard
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from google.protobuf.json_format import ParseDict
from joserfc import jws
from joserfc.jwk import OKPKey
from jwt import PyJWK

from backend.domain.directory.rules.cards import mesh_of, unsigned
from tests.unit.backend.domain.directory.test_book import BASE, KEY, card


def _verify(given: AgentCard) -> None:
    def key(kid: str | None, jku: str | None) -> PyJWK:
        assert (kid, jku) == (KEY.kid, f"{BASE}/a2a/keys/tnt_house")
        return PyJWK(msgspec.to_builtins(KEY.jwk))

    create_signature_verifier(key, ["EdDSA"])(given)


def test_the_protocols_own_types_read_every_field() -> None:
    read = ParseDict(card(), AgentCard(), ignore_unknown_fields=False)
    assert read.name == "Concierge"
    [interface] = read.supported_interfaces
    assert (interface.url, interface.protocol_binding) == (f"{BASE}/a2a/agt_1", "JSONRPC")
    assert interface.protocol_version == "1.0"
    assert read.capabilities.streaming
    assert not read.capabilities.push_notifications
    assert [skill.id for skill in read.skills] == ["ask"]


def test_the_protocols_own_library_verifies_it_and_sees_an_alteration() -> None:
    _verify(parse_agent_card(card()))
    altered = parse_agent_card(card())
    altered.skills[0].description = "Anything."
    with pytest.raises(InvalidSignaturesError):
        _verify(altered)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_another_library_verifies_the_detached_signature() -> None:
    [signature] = card()["signatures"]
    payload = base64.urlsafe_b64encode(rfc8785.dumps(unsigned(card()))).rstrip(b"=").decode()
    compact = f"{signature['protected']}.{payload}.{signature['signature']}"
    key = OKPKey.import_key(msgspec.to_builtins(KEY.jwk))
    assert jws.deserialize_compact(compact, key, algorithms=["EdDSA"]).headers()["kid"] == key.thumbprint()


def test_a_card_names_its_topics_and_where_their_schemas_are() -> None:
    mesh = mesh_of(card())
    assert {one["type"] for one in mesh.consumes} >= {"agents.start_run.v1", "chat.message_sent.v1"}
    assert {one["topic"] for one in mesh.produces} >= {"aw.runs"}
    assert {one["schema"] for one in mesh.consumes if one["type"] == "agents.start_run.v1"} == {
        f"{BASE}/asyncapi.yaml#/components/messages/agents.start_run.v1"
    }

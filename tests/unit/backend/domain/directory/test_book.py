"""BUS-7: which cards are believed: signed by the tenant's key, for this place, later than those known, and in time."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from backend.domain.directory.rules.book import MOST_AGENTS, Book, Refused
from backend.domain.directory.rules.cards import (
    MESH,
    VALID_S,
    AgentFacts,
    Skill,
    Standing,
    card_of,
    sign_card,
    withdrawal,
)
from backend.domain.directory.rules.keys import TenantKey
from backend.foundation.events.types import CardAnnounced, CardWithdrawn

SECRET, BASE, NOW = b"s" * 32, "http://house.example", 1_800_000_000_000
KEY = TenantKey(SECRET, "tnt_house", f"{BASE}/a2a/keys/tnt_house")
FACTS = AgentFacts(
    tenant="tnt_house", agent="agt_1", name="Concierge", description="Counts words.", version="snp_1",
    status="RUNNING", skills=(Skill(id="ask", name="Ask", description="", tags=("chat",), examples=("Hello",)),),
)  # fmt: skip


def card(sequence: int = NOW, facts: AgentFacts = FACTS, key: TenantKey = KEY) -> dict[str, Any]:
    return sign_card(card_of(facts, Standing(sequence=sequence, since_ms=NOW, public=False), BASE), key)


def told(card: dict[str, Any], sequence: int = NOW, agent: str = "agt_1", valid_s: int = VALID_S) -> CardAnnounced:
    return CardAnnounced(agent=agent, sequence=sequence, valid_s=valid_s, card=msgspec.json.encode(card).decode())


def gone(sequence: int, tenant: str = "tnt_house", key: TenantKey = KEY, named: int = 0) -> CardWithdrawn:
    return CardWithdrawn(
        agent="agt_1", sequence=named or sequence, proof=key.compact(withdrawal(tenant, "agt_1", sequence))
    )


@pytest.fixture
def book() -> Book:
    return Book("tnt_house", KEY)


def refused(book: Book, data: CardAnnounced, now_ms: int = NOW) -> str:
    with pytest.raises(Refused) as error:
        book.announced(data, now_ms=now_ms)
    return error.value.reason


def test_a_card_of_the_tenants_key_is_believed_and_the_same_again_is_no_news(book: Book) -> None:
    assert book.announced(told(card()), now_ms=NOW)
    assert not book.announced(told(card()), now_ms=NOW)
    [known] = book.cards(now_ms=NOW)
    assert (known.agent, known.sequence, known.kid) == ("agt_1", NOW, KEY.kid)


def test_a_card_without_a_signature_or_with_too_many_is_refused(book: Book) -> None:
    signed = card()
    for signatures in ([], signed["signatures"] * 5, None, "x", [{"protected": 1}]):
        assert refused(book, told(signed | {"signatures": signatures})) == "unsigned"
    del signed["signatures"]
    assert refused(book, told(signed)) == "unsigned"


def test_a_card_that_another_key_signed_is_refused_whatever_key_it_brings_along(book: Book) -> None:
    forger = TenantKey(b"f" * 32, "tnt_house", "http://forger.example/keys")
    assert refused(book, told(card(key=forger))) == "unknown_key"
    neighbour = TenantKey(SECRET, "tnt_garden", f"{BASE}/a2a/keys/tnt_garden")
    assert refused(book, told(card(key=neighbour))) == "unknown_key"
    forged = card(key=forger)
    forged["signatures"][0]["protected"] = card()["signatures"][0]["protected"]
    assert refused(book, told(forged)) == "bad_signature"


@pytest.mark.parametrize("part", ["name", "description", "version", "url", "status", "skill"])
def test_a_card_that_was_altered_is_refused(book: Book, part: str) -> None:
    altered = card()
    if part == "url":
        altered["supportedInterfaces"][0]["url"] = "http://forger.example"
    elif part == "status":
        altered["capabilities"]["extensions"][0]["params"]["status"] = "STOPPED"
    elif part == "skill":
        altered["skills"].append({"id": "x", "name": "x", "description": "x", "tags": ["x"]})
    else:
        altered[part] = "another"
    assert refused(book, told(altered)) == "bad_signature"


def test_no_other_algorithm_and_no_unknown_header_is_accepted(book: Book) -> None:
    for header in (
        {"alg": "none", "kid": KEY.kid},
        {"alg": "HS256", "kid": KEY.kid},
        {"alg": "EdDSA", "kid": KEY.kid, "crit": ["exp"]},
        {"alg": "EdDSA"},
    ):
        signed = card()
        signed["signatures"][0]["protected"] = urlsafe_b64encode(msgspec.json.encode(header)).rstrip(b"=").decode()
        assert refused(book, told(signed)) == "unknown_key"
    for nonsense in ("", "!!!!", "a" * 100_00, "eyJ\x00", "\ud800"):
        signed["signatures"][0]["protected"] = nonsense
        text = told(card()).card.replace(card()["signatures"][0]["protected"], nonsense)
        assert refused(book, msgspec.structs.replace(told(card()), card=text)) in {"unknown_key", "malformed"}


def test_a_card_in_the_place_of_another_agent_sequence_or_time_is_refused(book: Book) -> None:
    assert refused(book, told(card(), agent="agt_2")) == "misplaced"
    assert refused(book, told(card(), sequence=NOW + 1)) == "misplaced"
    assert refused(book, told(card(), valid_s=VALID_S * 10)) == "misplaced"
    elsewhere = card(facts=replace(FACTS, tenant="tnt_garden"))
    assert refused(book, told(elsewhere)) == "misplaced"
    assert refused(Book("tnt_garden", TenantKey(SECRET, "tnt_garden", "")), told(card())) == "unknown_key"


def test_an_older_card_is_refused_after_a_later_one_and_after_a_withdrawal(book: Book) -> None:
    book.announced(told(card(NOW + 5), NOW + 5), now_ms=NOW)
    assert refused(book, told(card())) == "replayed"
    assert book.withdrawn(gone(NOW + 6))
    assert not book.withdrawn(gone(NOW + 6))
    assert list(book.cards(now_ms=NOW)) == []
    assert refused(book, told(card(NOW + 5), NOW + 5)) == "replayed"
    assert book.announced(told(card(NOW + 7), NOW + 7), now_ms=NOW)


def test_a_withdrawal_needs_a_proof_of_its_own(book: Book) -> None:
    book.announced(told(card()), now_ms=NOW)
    signature = card(NOW + 1)["signatures"][0]
    for wrong in (
        gone(NOW + 1, tenant="tnt_garden"),
        gone(NOW + 1, key=TenantKey(b"f" * 32, "tnt_house", "")),
        gone(NOW - 1, named=NOW + 1),
        gone(NOW - 1),
        CardWithdrawn(agent="agt_1", sequence=NOW + 1, proof=f"{signature['protected']}..{signature['signature']}"),
        CardWithdrawn(agent="agt_1", sequence=NOW + 1, proof=""),
        CardWithdrawn(agent="agt_1", sequence=NOW + 1, proof="x" * 100_000),
    ):
        with pytest.raises(Refused):
            book.withdrawn(wrong)
    assert len(list(book.cards(now_ms=NOW))) == 1


def test_a_card_is_believed_for_its_time_and_no_longer(book: Book) -> None:
    end = NOW + VALID_S * 1_000
    assert refused(book, told(card()), now_ms=end + 1) == "expired"
    book.announced(told(card()), now_ms=end)
    assert list(book.cards(now_ms=end)) != []
    assert list(book.cards(now_ms=end + 1)) == []


def test_what_is_no_card_or_too_long_is_refused(book: Book) -> None:
    for text, reason in (
        ("", "malformed"),
        ("[]", "malformed"),
        ("\x00", "malformed"),
        ("[" * 60_000, "malformed"),
        ('{"a":' * 10_000, "malformed"),
        ('{"name":"' + "x" * 70_000 + '"}', "too_long"),
        ('{"name":"' + "ü" * 40_000 + '"}', "too_long"),
    ):
        assert refused(book, CardAnnounced(agent="agt_1", sequence=NOW, valid_s=VALID_S, card=text)) == reason


@pytest.mark.parametrize("extra", [{"x": 1e400}, {"x": 2**70}, {"x": {"y": [[[["z"]]]]}}, {"x": None}])
def test_a_card_with_numbers_that_have_no_canonical_form_is_refused(book: Book, extra: dict[str, Any]) -> None:
    text = msgspec.json.encode(card() | extra).decode().replace("null", "1e999")
    assert refused(book, CardAnnounced(agent="agt_1", sequence=NOW, valid_s=VALID_S, card=text)) in {
        "bad_signature", "malformed",
    }  # fmt: skip


def test_a_signed_card_without_our_extension_is_refused(book: Book) -> None:
    for change in ({"capabilities": {}}, {"capabilities": {"extensions": [{"uri": MESH, "params": {"tenant": 7}}]}}):
        plain = {name: value for name, value in card().items() if name != "signatures"} | change
        assert refused(book, told(sign_card(plain, KEY))) == "malformed"


def test_a_flood_of_agents_ends_at_the_bound(book: Book) -> None:
    for number in range(MOST_AGENTS):
        book.without_card(f"agt_{number}", 1)
    assert refused(book, told(card(facts=replace(FACTS, agent="agt_x")), agent="agt_x")) == "too_many"


def test_a_key_is_the_tenants_own_and_the_same_each_time() -> None:
    again = TenantKey(SECRET, "tnt_house", "")
    assert (again.kid, again.jwk.x) == (KEY.kid, KEY.jwk.x)
    assert TenantKey(SECRET, "tnt_garden", "").kid != KEY.kid
    assert TenantKey(b"t" * 32, "tnt_house", "").kid != KEY.kid


def test_hostile_names_make_a_card_that_can_be_read() -> None:
    facts = replace(FACTS, name="\ud800\x00\x1b[31m" + "x" * 5_000, description="‮", skills=FACTS.skills * 500)
    book = Book("tnt_house", KEY)
    assert book.announced(told(card(facts=facts)), now_ms=NOW)
    [known] = book.cards(now_ms=NOW)
    assert known.card is not None
    assert known.card["name"].isprintable()
    assert len(known.card["skills"]) == 100

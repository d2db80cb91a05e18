"""BUS-9: where webhooks may go, how they are signed, and when they are tried again."""

import contextlib
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from backend.domain.webhooks.errors import AddressRefused, WebhookUrlInvalid
from backend.domain.webhooks.handlers import KNOWN_FOR_S, WebhookHandlers
from backend.domain.webhooks.rules.addresses import Allowed, allowed, check_address, check_url
from backend.domain.webhooks.rules.retries import SCHEDULE_S, Outcome, readable, retry_after_s, wait_ms
from backend.domain.webhooks.rules.signing import OFFERED, body_of, headers_of, new_secret
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE, EventGivenUp
from backend.foundation.kernel.ids import TenantId

PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.7.7", "169.254.169.254", "100.100.100.200", "168.63.129.16",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::8.8.8.8", "2002:7f00:1::", "2002:a00:1::",
    "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2001::1", "2001:db8::1", "fec0::1", "100::1", "nonsense", "",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(address, Allowed())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    check_address(address, Allowed())


def test_an_operator_can_allow_a_network_and_no_more() -> None:
    rules = allowed(["10.0.0.0/8", "fd00::/8"], http=False)
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        check_address(address, rules)
    for address in ("192.168.0.1", "127.0.0.1", "::1"):
        with pytest.raises(AddressRefused):
            check_address(address, rules)


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "example.org", "http://example.org", "ftp://example.org/", "file:///etc/passwd", "https://",
        "https:///x", "https://user@example.org", "https://user:pass@example.org", "https://example.org:0/",
        "https://example.org:99999/", "https://example.org/#part", "https://example.org/a b", "https://a.org/\x00",
        "https://example.org\r\nx: y", "https://ex\u00e4mple.org", "https://a.org/\ud800", "https://[::1",
        "https://a..b", "https://.", "https://example.org\\@evil", "https://" + "a" * 64 + ".org",
        "https://example.org/" + "x" * 2_000, "javascript:alert(1)", "gopher://example.org",
    ],
)  # fmt: skip
def test_what_is_no_usable_address_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlInvalid):
        check_url(url, Allowed())


@pytest.mark.parametrize(
    "url",
    ["https://localhost/", "https://a.localhost", "https://127.0.0.1", "https://[::1]/", "https://[::ffff:7f00:1]"],
)
def test_a_private_address_in_the_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, Allowed())


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(WebhookUrlInvalid, AddressRefused):
        assert check_url("https://" + text, Allowed()).startswith("https://")


@given(st.binary(max_size=200), st.integers(0, 3))
def test_what_is_signed_is_good_to_the_public_library_and_nothing_else_is(body: bytes, other: int) -> None:
    first, second = new_secret(), new_secret()
    body = msgspec.json.encode({"text": body.hex(), "n": other})
    headers = headers_of([first, second], "whd_1", int(time.time()), body)
    for secret in (first, second):
        Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first).verify(body, headers | {"webhook-id": "whd_2"})


@pytest.mark.parametrize("name", OFFERED)
def test_each_offered_type_is_a_fact_that_has_a_body(name: str) -> None:
    entry = CATALOGUE[name]
    assert not entry.public
    event = Event(type=name, tenant=TenantId("tnt_1"), key="k", data=entry.example, source="/test", traceparent="00-a")
    sent = msgspec.json.decode(body_of(event))
    assert (sent["type"], sent["id"], sent["time"]) == (name, event.id, sent["timestamp"])
    assert "traceparent" not in sent


def test_what_only_operators_may_see_is_left_out() -> None:
    data = EventGivenUp(
        event="e", type="t", topic="t", partition=0, offset="0", key="k", headers={"ce_x": "hidden"}, payload="{}",
        cause="c", stack="hidden", attempts=1,
    )  # fmt: skip
    event = Event(type="agents.event_given_up.v1", tenant=TenantId("tnt_1"), key="k", data=data, source="/agents")
    assert "hidden" not in body_of(event)


def test_the_schedule_is_that_of_the_convention_with_jitter() -> None:
    failed = Outcome(code=500)
    for step, seconds in enumerate(SCHEDULE_S):
        waits = [wait_ms(failed, step, now_s=0) or 0 for _ in range(50)]
        assert min(waits) >= seconds * 1_000
        assert max(waits) <= seconds * 1_200
        assert len(set(waits)) > 1
    assert wait_ms(failed, len(SCHEDULE_S), now_s=0) is None
    assert wait_ms(Outcome(code=410), 0, now_s=0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120), ("0", 0), (" 7 ", 7), ("-5", 0), ("x", 0), ("", 0), ("1e9", 0), ("٣", 0),
        ("9" * 64, 999999999999),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 50), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Thu, 99 Foo", 0),
    ],
)  # fmt: skip
def test_a_receivers_wish_is_read_in_both_forms(text: str, seconds: float) -> None:
    assert retry_after_s(text, now_s=10) == seconds


def test_a_receivers_wish_is_heeded_within_bounds() -> None:
    assert 6 * 3_600_000 <= (wait_ms(Outcome(code=503, retry_after="9" * 20), 0, now_s=0) or 0) <= 7.2 * 3_600_000
    assert (wait_ms(Outcome(code=429, retry_after="60"), 0, now_s=0) or 0) >= 60_000
    assert (wait_ms(Outcome(code=429, retry_after="1"), 1, now_s=0) or 0) >= 300_000


@given(st.binary(max_size=5_000))
def test_any_answer_can_be_stored_and_shown(body: bytes) -> None:
    text = readable(body)
    assert "\x00" not in text
    assert len(text) <= 2_048
    text.encode()


def test_what_is_known_is_believed_for_half_a_second_only() -> None:
    class Silent:
        def notify_soon(self, *_: Any) -> None: ...

    now = 0.0
    handlers = WebhookHandlers(Silent(), clock=lambda: now)  # pyright: ignore[reportArgumentType]
    event = Event(
        type="flows.run_finished.v1", tenant=TenantId("t"), key="k", source="/t",
        data=CATALOGUE["flows.run_finished.v1"].example,
    )  # fmt: skip
    assert handlers.wants(event)
    handlers._known = handlers._known._replace(read_s=now)
    assert not handlers.wants(event)
    now = KNOWN_FOR_S + 0.01
    assert handlers.wants(event)

"""IDN-1, IDN-2: pure decisions of identity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Invalid
from backend.foundation.kernel.ids import new_id
from backend.governance.identity import rules


def test_each_role_has_what_the_smaller_ones_have() -> None:
    member, builder, admin = (rules.permissions_of(role) for role in ("member", "builder", "admin"))
    assert member < builder < admin == frozenset(Permission)
    assert Permission.TENANT_ADMIN not in builder
    assert Permission.KEYS_MANAGE not in member


@pytest.mark.parametrize("role", ["", "Admin", "root"])
def test_a_role_that_does_not_exist_may_do_nothing(role: str) -> None:
    assert rules.permissions_of(role) == frozenset()


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  Ada@Example.ORG ", "ada@example.org"),
        ("ａｄａ@example.org", "ada@example.org"),
        ("ada+tag@example.org", "ada+tag@example.org"),
        ("ada@localhost", "ada@localhost"),
    ],
)
def test_an_email_has_one_spelling(typed: str, stored: str) -> None:
    assert rules.normal_email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    ["", "ada", "@example.org", "ada@", "a b@example.org", "a@b@c", "a\x00@b", "a" * 65 + "@b", "a@" + "b" * 250],
)
def test_what_is_no_email_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as caught:
        rules.normal_email(typed)
    assert caught.value.field == "email"


@given(st.text())
def test_a_normal_email_stays_as_it_is(text: str) -> None:
    try:
        email = rules.normal_email(text)
    except Invalid:
        return
    assert rules.normal_email(email) == email


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "x" * 12,
        "abababababab",
        "Password1234",
        "ada.lovelace@example.org",
        "ADA.LOVELACE",
        "x y" * 400,
    ],
)
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as caught:
        rules.check_password(password, "ada.lovelace@example.org")
    assert caught.value.field == "password"


@pytest.mark.parametrize("password", ["correct horse battery", "пароль достаточно длинный", "12 chars! ok"])
def test_a_long_password_of_any_alphabet_is_fine(password: str) -> None:
    rules.check_password(password, "ada@example.org")


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b", "\ud800"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        rules.normal_name(name, field="name")


def test_a_name_loses_double_blanks_only() -> None:
    assert rules.normal_name("  Ada   Lovelace\n", field="name") == "Ada Lovelace"


def test_a_key_carries_its_id() -> None:
    identifier = new_id("key")
    key = rules.format_key(identifier, "0f" * 32)
    assert rules.key_id(key) == identifier
    for broken in (key[:-1], key + "0", key.upper(), key.replace("aw_", "")):
        assert rules.key_id(broken) is None


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("aw_session=a", "a"),
        ("x=1; aw_session=a; y=2", "a"),
        ("__Host-aw_session=b; aw_session=a", "b"),
        ('broken="; aw_session=a', "a"),
        ("xaw_session=a", ""),
        ("", ""),
    ],
)
def test_the_session_is_found_among_other_cookies(header: str, value: str) -> None:
    assert rules.session_value(header) == value


@given(st.text())
def test_any_cookie_header_can_be_read(header: str) -> None:
    assert isinstance(rules.session_value(header), str)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("testclient", "testclient"),
        ("x" * 200, "x" * 64),
    ],
)
def test_a_household_counts_as_one_address(address: str, network: str) -> None:
    assert rules.network_of(address) == network


def test_the_subjects_of_an_attempt_hold_no_email() -> None:
    assert not any("ada@" in subject for subject in rules.attempt_subjects("ada@example.org", "203.0.113.7"))


def test_the_window_moves_with_each_attempt() -> None:
    window = rules.ATTEMPT_WINDOW_MS
    assert rules.wait_ms([], 2, 1000) == 0
    assert rules.wait_ms([1000], 2, 2000) == 0
    assert rules.wait_ms([1000, 1500], 2, 2000) == window - 1000
    assert rules.wait_ms([1000, 1500], 2, 1000 + window) == 0


@given(st.lists(st.integers(0, 10**6), max_size=50), st.integers(1, 20))
def test_after_the_wait_one_more_fits(times: list[int], limit: int) -> None:
    now = 10**6
    wait = rules.wait_ms(times, limit, now)
    assert wait == 0 or rules.wait_ms(times, limit, now + wait) == 0
    assert wait <= rules.ATTEMPT_WINDOW_MS


def test_a_keys_life_is_a_day_to_ten_years_or_without_end() -> None:
    assert rules.check_expiry(None) == 0
    assert rules.check_expiry(2) == 2 * rules.DAY_MS

"""BUS-1 BUS-5 BUS-7: how the product's topics have to be, and how much of the outbox goes at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.directory.rules.cards import VALID_S
from backend.foundation.bus.ports import TopicInfo
from backend.foundation.bus.rules import OWN_TOPICS, differences, fitting, kept, plan_of

_HOUR_MS = 3_600_000


def info(**facts: object) -> TopicInfo:
    return TopicInfo(**{"name": "aw.chat", "partitions": 8, "end": 0, "retention_ms": 7 * 24 * _HOUR_MS, **facts})  # pyright: ignore[reportArgumentType] - any of them


def test_a_withdrawal_outlives_every_card_that_it_takes_back() -> None:
    assert int(plan_of("aw.cards", retention_ms=_HOUR_MS).settings["retention.ms"]) > VALID_S * 1_000
    assert plan_of("aw.cards", retention_ms=10**12).settings["retention.ms"] == str(10**12)


def test_cards_alone_are_compacted() -> None:
    compacted = [topic for topic in OWN_TOPICS if "compact" in plan_of(topic).settings["cleanup.policy"]]
    assert compacted == ["aw.cards"]


def test_no_setting_wishes_for_nothing_and_more_partitions_are_fine() -> None:
    plan = plan_of("aw.chat", partitions=8)
    assert differences(plan, info(partitions=12, retention_ms=1, settings={"segment.ms": "5"})) == []
    found = differences(plan_of("aw.chat", partitions=8, retention_ms=_HOUR_MS), info(partitions=7))
    assert [(each.setting, each.has, each.wanted) for each in found] == [
        ("retention.ms", "604800000", "3600000"),
        ("partitions", "7", "8"),
    ]
    assert [each.command for each in found] == ["autoweave bus apply", "autoweave bus apply --partitions"]


def test_the_order_of_a_cleanup_policy_says_nothing() -> None:
    cards = info(name="aw.cards", cleanup="delete,compact", retention_ms=8 * 24 * _HOUR_MS)
    assert [each.setting for each in differences(plan_of("aw.cards"), cards)] == ["max.compaction.lag.ms"]


@pytest.mark.parametrize(
    ("retention_ms", "cleanup", "words"),
    [
        (-1, "delete", "for ever"),
        (86_400_000, "delete", "1 day"),
        (36 * _HOUR_MS, "delete", "36 hours"),
        (90_000, "delete", "90 seconds"),
        (1_001, "delete", "1,001 ms"),
        (0, "delete", "0 ms"),
        (86_400_000, "compact,delete", "1 day, the last of each key"),
        (86_400_000, "compact", "the last of each key"),
    ],
)
def test_how_long_messages_are_kept_is_said_in_words(retention_ms: int, cleanup: str, words: str) -> None:
    assert kept(info(retention_ms=retention_ms, cleanup=cleanup)) == words


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 5))
def test_what_fits_is_as_long_as_its_bound_allows(large: list[bool], most: int) -> None:
    count = fitting(large, most=most)
    assert sum(large[:count]) <= most
    assert count == len(large) or sum(large[: count + 1]) > most

"""BUS-5: how what was read of the outbox is divided."""

from hypothesis import given
from hypothesis import strategies as st

from backend.foundation.bus.rules import parts


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 30), st.integers(1, 5))
def test_parts_hold_everything_once_in_order_within_their_bounds(large: list[bool], most: int, most_large: int) -> None:
    divided = [range(part.start, part.stop) for part in parts(large, most=most, most_large=most_large)]
    assert [at for part in divided for at in part] == list(range(len(large)))
    assert all(0 < len(part) <= most and sum(large[at] for at in part) <= most_large for part in divided)


def test_a_part_is_as_full_as_its_bounds_allow() -> None:
    assert list(parts([False] * 5, most=2, most_large=1)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(parts([True, False, True], most=9, most_large=1)) == [slice(0, 2), slice(2, 3)]

"""AGT-7: limits are checked before a call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.governance.budgets.rules import Limits, Reservation, Spent, exceeded, output_allowance

LIMITS = Limits(tokens=1000, cost_micros=500_000, tool_calls=2, turns=3)


@pytest.mark.parametrize(
    ("spent", "wanted", "limit"),
    [
        (Spent(), Reservation(tokens=1000), ""),
        (Spent(input_tokens=1), Reservation(tokens=1000), "1,000 tokens"),
        (Spent(cost_micros=400_000), Reservation(cost_micros=100_001), "$0.50"),
        (Spent(tool_calls=1), Reservation(tool_calls=1), ""),
        (Spent(tool_calls=2), Reservation(tool_calls=1), "2 tool calls"),
        (Spent(turns=3), Reservation(tokens=1), "3 model turns"),
        (Spent(turns=3), Reservation(tool_calls=1), ""),
    ],
)
def test_a_call_that_would_pass_a_limit_is_refused_with_the_limit(
    spent: Spent, wanted: Reservation, limit: str
) -> None:
    assert exceeded(LIMITS, spent, wanted) == limit


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 5000))
def test_what_a_turn_may_write_never_passes_the_budget(spent: int, read: int, wanted: int) -> None:
    allowed = output_allowance(LIMITS, Spent(input_tokens=spent), read, wanted)
    assert allowed <= wanted
    if allowed > 0:
        assert not exceeded(LIMITS, Spent(input_tokens=spent), Reservation(tokens=read + allowed))

"""What turns cost, by the price list that comes with pydantic-ai."""

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from genai_prices import Usage, calc_price
from genai_prices.types import AbstractUsage

_MICROS = Decimal(1_000_000)


def cost_micros(provider: str, model: str, usage: AbstractUsage) -> int:
    """Return millionths of a US dollar, cached tokens at their own price; 0 where the list has no price."""
    if not _has_price(provider, model):
        return 0
    try:
        price = calc_price(usage, model, provider_id=provider).total_price
    except ValueError:
        # Counts that contradict each other, such as more cached tokens than tokens.
        return 0
    return int((price * _MICROS).to_integral_value(ROUND_HALF_UP))


def expected_micros(provider: str, model: str, input_tokens: int, output_tokens: int) -> int:
    """Return what a turn of so many tokens costs when nothing of it is cached."""
    return cost_micros(provider, model, Usage(input_tokens=input_tokens, output_tokens=output_tokens))


@lru_cache(maxsize=256)
def _has_price(provider: str, model: str) -> bool:
    # A model that is not listed is searched for in all the list, each time.
    try:
        calc_price(Usage(), model, provider_id=provider)
    except LookupError:
        return False
    return True

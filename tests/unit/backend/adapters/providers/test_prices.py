"""AGT-7: what turns cost, by the price list."""

from genai_prices import Usage

from backend.adapters.providers.clients import build_clients
from backend.adapters.providers.prices import cost_micros, expected_micros


def test_a_turn_costs_its_tokens() -> None:
    """AGT-7: 2.50 and 10 dollars a million tokens are 2.5 and 10 micros a token."""
    assert expected_micros("openai", "gpt-4o", 1000, 1000) == 12_500


def test_cached_tokens_cost_less() -> None:
    """AGT-7."""
    usage = Usage(input_tokens=1000, cache_read_tokens=1000, output_tokens=0)
    assert cost_micros("openai", "gpt-4o", usage) == 1250


def test_a_model_that_is_not_listed_costs_nothing() -> None:
    """AGT-7."""
    assert expected_micros("openai", "my-own-model", 1000, 1000) == 0
    assert expected_micros("ollama", "qwen3:8b", 1000, 1000) == 0


def test_counts_that_contradict_each_other_cost_nothing() -> None:
    """AGT-7: a wrong count of a server must not end a run."""
    assert cost_micros("openai", "gpt-4o", Usage(input_tokens=1, cache_read_tokens=1000)) == 0


def test_a_client_tells_the_price_before_the_turn() -> None:
    """AGT-7: to reserve it."""
    clients = build_clients(anthropic_api_key="sk-1")
    assert clients["anthropic"].price("claude-sonnet-4-5", 1000, 1000) == 18_000
    assert clients["offline"].price("offline", 1000, 1000) == 0

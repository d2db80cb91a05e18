"""Hard stops, decided before a call: what a run may still spend."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one run. Money is in millionths of a US dollar; ``wall_s`` counts from the run's start."""

    tokens: int = 200_000
    cost_micros: int = 1_000_000
    tool_calls: int = 32
    turns: int = 12
    wall_s: int = 600


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has used until now."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    tool_calls: int = 0
    turns: int = 0

    def plus(self, other: "Spent") -> "Spent":
        """Return the sum, field by field."""
        return Spent(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_micros=self.cost_micros + other.cost_micros,
            tool_calls=self.tool_calls + other.tool_calls,
            turns=self.turns + other.turns,
        )


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What one call may use at the most; it is stored before the call and replaced by what the call did use."""

    tokens: int = 0
    cost_micros: int = 0
    tool_calls: int = 0


def exceeded(limits: Limits, spent: Spent, wanted: Reservation) -> str:
    """Return which limit the wanted call would pass, in words, or an empty string.

    >>> exceeded(Limits(tokens=100), Spent(input_tokens=90), Reservation(tokens=20))
    '100 tokens'
    """
    tokens = spent.input_tokens + spent.output_tokens + wanted.tokens
    if tokens > limits.tokens:
        return f"{limits.tokens:,} tokens"
    if spent.cost_micros + wanted.cost_micros > limits.cost_micros:
        return f"${limits.cost_micros / 1_000_000:.2f}"
    if spent.tool_calls + wanted.tool_calls > limits.tool_calls:
        return f"{limits.tool_calls:,} tool calls"
    if wanted.tokens and spent.turns + 1 > limits.turns:
        return f"{limits.turns:,} model turns"
    return ""


def output_allowance(limits: Limits, spent: Spent, input_tokens: int, wanted: int) -> int:
    """Return how many tokens a turn may write: what was wanted, or less when the budget's rest is less.

    Zero or less means that not even the input fits.
    """
    rest = limits.tokens - spent.input_tokens - spent.output_tokens - input_tokens
    return min(wanted, rest)

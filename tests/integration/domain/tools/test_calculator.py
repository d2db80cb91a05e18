"""TOL-1. The calculator against Python's own decimals."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.domain.tools.starter_guest import Fault, ask

pytestmark = pytest.mark.integration
EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN, Emax=9999, Emin=-9999)
SHOWN = 34


def calculate(expression: str) -> str:
    answer = ask("calculator", expression=expression)
    return answer if isinstance(answer, Fault) else answer["result"]


def shown(value: Decimal) -> Decimal:
    """What the calculator shows of an exact result: whole numbers in full, others with 34 digits."""
    return value if value == value.to_integral_value() else Context(prec=SHOWN).plus(value)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("0.1 + 0.2", "0.3"),
        ("17% of 2,431", "413.27"),
        ("1,234,567.89 * 2", "2469135.78"),
        ("200 + 10%", "220"),
        ("200 - 10%", "180"),
        ("200 * 10%", "20"),
        ("10%", "0.1"),
        ("5% of 20% of 1000", "10"),
        ("1000 + 10% - 10%", "990"),
        ("10 % 3", "1"),
        ("-7 % 3", "2"),
        ("7 % (-3)", "-2"),
        ("7 % - 3", "-2.93"),
        ("5.5 % 2", "1.5"),
        ("10 % (1 + 2)", "1"),
        ("1/3*3", "1"),
        ("2/3", "0.6666666666666666666666666666666667"),
        ("2^100", "1267650600228229401496703205376"),
        ("2^3^2", "512"),
        ("-2^2", "-4"),
        ("(-2)^2", "4"),
        ("2^-1", "0.5"),
        ("4^0.5", "2"),
        ("8^1.5", "22.62741699796952078082701958735517"),
        ("0^0", "1"),
        ("sqrt(2)", "1.414213562373095048801688724209698"),
        ("sqrt(1522756)", "1234"),
        ("abs(-3.5)", "3.5"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(10/3, 2)", "3.33"),
        ("round(1234, -2)", "1200"),
        ("round(0.04, 1)", "0"),
        ("floor(-1.5)", "-2"),
        ("ceil(-1.5)", "-1"),
        ("ceil(1.2)", "2"),
        ("min(3, 1, 2)", "1"),
        ("max(1, (1,000), 2)", "1000"),
        ("pi", "3.141592653589793238462643383279503"),
        ("PI * 2", "6.283185307179586476925286766559006"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("2 ** 10", "1024"),
        ("1e3 + 1E-3", "1000.001"),
        ("- - 3", "3"),
        ("+3", "3"),
        ("1e60", "1e+60"),
        ("1.5e-30", "1.5e-30"),
        ("1e49", "1" + "0" * 49),
        ("0 * -5", "0"),
        ("1e9000 * 0", "0"),
    ],
)
def test_an_expression_has_its_result(expression: str, result: str) -> None:
    assert calculate(expression) == result


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "ends where a number is expected"),
        ("1 +", "ends where a number is expected"),
        ("1 / 0", "Division by zero."),
        ("5 % 0", "Division by zero."),
        ("0 ^ -1", "Division by zero"),
        ("sqrt(-1)", "no real square root"),
        ("(-8) ^ 0.5", "no real square root"),
        ("2 ^ 0.3", "whole exponents and halves"),
        ("9 ^ 9 ^ 9", "exponent is too large"),
        ("9 ^ 99999", "too large"),
        ("0.1 ^ 99999", "too close to zero"),
        ("1e9999 * 10", "too large"),
        ("1e-9999 / 10", "too close to zero"),
        ("1e99999999999", "too large"),
        ("1,23", "comma at character 2"),
        ("1234,567", "comma at character 5"),
        ("sqrt(1,000)", "write 1000, not 1,000"),
        ("2 3", 'character 3 stands "3"'),
        ("(1", "ends where ')' is expected"),
        ("1)", "where an operator is expected"),
        ("foo(1)", '"foo" is unknown'),
        ("sqrt 4", "'(' after sqrt"),
        ("3 of 4", "where an operator is expected"),
        ("1 🙂", 'stands "🙂"'),
        ("(" * 100, "nested more than 64"),
        ("2^" * 100 + "2", "nested more than 64"),
        ("1+" * 1500 + "1", "longer than 2000"),
        ("9" * 51, "50 digits"),
        ("round(1, 2, 3)", "round takes"),
        ("round(1, 0.5)", "whole number of places"),
        (".", "a digit is expected"),
        ("1e60 % 3", "too far apart"),
    ],
)
def test_a_fault_is_said_in_words(expression: str, words: str) -> None:
    answer = ask("calculator", expression=expression)
    assert isinstance(answer, Fault)
    assert words in answer


numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=None).filter(
    lambda number: len(number.as_tuple().digits) <= 40 and abs(number.adjusted()) < 40
)


def written(number: Decimal) -> str:
    return f"({number:f})"


@given(numbers, numbers, st.sampled_from("+-*/"))
def test_every_operation_is_that_of_exact_decimals(a: Decimal, b: Decimal, operator: str) -> None:
    answer = ask("calculator", expression=f"{written(a)} {operator} {written(b)}")
    if operator == "/" and not b:
        assert answer == "Division by zero."
        return
    with localcontext(EXACT) as context:
        by = {"+": context.add, "-": context.subtract, "*": context.multiply, "/": context.divide}
        expected = by[operator](context.plus(a), context.plus(b))
    assert Decimal(answer["result"]) == shown(expected)


@given(numbers.filter(lambda number: number >= 0))
def test_a_square_root_is_that_of_exact_decimals(a: Decimal) -> None:
    assert Decimal(calculate(f"sqrt({a:f})")) == shown(EXACT.sqrt(EXACT.plus(a)))


@given(st.decimals(min_value=-50, max_value=50, places=2), st.integers(min_value=0, max_value=12))
def test_a_power_that_is_exact_is_exact(base: Decimal, exponent: int) -> None:
    exact = Decimal(1)
    with localcontext(prec=200):
        for _ in range(exponent):
            exact *= base
    expected = shown(EXACT.plus(exact))
    assert abs(Decimal(calculate(f"{written(base)} ^ {exponent}")) - expected) <= abs(expected) * Decimal("1e-33")


@given(numbers, numbers.filter(bool))
def test_a_rest_is_below_its_divisor_and_has_its_sign(a: Decimal, b: Decimal) -> None:
    answer = ask("calculator", expression=f"{written(a)} % {written(b)}")
    if isinstance(answer, Fault):
        assert "too far apart" in answer
        return
    with localcontext(prec=200):
        rest = a % b
        expected = rest + b if rest and (rest < 0) != (b < 0) else rest
    assert abs(Decimal(answer["result"]) - shown(EXACT.plus(expected))) <= abs(b) * Decimal("1e-33")


@given(st.text(alphabet="0123456789.,+-*/^%() eofsqrtpimax;×−🙂\t\n", max_size=80) | st.text(max_size=80))
def test_any_text_gets_a_result_or_words(text: str) -> None:
    answer = ask("calculator", expression=text)
    assert isinstance(answer, Fault) or answer["expression"] == text


@given(numbers)
def test_what_is_shown_can_be_read_again(a: Decimal) -> None:
    first = calculate(written(a))
    assert calculate(first) == first

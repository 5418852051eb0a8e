"""Numbers in texts: as many digits as asked for, and no exponent for what is large."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import number_text


@given(value=st.floats(1e-4, 1e12), digits=st.integers(1, 6))
def test_a_text_is_the_number_within_half_of_its_last_digit(value: float, digits: int) -> None:
    text = number_text(value, digits)

    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.5001 * 10.0 ** (1 - digits))
    assert number_text(-value, digits) == f"-{text}"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (999.5, 3, "1000"),
        (99.95, 3, "100"),
        (99.5, 2, "100"),
        (9.96, 1, "10"),
        (12_345.6, 3, "12346"),
        (0.0, 3, "0"),
        (1.5e-5, 3, "1.5e-05"),
        (math.inf, 3, "inf"),
        (-math.inf, 3, "-inf"),
        (math.nan, 3, "nan"),
    ],
)
def test_at_the_edge_of_its_digits_a_number_stays_a_number(
    value: float, digits: int, text: str
) -> None:
    assert number_text(value, digits) == text


def test_thousands_are_set_apart_where_it_is_asked() -> None:
    assert number_text(1_234_567.0, thousands=",") == "1,234,567"
    assert number_text(999.6, thousands=" ") == "1 000"

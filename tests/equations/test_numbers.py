"""Exact numbers: what was typed is what is meant."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from qnnsym.equations.numbers import exact_decimals, exact_number
from qnnsym.errors import InputError

x = sp.Symbol("x")


@pytest.mark.parametrize(
    "given, exact",
    [
        (0.1, sp.Rational(1, 10)),
        ("0.1", sp.Rational(1, 10)),
        (" 1/3 ", sp.Rational(1, 3)),
        ("1e-3", sp.Rational(1, 1000)),
        (-2, sp.Integer(-2)),
        (Fraction(2, 6), sp.Rational(1, 3)),
        (Decimal("0.30"), sp.Rational(3, 10)),
        (np.float64(0.25), sp.Rational(1, 4)),
        (np.float32(0.1), sp.Rational(1, 10)),
        (np.int64(7), sp.Integer(7)),
        (sp.Float(0.7), sp.Rational(7, 10)),
        (sp.sqrt(2), sp.sqrt(2)),
        (sp.pi / 3, sp.pi / 3),
    ],
)
def test_numbers_are_what_their_text_says(given, exact):
    found = exact_number(given, "The mass")
    assert found == exact and not found.has(sp.Float)


@pytest.mark.parametrize(
    "given", [True, float("nan"), float("inf"), 1j, "one", "1/0", "", None, x, sp.oo, sp.I, sp.nan, [1], object()]
)
def test_what_is_no_finite_real_number_is_refused(given):
    with pytest.raises(InputError, match=r"The mass is .*, which is not a finite real number; give an integer"):
        exact_number(given, "The mass")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**6), max_value=10**6))
def test_a_typed_decimal_survives_the_float_it_was_read_into(number):
    text = str(number)
    assert exact_number(float(text), "it") == sp.Rational(text)


def test_decimals_inside_expressions_become_rationals():
    found = exact_decimals(0.1 * x + sp.sin(0.25 * x) ** 2)
    assert found == x / 10 + sp.sin(x / 4) ** 2
    assert exact_decimals(x + 1) == x + 1


def test_long_floats_keep_all_their_digits():
    digits = "0.1234567890123456789012345"
    assert exact_decimals(sp.Float(digits, 25) * x) == sp.Rational(digits) * x

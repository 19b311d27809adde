"""Exact numbers: what a user typed as a decimal is the Rational its text says."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import sympy as sp

from qnnsym.errors import InputError


def exact_number(value: Any, what: str) -> sp.Expr:
    """A real number as an exact SymPy number; a decimal becomes the Rational its text says (0.1 is 1/10).

    Arguments:
        value: int, float, Fraction, Decimal, NumPy scalar, SymPy number, or text such as "0.1" and "1/3".
        what: what the number is for, named in the error.

    Returns:
        A Rational, or an exact real SymPy constant (sqrt(2), pi) when that was given.

    Raises:
        InputError: for booleans, NaN, infinities, complex numbers and everything that is not a number.
    """
    number: Any = None
    if isinstance(value, sp.Basic):
        if isinstance(value, sp.Expr) and value.is_number and value.is_finite and value.is_extended_real:
            number = exact_decimals(value)
    elif isinstance(value, (bool, complex)) or not hasattr(value, "__str__"):
        pass
    elif isinstance(value, Fraction):
        number = sp.Rational(value.numerator, value.denominator)
    elif isinstance(value, (int, float, Decimal, str)) or hasattr(value, "__float__"):
        try:
            fraction = Fraction(str(value).strip())
        except (ValueError, ZeroDivisionError):
            pass
        else:
            number = sp.Rational(fraction.numerator, fraction.denominator)
    if number is None:
        raise InputError(
            f"{what} is {value!r}, which is not a finite real number; give an integer, a decimal or a "
            f"fraction such as 1/3."
        )
    return number


def exact_decimals(expression: Any) -> Any:
    """The same expression with every decimal replaced by the Rational its shortest text says."""
    floats = expression.atoms(sp.Float)
    if not floats:
        return expression
    return expression.xreplace({f: exact_number(_shortest(f), "A decimal") for f in floats})


def _shortest(number: sp.Float) -> str:
    # At double precision the shortest text that reads back is what was typed; longer floats keep all their
    # digits.
    return repr(float(number)) if number._prec <= 53 else str(number)

"""The phase space: symbols, parameters, exact numbers and refusals."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from qnnsym.equations.numbers import exact_decimals, exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace


def test_symbols_carry_their_assumptions():
    space = PhaseSpace("x y", "px py")
    assert space.dimension == 2
    assert [s.name for s in space.variables] == ["x", "y", "px", "py"]
    assert all(s.is_real for s in (*space.variables, space.t, *space.k, *space.theta))
    assert space.hbar.is_positive and space.h.is_positive
    assert space.X[0] * space.P[0] != space.P[0] * space.X[0]
    assert sp.latex(space.X[1]) == r"\hat{y}"
    assert len({*space.variables, *space.k, *space.theta}) == 8


def test_equal_spaces_have_equal_symbols():
    one, other = PhaseSpace("x", "p"), PhaseSpace("x", "p")
    assert one == other and hash(one) == hash(other)
    assert one.x == other.x and one.P == other.P and one.k == other.k
    assert one != PhaseSpace("q", "p")


def test_conjugate_names_give_way_to_parameters():
    space = PhaseSpace("x", "p")
    assert [s.name for s in space.k + space.theta] == ["k", "theta"]
    (k,) = space.parameters(k=2)
    assert k not in space.k and space.k[0].name != "k"
    assert PhaseSpace("theta", "L").theta[0].name != "theta"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, sp.Integer(1)),
        (0.1, sp.Rational(1, 10)),
        ("0.1", sp.Rational(1, 10)),
        ("1/3", sp.Rational(1, 3)),
        (Fraction(2, 7), sp.Rational(2, 7)),
        (Decimal("1.25"), sp.Rational(5, 4)),
        (np.float64(0.2), sp.Rational(1, 5)),
        (np.int64(3), sp.Integer(3)),
        (sp.Float("0.3"), sp.Rational(3, 10)),
        (sp.sqrt(2), sp.sqrt(2)),
        (1e-3, sp.Rational(1, 1000)),
    ],
)
def test_numbers_are_exact(value, expected):
    space = PhaseSpace()
    (m,) = space.parameters(m=value)
    assert space.defaults[m] == expected
    assert m.is_positive


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "nan", "abc", None, True, 1j, sp.oo, sp.I, sp.Symbol("a"), [1], -1]
)
def test_other_values_are_refused(value):
    with pytest.raises(InputError, match=r"parameter m .*(give|write)"):
        PhaseSpace().parameters(m=value)


@pytest.mark.parametrize(
    "names",
    [
        ("x", "x"),
        ("x y", "p"),
        ("2x", "p"),
        ("", "p"),
        ("x", "hbar"),
        ("I", "p"),
        ("x x", "p q"),
        ("lambda", "p"),
    ],
)
def test_bad_names_are_refused(names):
    with pytest.raises(InputError):
        PhaseSpace(*names)


@pytest.mark.parametrize("name", ["x", "p", "hbar", "t"])
def test_clashing_parameters_are_refused(name):
    with pytest.raises(InputError, match=name):
        PhaseSpace().parameters(**{name: 1})


def test_decimals_in_expressions_become_rationals():
    x = sp.Symbol("x")
    assert exact_decimals(0.1 * x**2 + sp.Float("0.25")) == x**2 / 10 + sp.Rational(1, 4)
    assert exact_number(0.30000000000000004, "a") == sp.Rational("0.30000000000000004")

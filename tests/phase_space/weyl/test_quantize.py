"""Weyl quantisation: symmetric ordering, the way back, and refusals."""

from itertools import permutations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import I

from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace, weyl_quantize, weyl_symbol
from tests.phase_space import dvr

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
(X,), (P,) = space.X, space.P
plane = PhaseSpace("x y", "px py")
k, q = sp.symbols("k q", positive=True)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 2), (3, 1), (1, 4), (3, 3)])
def test_monomials_are_the_average_over_all_orders(m, n):
    """The definition by Weyl: x^m p^n stands for the mean of all distinct words, compared as matrices."""
    words = {word for word in permutations("x" * m + "p" * n)}
    letters = {"x": dvr.X, "p": dvr.P}
    states = np.array([dvr.level(i, dvr.NODES) for i in range(3)])
    mean = 0
    for word in words:
        vectors = states.T
        for letter in reversed(word):
            vectors = letters[letter] @ vectors
        mean = mean + states @ vectors * dvr.STEP / len(words)
    assert np.max(np.abs(dvr.block(weyl_quantize(x**m * p**n, space), space) - mean)) < 1e-7


def test_example_of_the_manual():
    operator = weyl_quantize(x**2 * p**2, space)
    assert sp.expand(operator - (P**2 * X**2 + 2 * P * X**2 * P + X**2 * P**2) / 4) == 0
    assert weyl_symbol(operator, space) == x**2 * p**2


exponents = st.tuples(*[st.integers(0, 3)] * 4)


@settings(max_examples=12)
@given(st.dictionaries(exponents, st.integers(-5, 5), max_size=4))
def test_polynomials_come_back(terms):
    f = sp.Add(*(c * sp.Mul(*(v**n for v, n in zip(plane.variables, e, strict=True))) for e, c in terms.items()))
    operator = weyl_quantize(f, plane)
    assert sp.expand(weyl_symbol(operator, plane) - f) == 0
    assert sp.expand(weyl_symbol(sp.adjoint(operator), plane) - f) == 0


U, V = sp.Function("U"), sp.Function("V", real=True)
FUNCTIONS = [
    U(x) * p**2 + V(x) * p**3,
    x**2 * sp.exp(-(p**2)),
    sp.exp(I * (k * x + q * p)),
    x * p * sp.cos(x + p),
    sp.cos(x) * sp.exp(p),
    sp.tanh(x - 2 * p) * x,
    sp.exp(-(x**2 + 2 * p**2) / (3 * hbar)) + x,
    sp.exp(-(x**2 + p**2) / hbar),
    sp.exp(-(x**2 + x * p + p**2) / (2 * hbar)),
    (x**2 + x * p) * sp.exp(-(x**2 + p**2) / (4 * hbar)),
    sp.pi * hbar * sp.DiracDelta(x) * sp.DiracDelta(p),
    p**2 / (2 * (1 + x**2)) + sp.sqrt(1 + x**2),
]


@pytest.mark.parametrize("f", FUNCTIONS, ids=str)
def test_functions_come_back(f):
    difference = sp.simplify(weyl_symbol(weyl_quantize(f, space), space) - f)
    if difference != 0:
        at = {x: sp.Rational(3, 10), p: sp.Rational(-2, 5), hbar: sp.Rational(7, 10)}
        assert abs(difference.subs(at).evalf(30)) < 1e-20


def test_several_degrees_of_freedom_come_back():
    (x1, y1), (px, py) = plane.x, plane.p
    f = px**2 * U(x1, y1) + sp.tanh(x1) * sp.sin(py) + x1 * y1 * px * py + sp.exp(x1 - py) * px
    assert sp.expand(weyl_symbol(weyl_quantize(f, plane), plane) - f) == 0


def test_functions_declared_real_do_not_lose_their_order():
    """SymPy lets V(X) of a real V commute with P; the operator that is returned does not."""
    operator = weyl_quantize(V(x) * p, space)
    assert sp.expand(operator - weyl_quantize(V(x), space) * P) != 0
    assert weyl_symbol(operator, space) == V(x) * p
    assert weyl_symbol(weyl_quantize(sp.Abs(x) * p, space), space) == sp.Abs(x) * p


def test_the_thermal_gaussian_is_the_boltzmann_operator():
    s = sp.Rational(1, 2)
    operator = weyl_quantize(sp.exp(-s * (x**2 + p**2) / hbar), space)
    levels = np.diag(dvr.block(operator, space)).real
    # 1/sqrt(1 - s^2) exp(-2 atanh(s) (n + 1/2)) = ((1 - s)/(1 + s))^n /(1 + s)
    assert np.allclose(levels, [(1 / 3) ** n / 1.5 for n in range(3)], atol=1e-9)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (sp.tanh(x * p), "mixes x and p"),
        (sp.exp(-(x**2) * p**2), "mixes x and p"),
        (sp.exp(-2 * (x**2 + p**2) / hbar), "narrower"),
        (sp.sign(x) * p, "order of factors"),
        (sp.DiracDelta(x), "delta"),
        (X * P, "operator already"),
        ("x*p", "not a function"),
    ],
    ids=str,
)
def test_refusals_are_sentences(f, message):
    with pytest.raises(InputError, match=message):
        weyl_quantize(f, space)

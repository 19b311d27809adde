"""Position-dependent masses in the usual orderings, against matrices and the formula of the literature."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace, kinetic_operator, weyl_symbol
from qnnsym.phase_space.weyl.position_mass import ORDERINGS
from tests.phase_space import dvr

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
(X,), (P,) = space.X, space.P
m = sp.Function("m")


@pytest.mark.parametrize("name", ["weyl", *ORDERINGS])
def test_corrections_of_order_hbar_squared(name):
    """By hand: the symmetrised m^a P m^b P m^c is P (1/m) P + hbar^2 [(ac + a + c) m'^2/m^3 - (a + c)/2 m''/m^2].

    (O. von Roos, 1983), and P (1/m) P has the symbol p^2/m + (hbar^2/4) (1/m)''.
    """
    f = m(x)
    symbol = weyl_symbol(kinetic_operator(m(X), space, name), space)
    if name == "weyl":
        assert sp.simplify(symbol - p**2 / (2 * f)) == 0
        return
    a, b, c = (sp.Rational(e) for e in ORDERINGS[name])
    assert a + b + c == -1
    roos = (a * c + a + c) * sp.diff(f, x) ** 2 / f**3 - (a + c) / 2 * sp.diff(f, x, 2) / f**2
    expected = p**2 / (2 * f) + hbar**2 / 8 * sp.diff(1 / f, x, 2) + hbar**2 / 2 * roos
    assert sp.simplify(symbol - expected) == 0


def power(exponent):
    """m(X)^exponent as a diagonal matrix for m = 1 + x^2/4."""
    return np.diag((1 + dvr.NODES**2 / 4) ** exponent)


@pytest.mark.parametrize("exponents", [(0, -1, 0), (-0.25, -0.5, -0.25), (-0.5, 0, -0.5), (0.3, -0.9, -0.4)])
def test_against_matrices(exponents):
    operator = kinetic_operator(1 + X**2 / 4, space, exponents=exponents)
    a, b, c = (power(e) for e in exponents)
    T = (a @ dvr.P @ b @ dvr.P @ c + c @ dvr.P @ b @ dvr.P @ a) / 4
    states = np.array([dvr.level(n, dvr.NODES) for n in range(3)])
    found = dvr.block_of_symbol(weyl_symbol(operator, space), space)
    assert np.max(np.abs(found - states @ T @ states.T * dvr.STEP)) < 1e-8


def test_li_and_kuhn_is_weyl():
    """(0, -1/2, -1/2) needs no correction, so that it is the Weyl ordering."""
    assert sp.simplify(weyl_symbol(kinetic_operator(m(X), space, "li-kuhn"), space) - p**2 / (2 * m(x))) == 0


def test_symbolic_exponents_and_several_particles():
    a, c = sp.symbols("a c", real=True)
    symbol = weyl_symbol(kinetic_operator(sp.exp(X), space, exponents=(a, -1 - a - c, c)), space)
    correction = sp.simplify((symbol - p**2 * sp.exp(-x) / 2) * sp.exp(x) / hbar**2)
    assert sp.expand(correction - sp.Rational(1, 8) - (a * c + a + c) / 2 + (a + c) / 4) == 0
    plane = PhaseSpace("x y", "px py")
    mass = sp.Function("m")(*plane.X)
    symbol = weyl_symbol(kinetic_operator(mass, plane), plane)
    f = sp.Function("m")(*plane.x)
    laplacian = sum(sp.diff(1 / f, q, 2) for q in plane.x)
    expected = sum(q**2 for q in plane.p) / (2 * f) + hbar**2 / 8 * laplacian
    assert sp.simplify(symbol - expected) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kinetic_operator(m(X), space, "alphabetical"), "choose one of"),
        (lambda: kinetic_operator(m(X), space, exponents=(0, 0, 0)), "sum to -1"),
        (lambda: kinetic_operator(m(X), space, exponents=(0, -1)), "three numbers"),
        (lambda: kinetic_operator(P**2, space), "momentum"),
        (lambda: kinetic_operator(x, space), "commuting"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()

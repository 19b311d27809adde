"""Traces, expectation values and marginals against matrices, mpmath and direct integrals; superposition and mixture."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CatMixture,
    CatState,
    CoherentState,
    FockState,
    GaussianState,
    PhaseSpace,
    ThermalState,
    expectation,
    marginal,
    marginals,
    star,
    trace,
    trace_product,
    weyl_symbol,
    wigner_function,
)
from tests.phase_space import dvr

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
(X,), (P,) = space.X, space.P
a, b, k = sp.symbols("a b k", positive=True)


def number(expression, **values):
    return complex(expression.subs({sp.Symbol(n, positive=True): v for n, v in values.items()}).evalf())


@pytest.mark.parametrize(
    "operator", [X * P, P**2 + X**4, sp.cos(X), sp.exp(sp.I * P / 2) * X, X**2 * P - P * X**2, space.parity()], ids=str
)
def test_expectation_values_against_matrices(operator):
    elements = dvr.block(operator, space)
    for n in range(3):
        found = number(expectation(operator, FockState(n), space), hbar=dvr.HBAR)
        assert abs(found - elements[n, n]) < 1e-8


def test_expectation_values_stay_complex_where_the_operator_is_not_hermitian():
    assert sp.simplify(expectation(X * P, GaussianState(a, 1, 2), space) - 2 - sp.I * hbar / 2) == 0


def test_what_has_no_closed_form_stays_an_integral_over_one_variable():
    value = expectation(sp.tanh(X) ** 2, GaussianState(1, sp.Rational(1, 2)), space)
    assert value.atoms(sp.Integral)
    exact = mpmath.quad(
        lambda q: mpmath.tanh(q) ** 2 * mpmath.exp(-((q - 0.5) ** 2)) / mpmath.sqrt(mpmath.pi), [-9, 0, 9]
    )
    assert abs(float(value.evalf()) - exact) < 1e-10


def test_traces():
    assert trace(space.ket_bra(2, 2), space) == 1
    assert trace(space.ket_bra(2, 0), space) == 0
    partition = trace(sp.exp(-a * (P**2 + X**2) / 2), space)
    assert sp.simplify(partition - 1 / (2 * sp.sinh(a * hbar / 2))) == 0
    assert trace_product(space.ket_bra(1, 2), space.ket_bra(2, 1), space) == 1
    # The trace of the parity is that of its eigenvalues, sum (-1)^n = 1/2 in Abel's sense.
    assert trace(space.parity(), space) == sp.Rational(1, 2)


def test_trace_of_a_product_needs_no_star():
    A, B = X * P * X, sp.exp(-(P**2 + X**2) / 3)
    with_star = trace(star(weyl_symbol(A, space), weyl_symbol(B, space), space), space)
    assert abs(number(with_star - trace_product(A, B, space), hbar=0.7)) < 1e-12


@pytest.mark.parametrize("state", [CatState(a, b), FockState(2), GaussianState(a)], ids=str)
def test_purity_of_pure_states(state):
    assert abs(number(trace_product(state, state, space), a=0.7, b=0.4, hbar=0.6) - 1) < 1e-12


def test_purity_of_the_thermal_state():
    purity = trace_product(ThermalState(a), ThermalState(a), space)
    assert abs(number(purity, a=1.3, hbar=0.6) - np.tanh(1.3 * 0.6 / 2)) < 1e-12


def test_parity_measures_w_at_the_origin():
    for state in (FockState(1), FockState(2), CoherentState(1)):
        value = expectation(space.parity(), state, space)
        W = state.wigner(space).subs({x: 0, p: 0})
        assert sp.simplify(value - sp.pi * hbar * W) == 0


def test_marginals_are_the_densities_of_the_wave_function():
    psi = (x + sp.I) * sp.exp(-(x**2) / 2 + sp.I * x)
    density, momentum = marginals(wigner_function(psi, space), space)
    norm = sp.sqrt(sp.pi) * sp.Rational(3, 2)
    assert sp.simplify(density - (x**2 + 1) * sp.exp(-(x**2)) / norm) == 0
    h = 2 * np.pi * 0.7
    for at in (-0.3, 1.1):
        wave = mpmath.quad(
            lambda q, v=at: (q + 1j) * mpmath.exp(-(q**2) / 2 + 1j * q - 1j * v * q / 0.7), [-10, -2, 0, 2, 10]
        )
        assert abs(number(momentum.subs(p, at), hbar=0.7) - abs(wave) ** 2 / h / float(norm)) < 1e-12


def test_reduced_wigner_function_of_an_entangled_gaussian():
    plane = PhaseSpace("x y", "px py")
    (x1, y1), (px, py) = plane.x, plane.p
    # A two-mode squeezed state.
    s = sp.Rational(3)
    W = sp.exp(-((x1 + y1) ** 2 / s + s * (x1 - y1) ** 2 + s * (px + py) ** 2 + (px - py) ** 2 / s) / (2 * hbar))
    W = W / (sp.pi * hbar) ** 2
    reduced = marginal(W, plane, (x1, px))
    assert sp.simplify(trace_product(W * (2 * sp.pi * hbar) ** 2, W * (2 * sp.pi * hbar) ** 2, plane) - 1) == 0
    # The reduced state is thermal: tanh(beta hbar omega/2) = 2 s/(1 + s^2) is its purity and inverse width.
    purity = 2 * s / (1 + s**2)
    expected = purity / (sp.pi * hbar) * sp.exp(-purity * (x1**2 + px**2) / hbar)
    assert sp.simplify(reduced - expected) == 0


def test_superposition_is_not_additive_in_w_and_mixing_is():
    """The slides' example: psi_0(x - b) + psi_0(x + b) against the mixture of the two."""
    left, right = (GaussianState(a, x0=sign * b).wigner(space) for sign in (-1, 1))
    mixture, cat = CatMixture(a, b).wigner(space), CatState(a, b).wigner(space)
    assert sp.simplify(mixture - (left + right) / 2) == 0
    # Superposing the wave functions gives the fringe between the two and another norm.
    psi = sp.exp(-((x - b) ** 2) / (2 * a**2)) + sp.exp(-((x + b) ** 2) / (2 * a**2))
    superposed = wigner_function(psi, space)
    fringe = superposed - (left + right) / (2 * (1 + sp.exp(-(b**2) / a**2)))
    assert sp.simplify(superposed - cat) == 0
    middle = GaussianState(a).wigner(space) / (1 + sp.exp(-(b**2) / a**2))
    assert sp.simplify(fringe - middle * sp.cos(2 * b * p / hbar)) == 0
    # In the densities: the mixture has none of the interference term that the superposition has.
    values = {"a": 0.7, "b": 0.6, "hbar": 0.4}
    mixed, pure = (marginals(W, space)[1].subs(p, 0.45) for W in (mixture, cat))
    assert abs(number(mixed - marginals(left, space)[1].subs(p, 0.45), **values)) < 1e-12
    interference = (1 + np.cos(2 * 0.6 * 0.45 / 0.4)) / (1 + np.exp(-(0.6**2) / 0.7**2))
    assert abs(number(pure / mixed, **values) - interference) < 1e-12
    # And in purity and negativity.
    assert abs(number(trace_product(cat * 2 * sp.pi * hbar, cat * 2 * sp.pi * hbar, space), **values) - 1) < 1e-12
    overlap = np.exp(-2 * 0.6**2 / 0.7**2)
    found = number(trace_product(mixture * 2 * sp.pi * hbar, mixture * 2 * sp.pi * hbar, space), **values)
    assert abs(found - (1 + overlap) / 2) < 1e-12
    assert number(cat.subs({x: 0, p: sp.pi * hbar / (2 * b)}), a=0.7, b=1.4, hbar=0.4).real < 0
    assert number(mixture.subs({x: 0, p: sp.pi * hbar / (2 * b)}), a=0.7, b=1.4, hbar=0.4).real > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: trace(X, space),
        lambda: trace(sp.Integer(1), space),
        lambda: expectation(X, x**2, space),
        lambda: expectation(X * x, FockState(0), space),
        lambda: expectation(X, X, space),
        lambda: marginal(FockState(0), space, "x"),
        lambda: marginal(FockState(0), space, ()),
        lambda: trace("A", space),
    ],
)
def test_refusals(make):
    with pytest.raises(InputError):
        make()

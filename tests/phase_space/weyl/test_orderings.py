"""The s-parametrised family against coherent-state matrix elements and Cahill and Glauber's relations."""

from math import factorial

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
    SqueezedState,
    ThermalState,
    expectation,
    ladder_operators,
    ordered_expansion,
    ordered_quantize,
    ordered_symbol,
    quasiprobability,
    weyl_symbol,
)
from tests.phase_space import dvr

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
(X,), (P,) = space.X, space.P
(down,), (up,) = ladder_operators(space)
half = sp.Rational(1, 2)
VALUE = dvr.HBAR


def coherent(at_x, at_p):
    """The coherent state's wave function on the grid of dvr."""
    q = dvr.NODES
    return (np.pi * VALUE) ** -0.25 * np.exp(-((q - at_x) ** 2) / (2 * VALUE) + 1j * at_p * q / VALUE)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_q_is_the_overlap_with_coherent_states(n):
    Q = sp.lambdify((x, p), quasiprobability(FockState(n), space, -1).subs(hbar, VALUE))
    for at in ((0.3, 0.4), (-1.1, 0.2)):
        overlap = (coherent(*at).conj() * dvr.level(n, dvr.NODES)).sum() * dvr.STEP
        assert abs(Q(*at) - abs(overlap) ** 2 / (2 * np.pi * VALUE)) < 1e-12


@pytest.mark.parametrize(
    "operator",
    [X * P * X, sp.exp(sp.I * X / 2), sp.exp(-(P**2 + X**2) / 4), (X**2 + P**2) ** 2, sp.exp(-(X**2))],
    ids=str,
)
def test_normally_ordered_symbol_is_the_coherent_expectation_value(operator):
    symbol = sp.lambdify((x, p), ordered_symbol(operator, space, 1).subs(hbar, VALUE))
    matrix = dvr.matrix(operator, space)
    for at in ((0.3, 0.4), (-1.1, 0.2)):
        state = coherent(*at)
        assert abs(symbol(*at) - state.conj() @ matrix @ state * dvr.STEP) < 1e-8


def test_p_function_of_the_thermal_state():
    """P = exp(-|alpha|^2/nbar)/(pi nbar), one unit of |alpha|^2 being 2 hbar of x^2 + p^2."""
    beta = sp.Rational(7, 5)
    found = quasiprobability(ThermalState(beta), space, 1)
    nbar = 1 / (sp.exp(beta * hbar) - 1)
    expected = sp.exp(-(x**2 + p**2) / (2 * hbar * nbar)) / (2 * sp.pi * hbar * nbar)
    for at in ({x: 0.3, p: 0.1, hbar: 0.8}, {x: -1, p: 0.5, hbar: 0.3}):
        assert abs((found - expected).subs(at).evalf()) < 1e-12


def test_expectation_values_are_the_same_for_every_s():
    operator, state = X * P * X + P**4, GaussianState(sp.sqrt(2 * hbar), x0=1, p0=half, c=sp.sqrt(hbar))
    direct = expectation(operator, state, space)
    for s in (1, half, 0, -half, -1):
        value = expectation(ordered_symbol(operator, space, s), quasiprobability(state, space, s), space)
        assert abs((value - direct).subs(hbar, 0.7).evalf()) < 1e-10


@pytest.mark.parametrize("s", [half, -half, sp.Rational(-1, 3)])
def test_smoothing_is_a_convolution(s):
    """From s = 1/2 of a Fock state (which exists) down to s by its Gaussian, numerically."""
    top, low = (quasiprobability(FockState(1, x0=half), space, t).subs(hbar, VALUE) for t in (sp.Rational(2, 3), s))
    width = VALUE * (sp.Rational(2, 3) - s)
    W = sp.lambdify((x, p), top)
    q = np.linspace(-7, 7, 281)
    at = (0.4, -0.3)
    kernel = np.exp(-((at[0] - q[:, None]) ** 2 + (at[1] - q[None, :]) ** 2) / float(width)) / (np.pi * float(width))
    summed = (W(q[:, None], q[None, :]) * kernel).sum() * (q[1] - q[0]) ** 2
    assert abs(complex(low.subs({x: at[0], p: at[1]}).evalf()) - summed) < 1e-10


def test_ordered_expansions_of_the_kerr_hamiltonian():
    """(a^dagger a)^2 = a^dagger^2 a^2 + a^dagger a = {..}_sym: the ordering corrections of spec section 7."""
    kerr = (up * down) ** 2
    assert ordered_expansion(kerr, space, 1) == {(2, 2): 1, (1, 1): 1}
    assert ordered_expansion(kerr, space, 0) == {(2, 2): 1, (1, 1): -1}
    assert ordered_expansion(kerr, space, -1) == {(2, 2): 1, (1, 1): -3, (0, 0): 1}
    action = (x**2 + p**2) / (2 * hbar)
    assert sp.expand(weyl_symbol(kerr, space) - action**2 + action) == 0


@pytest.mark.parametrize("s", [1, 0, -1, half])
def test_quantisation_inverts_the_symbol(s):
    f = x**3 * p + (x**2 + p**2) ** 2 / 4
    assert sp.expand(ordered_symbol(ordered_quantize(f, space, s), space, s) - f) == 0


def test_antinormal_quantisation_of_the_action_adds_half_a_quantum():
    operator = ordered_quantize((x**2 + p**2) / 2, space, -1)
    assert sp.expand(operator - (X**2 + P**2) / 2 - hbar / 2) == 0


def test_normally_ordered_powers_factorise():
    """<alpha| a^dagger^m a^n |alpha> = conj(alpha)^m alpha^n, for an oscillator with another length."""
    mass, omega = sp.Rational(2), sp.Rational(3)
    (a,), (c,) = ladder_operators(space, mass, omega)
    alpha = (mass * omega * x + sp.I * p) / sp.sqrt(2 * mass * omega * hbar)
    found = ordered_symbol(c**2 * a**3, space, 1, mass, omega)
    assert sp.expand(found - sp.conjugate(alpha) ** 2 * alpha**3) == 0


def test_symbolic_s_and_two_degrees_of_freedom():
    s = sp.Symbol("s", real=True)
    assert sp.expand(ordered_symbol(X**2, space, s) - x**2 - s * hbar / 2) == 0
    plane = PhaseSpace("x y", "px py")
    Q = quasiprobability(GaussianState(1), plane, -1)
    single = quasiprobability(GaussianState(1), space, -1)
    product = single.subs({x: plane.x[0], p: plane.p[0]}) * single.subs({x: plane.x[1], p: plane.p[1]})
    at = dict(zip(plane.variables, (0.1, 0.2, -0.3, 0.5), strict=True)) | {hbar: 0.7}
    assert abs((Q - product).subs(at).evalf()) < 1e-12


def test_p_of_coherent_states_is_a_point():
    assert quasiprobability(CoherentState(1, 2), space, 1) == sp.DiracDelta(x - 1) * sp.DiracDelta(p - 2)
    b = sp.Symbol("b", positive=True)
    mixture = quasiprobability(CatMixture(sp.sqrt(hbar), b), space, 1)
    assert (
        mixture == sp.DiracDelta(p) * (sp.DiracDelta(x - b) + sp.DiracDelta(x + b)).expand() / 2
        or sp.expand(mixture - sp.DiracDelta(p) * (sp.DiracDelta(x - b) + sp.DiracDelta(x + b)) / 2) == 0
    )


def test_fock_functions_between_p_and_w_against_their_series():
    """W_s of |n>: (2/(1-s)) ((s+1)/(s-1))^n L_n(4r/(1-s^2)) exp(-2r/(1-s)) / (2 pi hbar), r = (x^2+p^2)/(2 hbar)."""
    s, n = half, 3
    found = quasiprobability(FockState(n), space, s).subs({x: 0.4, p: 0.3, hbar: 0.7})
    r = mpmath.mpf(0.25) / 1.4
    v = mpmath.mpf(1) / 2
    laguerre = sum((-4 * r / (1 - v**2)) ** j / factorial(j) * mpmath.binomial(n, j) for j in range(n + 1))
    series = 2 / (1 - v) * ((v + 1) / (v - 1)) ** n * laguerre * mpmath.exp(-2 * r / (1 - v)) / (2 * mpmath.pi * 0.7)
    assert abs(float(found.evalf()) - series) < 1e-12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: quasiprobability(SqueezedState(half), space, 1), "does not exist"),
        (lambda: quasiprobability(SqueezedState(sp.Symbol("r", real=True)), space, 1), "does not exist"),
        (lambda: quasiprobability(FockState(2), space, 1), "does not exist"),
        (lambda: quasiprobability(CatState(sp.sqrt(hbar), 1), space, 1), "does not exist"),
        (lambda: ordered_symbol(space.ket_bra(1, 1), space, -1), "antinormally"),
        (lambda: quasiprobability(FockState(0), space, 2), "s <= 1"),
        (lambda: quasiprobability(FockState(0), space, "P"), "real number"),
        (lambda: quasiprobability(FockState(0), space, sp.I), "real number"),
        (lambda: quasiprobability(FockState(0), space, 0, mass=-1), "mass"),
        (lambda: ordered_symbol(sp.tanh(X), space, 1), "closed form"),
        (lambda: ordered_expansion(sp.exp(X), space), "polynomial"),
    ],
)
def test_where_they_do_not_exist_a_sentence_says_so(make, message):
    with pytest.raises(InputError, match=message):
        make()

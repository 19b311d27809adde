"""Integral forms against the series, against the (x, theta) form, and where the series is no help."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    PhaseSpace,
    bracket_integral,
    evolution_integrals,
    moyal_bracket,
    moyal_equation,
    series_verdict,
    star,
    star_integral,
    wigner_function,
)
from qnnsym.phase_space.integral_form import SeriesWarning
from tests.phase_space import dvr

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
(X,), (P,) = space.X, space.P
W0 = sp.exp(-((x - sp.Rational(1, 5)) ** 2) - (p + sp.Rational(1, 10)) ** 2) / sp.pi
WW = sp.Function("W")(x, p)
HBAR = dvr.HBAR
AT = ((0.3, -0.2), (-0.6, 0.5))


def value_of(expression, at):
    """An expression with double (or single) integrals at one point: the trapezoidal rule for each of them."""
    total = expression.subs({x: at[0], p: at[1], hbar: HBAR})
    grid = np.linspace(-14, 14, 281)
    for integral in total.atoms(sp.Integral):
        over = [limit[0] for limit in integral.limits]
        axes = np.meshgrid(*[grid] * len(over), indexing="ij")
        values = sp.lambdify(over, integral.function, "numpy")(*axes)
        total = total.subs(integral, values.sum() * (grid[1] - grid[0]) ** len(over))
    return complex(total.evalf())


def test_polynomials_by_series_and_by_integral():
    for f in (x**4, p**3):
        left, right = star_integral(f, W0, space), star_integral(W0, f, space)
        for at in AT:
            point = {x: at[0], p: at[1], hbar: HBAR}
            assert abs(value_of(left, at) - complex(star(f, W0, space).subs(point).evalf())) < 1e-8
            assert abs(value_of(right, at) - complex(star(W0, f, space).subs(point).evalf())) < 1e-8


def test_the_slides_integrals_are_the_moyal_equation():
    """dW_T/dt and dW_U/dt from Schroedinger's equation against the bracket of the Wigner function."""
    m = sp.Rational(3, 2)
    psi = (1 + sp.I * x) * sp.exp(-(x**2) + sp.I * x)
    norm = sp.integrate((1 + x**2) * sp.exp(-2 * x**2), (x, -sp.oo, sp.oo))
    W = wigner_function(psi, space)
    kinetic, potential = evolution_integrals(p**2 / (2 * m) + x**4 / 4 - x, space, psi / sp.sqrt(norm))
    for at in AT:
        point = {x: at[0], p: at[1], hbar: HBAR}
        for integral, part in ((kinetic, p**2 / (2 * m)), (potential, x**4 / 4 - x)):
            assert abs(value_of(integral, at) - complex(moyal_bracket(part, W, space).subs(point).evalf())) < 1e-10


@pytest.mark.parametrize("U", [sp.tanh(x), sp.exp(-(x**2)), 1 / (1 + x**2), sp.sqrt(1 + x**2)], ids=str)
def test_integral_and_theta_form_agree(U):
    """V(x, theta) of MoyalEquation.split multiplies W^(x, theta); the way back to p by the trapezoidal rule."""
    integral = bracket_integral(U, W0, space)
    _, V = moyal_equation(p**2 / 2 + U, space).split()
    (theta,) = space.theta
    grid = np.linspace(-15, 15, 401)
    for at in AT:
        hat = np.exp(-((at[0] - 0.2) ** 2) - grid**2 / 4 + 0.1j * grid) / np.sqrt(np.pi)
        factor = sp.lambdify(theta, V.subs({x: at[0], hbar: HBAR}), "numpy")(grid)
        by_theta = (1j * factor * hat * np.exp(1j * at[1] * grid)).sum() * (grid[1] - grid[0]) / (2 * np.pi)
        assert abs(value_of(integral, at) - by_theta) < 1e-8


def commutator(operator, at):
    """(1/h) symbol of [H, rho]/(i hbar) for rho of W0 at a point, by matrices on a grid."""
    q = dvr.NODES
    # <q|rho|q'> of a Gaussian W: psi-like factor times the Fourier transform in p at q - q'.
    middle, gap = (q[:, None] + q[None, :]) / 2, q[:, None] - q[None, :]
    rho = np.exp(-((middle - 0.2) ** 2) - gap**2 / (4 * HBAR**2) - 0.1j * gap / HBAR) / np.sqrt(np.pi)
    H = dvr.matrix(operator, space)
    rate = (H @ rho - rho @ H) / (1j * HBAR)
    # At a node x: pairs (x + y/2, x - y/2) are nodes too for y an even number of steps.
    centre = int(np.argmin(np.abs(q - at[0])))
    reach = min(centre, q.size - 1 - centre)
    steps = np.arange(-reach, reach + 1)
    wave = np.exp(-2j * at[1] * steps * dvr.STEP / HBAR)
    return (wave * rate[centre + steps, centre - steps]).sum() * 2 * dvr.STEP / (2 * np.pi * HBAR)


@pytest.mark.parametrize(
    ("H", "operator"),
    [
        (p**2 / 2 + sp.tanh(x), P**2 / 2 + sp.tanh(X)),
        (-sp.exp(-(x**2)) + p**2 / 2, P**2 / 2 - sp.exp(-(X**2))),
        (p**2 / (2 * (1 + x**2)), (P**2 / (1 + X**2) + 2 * P / (1 + X**2) * P + 1 / (1 + X**2) * P**2) / 8),
        (x * sp.sqrt(1 + p**2), (X * sp.sqrt(1 + P**2) + sp.sqrt(1 + P**2) * X) / 2),
    ],
    ids=str,
)
def test_integral_form_is_the_commutator(H, operator):
    integral = bracket_integral(H, W0, space)
    at = (-0.5, 0.45)
    assert abs(value_of(integral, at) - commutator(operator, at)) < 1e-7


def test_where_the_series_diverges_the_program_says_so_and_the_integral_is_right():
    H = p**2 / 2 + 1 / (1 + x**2)
    with pytest.warns(SeriesWarning, match="diverges for every hbar"):
        integral = moyal_bracket(H, WW, space)
    at = (0.25, -0.2)
    filled = integral.replace(sp.Function("W"), sp.Lambda((x, p), W0)).doit(integrals=False)
    found = value_of(filled, at)
    assert abs(found - commutator(P**2 / 2 + 1 / (1 + X**2), at)) < 1e-7
    point = {x: at[0], p: at[1], hbar: HBAR}
    errors = [abs(complex(moyal_bracket(H, W0, space, order=n).subs(point).evalf()) - found) for n in (2, 8, 16, 24)]
    assert errors[3] > errors[2] > errors[1] > errors[0]
    equation = moyal_equation(H, space)
    assert equation.integral(WW) == integral
    with pytest.raises(InputError, match=r"diverges .* \.integral"):
        _ = equation.terms


def test_the_bracket_is_antisymmetric_in_integral_form():
    H = sp.tanh(x) + sp.sqrt(1 + p**2)
    with pytest.warns(SeriesWarning):
        assert sp.expand(moyal_bracket(H, WW, space) + moyal_bracket(WW, H, space)) == 0


def test_general_star_product_by_both_shifts():
    integral = star_integral(sp.tanh(x * p), WW, space)
    (inner,) = integral.atoms(sp.Integral)
    assert len(inner.limits) == 4
    assert inner.function.has(sp.tanh) and inner.function.has(sp.exp)


def test_several_degrees_of_freedom_keep_one_shift_each():
    plane = PhaseSpace("x y", "px py")
    W2 = sp.Function("W")(*plane.variables)
    H = sp.Add(*(q**2 for q in plane.p)) / 2 + 1 / (1 + plane.x[0] ** 2 + plane.x[1] ** 2)
    integral = bracket_integral(H, W2, plane)
    (inner,) = integral.atoms(sp.Integral)
    assert len(inner.limits) == 4
    free = integral - inner * integral.coeff(inner)
    assert sp.expand(free + sum(q * sp.diff(W2, v) for v, q in zip(plane.x, plane.p, strict=True))) == 0


@pytest.mark.parametrize(
    ("H", "kind"),
    [
        (p**2 + x**4, "ends"),
        (sp.cos(x) + p**2, "converges"),
        (x * sp.exp(x - p), "converges"),
        (-sp.exp(-(x**2)), "conditional"),
        (sp.erf(x), "conditional"),
        (sp.exp(-(x**4)), "diverges"),
        (p**2 / (1 + x**2), "diverges"),
        (sp.tanh(x) + x, "diverges"),
        (sp.sqrt(1 + p**2), "diverges"),
        (sp.exp(sp.sin(x)), "diverges"),
        (sp.Function("U")(x), "unknown"),
    ],
    ids=str,
)
def test_verdicts(H, kind):
    verdict = series_verdict(H, space)
    assert verdict.kind == kind and verdict.sentence.endswith(".")


def test_conditional_means_hbar_below_the_product_of_the_widths():
    """U = exp(-x^2/l^2) on W ~ exp(-p^2/w^2): the terms fall below hbar = l w and grow above."""
    U, W = sp.exp(-(x**2) / 4), sp.exp(-(p**2))  # l w = 2
    exact = star(U, W, space)
    for value, falls in ((1, True), (3, False)):
        point = {x: 0, p: 0, hbar: value}
        errors = [abs((star(U, W, space, order=n) - exact).subs(point).evalf()) for n in (6, 12, 24)]
        assert bool(errors[0] > errors[1] > errors[2]) is falls


def test_refusals_are_sentences():
    with pytest.raises(InputError, match="neither a power"):
        bracket_integral(sp.tanh(x * p), WW, space)
    with pytest.raises(InputError, match="T\\(p\\)"):
        evolution_integrals(x**2 * p**2, space, sp.exp(-(x**2)))
    with pytest.raises(InputError, match="momentum"):
        evolution_integrals(p**2, space, sp.exp(-(p**2)))

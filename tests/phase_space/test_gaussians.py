"""Star products of Gaussians against numerical integration, the algebra they obey, and where they do not exist."""

import numpy as np
import pytest
import sympy as sp
from sympy import I, Rational

from qnnsym.errors import InputError
from qnnsym.phase_space import CatState, FockState, PhaseSpace, SqueezedState, moyal_bracket, star
from qnnsym.phase_space.gaussians import gaussian_terms, sign_of

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
plane = PhaseSpace("x y", "px py")
a, b = sp.symbols("a b", positive=True)

PAIRS = [
    (sp.exp(-2 * (x**2 + p**2)), sp.exp(-(x**2 + p**2) / 2)),
    (sp.exp(-(x**2) - p**2 / 3), sp.exp(-2 * p**2 - x**2 / 4)),
    (sp.exp(-(x**2) - x * p - 2 * p**2), sp.exp(-3 * (x - 1) ** 2 - p**2 + I * x)),
    (x * sp.exp(-(x**2) - p**2), (x**2 - p) * sp.exp(-2 * x**2 - p**2)),
    (sp.exp(-(1 + I) * x**2 - p**2), sp.exp(-(x**2) - (2 - I) * p**2 + x)),
    (sp.exp(-(x**2) - p**2) * sp.cos(2 * p), sp.exp(-(x**2) - p**2) + sp.exp(-2 * x**2 - p**2) * x),
]


def by_integration(f, g, at, value):
    """(pi hbar)^{-2} int f(z + u) g(z + v) exp[(2i/hbar)(u_x v_p - u_p v_x)] du dv by the trapezoidal rule.

    The sum over v is a Fourier transform of g, done as two matrix products.
    """
    w = np.linspace(-8, 8, 129)
    step = w[1] - w[0]
    left = sp.lambdify((x, p), f.subs(hbar, value), "numpy")(at[0] + w[:, None], at[1] + w[None, :])
    right = sp.lambdify((x, p), g.subs(hbar, value), "numpy")(at[0] + w[:, None], at[1] + w[None, :])
    phase = np.exp(2j * np.outer(w, w) / value)
    transform = phase @ right.T @ phase.conj()  # [u_x, u_p] = sum over v of e^{2i u_x v_p} g e^{-2i u_p v_x}
    return (left * transform).sum() * step**4 / (np.pi * value) ** 2


@pytest.mark.parametrize(("f", "g"), PAIRS, ids=str)
def test_closed_form_is_the_integral(f, g):
    value = 0.8
    closed, bracket = star(f, g, space), moyal_bracket(f, g, space)
    for at in ((0.3, -0.2), (-0.7, 0.4)):
        point = {x: at[0], p: at[1], hbar: value}
        there, back = by_integration(f, g, at, value), by_integration(g, f, at, value)
        assert abs(complex(closed.subs(point).evalf()) - there) < 1e-9
        assert abs(complex(bracket.subs(point).evalf()) - (there - back) / (1j * value)) < 1e-9


def test_isotropic_and_anisotropic_closed_forms():
    isotropic = star(sp.exp(-a * (x**2 + p**2)), sp.exp(-b * (x**2 + p**2)), space)
    D = 1 + a * b * hbar**2
    assert sp.simplify(isotropic * D / sp.exp(-(a + b) / D * (x**2 + p**2)) - 1) == 0
    anisotropic = star(sp.exp(-a * x**2), sp.exp(-b * p**2), space)
    expected = sp.exp(-(a * x**2 + b * p**2 - 2 * I * hbar * a * b * x * p) / D) / sp.sqrt(D)
    assert sp.simplify(anisotropic / expected - 1) == 0


@pytest.mark.parametrize("state", [CatState(a, b), FockState(3), SqueezedState(Rational(1, 2), x0=1)], ids=str)
def test_pure_states_are_projectors(state):
    W = state.wigner(space)
    difference = star(W, W, space) - W / (2 * sp.pi * hbar)
    at = {x: Rational(3, 10), p: Rational(-1, 5), hbar: Rational(3, 5), a: Rational(7, 10), b: Rational(2, 5)}
    assert abs(difference.subs(at).evalf(30)) < 1e-20


def test_products_of_gaussians_are_associative():
    f, g, h = (
        sp.exp(-(x**2) - p**2) * p,
        sp.exp(-(x**2) / 2 - p**2 / 2),
        sp.exp(-3 * x**2 - p**2),
    )
    at = {x: Rational(3, 10), p: Rational(-1, 5), hbar: Rational(3, 5)}
    left, right = star(star(f, g, space), h, space), star(f, star(g, h, space), space)
    assert abs((left - right).subs(at).evalf(30)) < 1e-20


def test_two_degrees_of_freedom():
    (x1, y1), (px, py) = plane.variables[:2], plane.variables[2:]
    at = dict(zip(plane.variables, (0.3, -0.2, 0.1, 0.5), strict=True)) | {hbar: 0.7}
    # Factors of separate degrees of freedom compose separately.
    f, g, h, k = sp.exp(-(x1**2)), px * sp.exp(-2 * px**2 - x1**2), sp.exp(-(py**2) / 3), sp.exp(-(y1**2) - y1 * py)
    apart = star(f, g, plane) * star(h, k, plane)
    assert abs((star(f * h, g * k, plane) - apart).subs(at).evalf()) < 1e-12
    # Coupled ones against the series, for a small hbar.
    f, g = sp.exp(-(x1**2) - x1 * y1 - y1**2 - px**2), sp.exp(-(px**2) - (px - py) ** 2 - x1**2)
    small = at | {hbar: 0.02}
    assert abs((star(f, g, plane) - star(f, g, plane, order=3)).subs(small).evalf()) < 1e-6


def test_closed_form_where_the_series_diverges():
    """exp(-x^2) * exp(-p^2) has the factor (1 + hbar^2)^{-1/2}, whose series ends at hbar = 1."""
    closed = star(sp.exp(-(x**2)), sp.exp(-(p**2)), space).subs({x: 0, p: 0})
    assert sp.simplify(closed - 1 / sp.sqrt(1 + hbar**2)) == 0
    value = 1.5
    errors = [
        abs(
            star(sp.exp(-(x**2)), sp.exp(-(p**2)), space, order=n).subs({x: 0, p: 0, hbar: value})
            - (1 + value**2) ** -0.5
        )
        for n in (4, 8, 12)
    ]
    assert errors[0] < errors[1] < errors[2]


def test_gaussian_well_acts_on_a_gaussian_state():
    """On W = exp(-x^2 - p^2) in theta: V(x, theta) exp(-theta^2/4) back to p, by the trapezoidal rule."""
    W, value, at = sp.exp(-(x**2) - p**2), 0.8, (0.3, 0.2)
    theta = np.linspace(-15, 15, 301)
    V = (-np.exp(-((at[0] + value * theta / 2) ** 2)) + np.exp(-((at[0] - value * theta / 2) ** 2))) / value
    hat = np.sqrt(np.pi) * np.exp(-(at[0] ** 2) - theta**2 / 4 + 1j * at[1] * theta)
    potential = (1j * V * hat).sum() * (theta[1] - theta[0]) / (2 * np.pi)
    kinetic = (-p * sp.diff(W, x)).subs({x: at[0], p: at[1]})
    found = moyal_bracket(p**2 / 2 - sp.exp(-(x**2)), W, space).subs({x: at[0], p: at[1], hbar: value}).evalf()
    assert abs(complex(found) - complex(kinetic) - potential) < 1e-10


def test_where_the_composition_is_singular():
    growing, falling = sp.exp((x**2 + p**2) / (2 * hbar)), sp.exp(-2 * (x**2 + p**2) / hbar)
    with pytest.raises(InputError, match="singular"):
        star(growing, falling, space)
    with pytest.raises(InputError, match="negative"):
        star(sp.exp(3 * x**2 / hbar), sp.exp(-(p**2) / hbar), space)


def test_reading_of_terms():
    terms = gaussian_terms(2 * sp.cos(x) + sp.exp(-((x - p) ** 2) / (1 + sp.exp(-a))), (x, p))
    assert terms is not None and len(terms) == 3
    (form,) = (t.form for t in terms if not t.flat)
    assert sp.simplify(form[0, 1] * (1 + sp.exp(-a))) == -1
    for f in (sp.tanh(x), sp.exp(-(x**4)), 1 / (1 + x**2), sp.Function("f")(x)):
        assert gaussian_terms(f, (x, p)) is None


def test_signs():
    r = sp.Symbol("r", real=True)
    assert sign_of(a**2 + 1) == "positive"
    assert sign_of(-a) == "negative"
    assert sign_of(sp.coth(a) - 1) == "positive"
    assert sign_of((a + b) ** 2 - a**2 - 2 * a * b - b**2) == "zero"
    assert sign_of(a - b) == "mixed" == sign_of(r)

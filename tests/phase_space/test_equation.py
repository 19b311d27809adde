"""The Moyal equation: its table, the split factors, refusals and LaTeX."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import GaussianState, PhaseSpace, moyal_bracket, moyal_equation
from qnnsym.phase_space.equation import check_hamiltonian
from qnnsym.phase_space.integral_form import SeriesWarning

space = PhaseSpace("x", "p")
(x,), (p,), (k,), (theta,), hbar = space.x, space.p, space.k, space.theta, space.hbar
m, g = space.parameters(m=1, g="0.5")
plane = PhaseSpace("x y", "px py")
W = sp.Function("W")(x, p)


def test_quartic_table():
    equation = moyal_equation(p**2 / (2 * m) + g * x**4 / 4, space)
    assert [tuple(row) for row in equation.terms] == [
        (0, -p / m, (1,), (0,)),
        (0, g * x**3, (0,), (1,)),
        (2, -g * x / 4, (0,), (3,)),
    ]
    assert equation.exact and equation.separable
    assert (equation.kinetic, equation.potential) == (p**2 / (2 * m), g * x**4 / 4)


def test_truncation_says_whether_something_was_left_out():
    quartic = p**2 / 2 + x**4
    assert [row.hbar_power for row in moyal_equation(quartic, space, order=0).terms] == [0, 0]
    assert not moyal_equation(quartic, space, order=0).exact
    assert moyal_equation(quartic, space, order=2).exact
    assert moyal_equation(p**2 / 2 + x**2, space, order=0).exact
    assert not moyal_equation(p**2 / 2 - sp.cos(x), space, order=6).exact


@pytest.mark.parametrize(
    "H",
    [
        p**2 / 2 + x**6 - 3 * x**3,
        x**2 * p**2 + x * p**3,
        (p - x**2) ** 2 / 2,
        p**2 / 2 + hbar * x**4 + hbar**2 * x**5,
        p**2 / 2 - sp.cos(2 * x),
        sp.sqrt(1 + p**2) + sp.tanh(x),
        p**2 / (2 * (1 + x**2)),
        sp.exp(x) * p,
        p**2 / (2 * sp.Function("M")(x)) + sp.Function("U")(x),
    ],
    ids=str,
)
@pytest.mark.parametrize("order", [0, 2, 5])
def test_table_is_the_bracket(H, order):
    rows = sp.Add(
        *(
            hbar**r.hbar_power * r.coefficient * sp.Derivative(W, (x, r.dx[0]), (p, r.dp[0])).doit()
            for r in moyal_equation(H, space, order).terms
        )
    )
    state = x * sp.exp(-(x**2) - p**2)
    known = {W: state, sp.Function("M")(x): 2 + sp.cos(x), sp.Function("U")(x): sp.sin(x)}
    by_rows = rows.subs(known).doit()
    by_bracket = moyal_bracket(H, W, space, order=order).subs(known).doit()
    by_rhs = moyal_equation(H, space, order).rhs(state).subs(known).doit()
    point = {x: sp.Rational(3, 7), p: sp.Rational(-2, 5), hbar: sp.Rational(5, 4)}
    values = [e.subs(point).evalf(30) for e in (by_rows, by_bracket, by_rhs)]
    assert max(abs(v - values[0]) for v in values) < 1e-24


def test_henon_heiles():
    (x1, y1), (px, py) = plane.x, plane.p
    equation = moyal_equation((px**2 + py**2) / 2 + (x1**2 + y1**2) / 2 + x1**2 * y1 - y1**3 / 3, plane)
    rows = {(r.dx, r.dp): (r.hbar_power, r.coefficient) for r in equation.terms}
    # -hbar^2/24 sum over third derivatives of U: U_xxy = 2, three times; U_yyy = -2.
    assert rows[(0, 0), (2, 1)] == (2, -sp.Rational(1, 4))
    assert rows[(0, 0), (0, 3)] == (2, sp.Rational(1, 12))
    assert len(rows) == 6


def test_infinite_series():
    equation = moyal_equation(p**2 / 2 - sp.cos(x), space)
    assert not equation.exact
    with pytest.raises(InputError, match="order=2"):
        _ = equation.terms
    shifted = equation.rhs(W)
    assert shifted.has(W.subs(p, p + hbar / 2))
    with pytest.warns(SeriesWarning, match=r"diverges .* order=2"):
        assert moyal_equation(p**2 / 2 + sp.tanh(x), space).rhs(W).has(sp.Integral)
    with pytest.raises(InputError, match="order=2"):
        moyal_equation(sp.tanh(x * p), space).rhs(W)


POTENTIALS = [
    x**4 / 4 - x**3,
    sp.cos(2 * x),
    sp.tanh(x),
    (1 - sp.exp(-x)) ** 2,
    sp.exp(-(x**2)) + x**2,
    sp.sqrt(1 + x**2),
    hbar * x**3,
]


@pytest.mark.parametrize("U", POTENTIALS, ids=str)
def test_exact_split_is_the_shift_difference(U):
    K, V = moyal_equation(sp.sqrt(1 + p**2) + U, space).split()
    at = {
        x: sp.Rational(3, 7),
        p: sp.Rational(2, 5),
        k: sp.Rational(5, 3),
        theta: sp.Rational(-4, 3),
        hbar: sp.Rational(1, 3),
    }
    up, down = U.subs(x, x + hbar * theta / 2), U.subs(x, x - hbar * theta / 2)
    assert abs((V - (up - down) / hbar).subs(at).evalf(40)) < 1e-35
    T = sp.sqrt(1 + p**2)
    up, down = T.subs(p, p + hbar * k / 2), T.subs(p, p - hbar * k / 2)
    assert abs((K - (up - down) / hbar).subs(at).evalf(40)) < 1e-35


@pytest.mark.parametrize("U", POTENTIALS, ids=str)
@pytest.mark.parametrize("order", [0, 2, 4])
def test_truncated_split_is_the_series_of_the_exact_one(U, order):
    equation = moyal_equation(p**4 + U, space)
    small = sp.Rational(1, 10**9)
    point = {x: sp.Rational(3, 7), p: sp.Rational(2, 5), k: sp.Rational(5, 3), theta: sp.Rational(-4, 3)}
    for exact, truncated in zip(equation.split(), equation.split(order), strict=True):
        assert sp.degree(truncated.subs(point), hbar) <= order
        gap = (exact - truncated).subs(point).subs(hbar, small).evalf(30, maxn=400)
        assert abs(gap) < 1e3 * small ** (order + 1)


def test_split_agrees_with_the_table():
    """d_p -> i theta and d_x -> i k turn the table into i V and -i K."""
    K, V = moyal_equation(p**4 / 4 + p**2 / 2 + x**6, space).split()
    rows = moyal_equation(p**4 / 4 + p**2 / 2 + x**6, space).terms
    symbol = sp.Add(
        *(
            hbar**r.hbar_power * r.coefficient * (sp.I * k) ** r.dx[0] * (sp.I * theta) ** r.dp[0]
            for r in rows
        )
    )
    assert sp.expand(symbol - sp.I * V + sp.I * K) == 0


def test_split_in_two_dimensions():
    (x1, y1), (px, py) = plane.x, plane.p
    U = x1**2 * y1 - y1**3 / 3
    K, V = moyal_equation((px**2 + py**2) / 2 + U, plane).split()
    shifts = dict(zip(plane.x, plane.theta, strict=True))
    up, down = (
        U.subs({q: q + s * plane.hbar * t / 2 for q, t in shifts.items()}, simultaneous=True) for s in (1, -1)
    )
    assert sp.expand(V - (up - down) / plane.hbar) == 0
    assert sp.expand(K - px * plane.k[0] - py * plane.k[1]) == 0


def test_not_separable():
    equation = moyal_equation(x**2 * p**2, space)
    assert equation.kinetic is None and not equation.separable
    with pytest.raises(InputError, match="table of terms"):
        equation.split()
    assert moyal_equation((p + 1) ** 2 * (x + 1) / (x + 1), space).separable


def test_free_particle_and_uniform_field_have_no_quantum_terms():
    equation = moyal_equation(p**2 / 2 + space.t * x, space)
    assert {r.hbar_power for r in equation.terms} == {0}
    assert equation.split() == (k * p, space.t * theta)
    assert moyal_equation(sp.Integer(0), space).terms == ()
    assert moyal_equation(sp.Integer(3), space).split() == (0, 0)


def test_norm_is_conserved_by_the_rows():
    """iint dW/dt = 0 for a Gaussian and a non-separable H, by the trapezoidal rule."""
    rate = (
        moyal_equation(x**2 * p**2 + x**3 * p, space)
        .rhs(GaussianState(1, x0=1, p0=2).wigner(space))
        .subs(hbar, 1)
    )
    axis = np.linspace(-9, 11, 401)
    values = sp.lambdify((x, p), rate, "numpy")(axis[:, None], axis[None, :])
    assert abs(values.sum()) < 1e-11 * np.abs(values).sum()


@pytest.mark.parametrize(
    ("H", "message"),
    [
        (p**2 / 2 + sp.I * x, "not real"),
        (1j * x, "not real"),
        (sp.Symbol("g", imaginary=True) * x, "not real"),
        (p**2 / 2 + space.X[0], "operators"),
        (space.X[0] * space.P[0], "weyl_symbol"),
        (p**2 / 2 + sp.nan, "not finite"),
        (sp.zoo * x, "not finite"),
        ("p**2", "SymPy expression"),
        (None, "SymPy expression"),
        (sp.Matrix([x]), "SymPy expression"),
    ],
    ids=str,
)
def test_hamiltonians_that_are_refused(H, message):
    for function in (moyal_equation, check_hamiltonian):
        with pytest.raises(InputError, match=message):
            function(H, space)


def test_imaginary_units_that_cancel_are_accepted():
    equation = moyal_equation(p**2 / 2 + sp.exp(sp.I * x) + sp.exp(-sp.I * x), space)
    assert not equation.hamiltonian.has(sp.I)
    assert sp.simplify(equation.potential - 2 * sp.cos(x)) == 0


def test_unknown_symbols_are_named():
    omega, a = sp.symbols("omega a")
    with pytest.raises(
        InputError, match=r"a, omega.*space\.parameters\(a=1, omega=1\).*--set a=1 --set omega=1"
    ):
        check_hamiltonian(p**2 / 2 + omega * x**2 + a, space)
    with pytest.raises(InputError, match="other assumptions"):
        check_hamiltonian(p**2 / 2 + sp.Symbol("x") ** 2, space)
    assert check_hamiltonian(p**2 / (2 * m) + 0.1 * g * x * sp.cos(space.t) + hbar, space).has(
        sp.Rational(1, 10)
    )


def test_latex():
    equation = moyal_equation(p**2 / (2 * m) + g * x**4 / 4, space)
    assert equation.latex() == (
        r"\frac{\partial W}{\partial t} = - \frac{p}{m} \frac{\partial W}{\partial x} + g x^{3} "
        r"\frac{\partial W}{\partial p}"
        r" - \frac{g \hbar^{2} x}{4} \frac{\partial^{3} W}{\partial p^{3}}"
    )
    pendulum = moyal_equation(p**2 / 2 - sp.cos(x), space)
    assert pendulum.latex(2).endswith(r"+ \mathcal{O}\left(\hbar^{4}\right)")
    assert r"- \cos{\left(x + \tfrac{i \hbar}{2} \partial_{p}\right)}" in pendulum.latex_exact()
    assert r"\sin\left[" in moyal_equation(x**2 * p**2, space).latex_exact()


def test_a_function_that_leaves_the_ring_with_a_higher_derivative_is_differentiated_by_sympy():
    H = p**2 / 2 + sp.asin(x)
    rows = {(row.hbar_power, row.dp): row.coefficient for row in moyal_equation(H, space, 2).terms if row.dp != (0,)}
    assert sp.simplify(rows[0, (1,)] - sp.diff(H, x)) == 0
    assert sp.simplify(rows[2, (3,)] + sp.diff(H, x, 3) / 24) == 0

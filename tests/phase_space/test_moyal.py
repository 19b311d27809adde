"""Star product and Moyal bracket against SymPy's derivatives, and the algebra they have to obey."""

import itertools
from math import factorial

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace, moyal_bracket, star
from qnnsym.phase_space.ring import Element

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
plane = PhaseSpace("x y", "px py")
k, g = sp.symbols("k g", positive=True)
W = sp.Function("W")(x, p)


def sympy_star(f, other, where, order):
    """The star product as the exponential of the bidifferential operator, nested derivative by derivative."""
    pairs = [(f, other)]
    total, weight = f * other, sp.Integer(1)
    for n in range(1, order + 1):
        pairs = [
            pair
            for a, b in pairs
            for q, r in zip(where.x, where.p, strict=True)
            for pair in ((sp.diff(a, q), sp.diff(b, r)), (-sp.diff(a, r), sp.diff(b, q)))
            if 0 not in pair
        ]
        weight = weight * sp.I * where.hbar / 2 / n
        total += weight * sp.Add(*(a * b for a, b in pairs))
    return total


def polynomials(where, degree=3, size=5):
    coefficient = st.builds(sp.Rational, st.integers(-9, 9), st.integers(1, 4))
    monomials = [
        e for e in itertools.product(range(degree + 1), repeat=2 * where.dimension) if sum(e) <= degree
    ]
    return st.dictionaries(st.sampled_from(monomials), coefficient, max_size=size).map(
        lambda terms: sp.Add(
            *(c * sp.Mul(*(v**n for v, n in zip(where.variables, e, strict=True))) for e, c in terms.items())
        )
    )


@settings(max_examples=25, deadline=None)
@given(polynomials(space, 4), polynomials(space, 4))
def test_star_against_sympy(f, other):
    assert sp.expand(star(f, other, space) - sympy_star(f, other, space, 8)) == 0


@settings(max_examples=12, deadline=None)
@given(polynomials(plane), polynomials(plane))
def test_star_and_bracket_against_sympy_in_two_dimensions(f, other):
    forward, back = sympy_star(f, other, plane, 3), sympy_star(other, f, plane, 3)
    assert sp.expand(star(f, other, plane) - forward) == 0
    assert sp.expand(moyal_bracket(f, other, plane) - (forward - back) / (sp.I * hbar)) == 0


@settings(max_examples=20, deadline=None)
@given(polynomials(plane), polynomials(plane), polynomials(plane))
def test_associativity_and_jacobi(f, other, third):
    a, b, c = (plane.polynomial(e) for e in (f, other, third))
    assert star(star(a, b, plane), c, plane) == star(a, star(b, c, plane), plane)
    jacobi = sum(
        (
            moyal_bracket(u, moyal_bracket(v, w, plane), plane)
            for u, v, w in ((a, b, c), (b, c, a), (c, a, b))
        ),
        start=a * 0,
    )
    assert jacobi.is_zero
    assert (moyal_bracket(a, b, plane) + moyal_bracket(b, a, plane)).is_zero


def test_convention():
    assert star(x, p, space) == x * p + sp.I * hbar / 2
    assert star(p, x, space) == x * p - sp.I * hbar / 2
    assert moyal_bracket(x, p, space) == 1
    assert moyal_bracket(x, x, space) == 0 == moyal_bracket(sp.Integer(3), p**5, space)


def test_quartic_correction_has_the_sign_of_the_spec():
    """dW/dt from U(x): U' W_p - hbar^2/24 U''' W_ppp."""
    expected = x**3 * sp.diff(W, p) - hbar**2 / 24 * 6 * x * sp.diff(W, p, 3) - p * sp.diff(W, x)
    assert sp.expand(moyal_bracket(p**2 / 2 + x**4 / 4, W, space) - expected) == 0


def test_poisson_at_order_zero():
    f, other = sp.tanh(x) * p**3, sp.exp(-(x**2) - p**2)
    poisson = sp.diff(f, x) * sp.diff(other, p) - sp.diff(f, p) * sp.diff(other, x)
    assert sp.simplify(moyal_bracket(f, other, space, order=0) - poisson) == 0


def test_truncation_counts_all_powers_of_hbar():
    f, other = x**4 + hbar * x**3, p**4 + hbar**2 * p
    exact = sp.expand(star(f, other, space))
    for order in range(7):
        kept = sum((exact.coeff(hbar, n) * hbar**n for n in range(order + 1)), sp.Integer(0))
        assert sp.expand(star(f, other, space, order=order) - kept) == 0


def test_truncation_is_the_same_by_both_ways():
    function = sp.Function("F")(x, p)
    f = hbar * x**4 + p**3
    closed = sp.exp(-(x**2) - 2 * p**2)
    opened = moyal_bracket(f, function, space, order=2).subs(function, closed).doit()
    assert sp.expand(opened - moyal_bracket(f, closed, space, order=2)) == 0


def test_hbar_in_a_width_is_not_counted():
    gaussian = sp.exp(-(x**2 + p**2) / hbar) / (sp.pi * hbar)
    exact = moyal_bracket(p**2 / 2 + x**4, gaussian, space)
    assert sp.expand(moyal_bracket(p**2 / 2 + x**4, gaussian, space, order=2) - exact) == 0
    # The ground state is a star-eigenfunction of the oscillator: H * W = (hbar/2) W.
    assert sp.expand(star((p**2 + x**2) / 2, gaussian, space) - hbar / 2 * gaussian) == 0


def test_position_dependent_mass_with_undefined_functions():
    mass, potential = sp.Function("m")(x), sp.Function("U")(x)
    bracket = moyal_bracket(p**2 / (2 * mass) + potential, W, space, order=4)
    chosen = {potential: x**6, mass: 1 / (1 + x**2), W: x**3 * p**5 + x * p**7}
    concrete = sp.expand(bracket.subs(chosen).doit())
    fast = moyal_bracket(p**2 * (1 + x**2) / 2 + x**6, chosen[W], space, order=4)
    assert sp.expand(concrete - fast) == 0


def test_waves_shift_the_momentum():
    """cos(kx) acts by W(x, p +- hbar k/2): the whole series in closed form."""
    bracket = moyal_bracket(p**2 / 2 - sp.cos(k * x), W, space)
    shifted = (W.subs(p, p + hbar * k / 2) - W.subs(p, p - hbar * k / 2)) * sp.sin(k * x) / hbar
    assert sp.expand(bracket - shifted + p * sp.diff(W, x)) == 0
    assert sp.expand(moyal_bracket(W, p**2 / 2 - sp.cos(k * x), space) + bracket) == 0


@pytest.mark.parametrize(
    ("f", "other"),
    [
        (sp.cos(k * x), sp.exp(-(x**2) - p**2)),
        (x * sp.exp(x + 2 * p), sp.exp(-(x**2) - p**2)),
        (sp.exp(-(x**2) - p**2) * x, p * sp.cos(x - p) + x**2),
    ],
    ids=str,
)
def test_closed_forms_sum_the_series(f, other):
    """The sum over ten orders, each term by the ring, at one point."""
    at = {x: sp.Rational(3, 10), p: sp.Rational(-2, 5), k: sp.Rational(7, 10), hbar: sp.Rational(1, 50)}
    for function in (star, moyal_bracket):
        closed = function(f, other, space).subs(at).evalf(30)
        series = function(f, other, space, order=10).subs(at).evalf(30)
        assert abs(closed - series) < 1e-16


def test_exponentials_obey_the_weyl_relation():
    a, b = sp.symbols("a b", real=True)
    product = star(sp.exp(sp.I * a * x), sp.exp(sp.I * b * p), space)
    assert sp.simplify(product - sp.exp(sp.I * (a * x + b * p)) * sp.exp(-sp.I * hbar * a * b / 2)) == 0


def test_without_closed_form_the_message_says_what_to_do():
    with pytest.raises(InputError, match="order=2"):
        moyal_bracket(sp.tanh(x * p), W, space)
    with pytest.raises(InputError, match="order=2"):
        star(sp.tanh(x), sp.tanh(p), space)


@pytest.mark.parametrize("order", [-1, 1.5, "2", True])
def test_bad_orders_are_refused(order):
    with pytest.raises(InputError, match="order"):
        star(x, p, space, order=order)


def test_elements_in_elements_out():
    a = space.polynomial(x**2 * p)
    assert isinstance(star(a, p**3, space), Element)
    assert isinstance(moyal_bracket(p**3, a, space), Element)
    assert star(a, a, space).as_expr() == star(x**2 * p, x**2 * p, space)
    with pytest.raises(InputError, match="variables"):
        star(a, x, PhaseSpace("q", "p"))
    with pytest.raises(InputError, match="phase space"):
        star("x +", p, space)


def test_exact_far_beyond_machine_integers():
    """x^n * p^n has the coefficient n! (i hbar/2)^k C(n,k)^2 k!/n!...; the last one is n! (i hbar/2)^n."""
    n = 40
    product = star(x**n, p**n, space)
    assert product.coeff(hbar, n) == factorial(n) * (sp.I / 2) ** n
    constant = product.subs({x: 0, p: 0})
    assert sp.simplify(constant - factorial(n) * (sp.I * hbar / 2) ** n) == 0


def test_result_is_well_formed():
    f = sp.Add(*(sp.Rational(i + 1, 7) * x**i * p ** (5 - i) for i in range(6)))
    other = sp.Add(*(sp.Rational(3 - i, 2) * x ** (4 - i) * p**i for i in range(5)))
    bracket = moyal_bracket(f, other, space)
    assert bracket.args == sp.Add(*bracket.args).args
    assert all(t == t.func(*t.args) and t.args == t.func(*t.args).args for t in bracket.args if t.args)


def test_series_against_the_integral_form():
    """f(x) * g(p) = (1/(pi hbar)) iint f(x + u) g(p + v) exp(2 i u v/hbar) du dv, by the trapezoidal rule."""
    at_x, at_p, value = 0.3, 0.2, 0.1
    series = complex(
        star(sp.exp(-(x**2)), sp.exp(-(p**2)), space, order=14).subs({x: at_x, p: at_p, hbar: value}).evalf()
    )
    u = np.linspace(-7, 7, 701)
    step = u[1] - u[0]
    kernel = np.exp(
        -((at_x + u[:, None]) ** 2) - (at_p + u[None, :]) ** 2 + 2j * u[:, None] * u[None, :] / value
    )
    assert abs(series - kernel.sum() * step**2 / (np.pi * value)) < 1e-10

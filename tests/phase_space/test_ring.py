"""The differential ring against SymPy's and mpmath's derivatives, and the form it prints."""

import itertools

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace
from qnnsym.phase_space.ring import NotClosed, Ring, derivatives, element

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
m, w, nu = sp.symbols("m w nu", positive=True)
POINT = {
    x: sp.Rational(7, 10),
    p: sp.Rational(3, 10),
    m: sp.Rational(13, 10),
    w: sp.Rational(3, 5),
    nu: sp.Rational(23, 10),
    hbar: sp.Rational(2, 5),
}

FUNCTIONS = [
    p**2 / (2 * m) + x**4,
    sp.tanh(x) * sp.exp(-(x**2)),
    1 / (1 + sp.exp(-x)),
    sp.sqrt(1 + x**2) * p,
    sp.log(sp.cosh(x)) * sp.sin(x),
    x**nu + x ** (nu + 2) + x ** (-nu),
    sp.atan(x) + sp.asinh(x),
    sp.sech(x) ** 2 + sp.coth(x + 1),
    sp.exp(x) + sp.exp(-2 * x) + sp.exp(x / 2),
    sp.exp(x) * sp.exp(p) + sp.exp(x + p) + sp.exp(2 * x + 2 * p),
    sp.erf(x),
    x**x,
    (x + 1) ** sp.Rational(-2, 3) + sp.sqrt(x + 1),
    sp.exp(-(x**2) / w - p**2) * sp.cos(2 * p * w / hbar) / (sp.pi * sp.sqrt(hbar)),
    sp.sqrt(2) * sp.sqrt(3) * x + sp.sqrt(2) * x**2 + sp.sqrt(3) * x**2 + sp.E * x,
    1 / (2 + 2 * x**2) + 1 / (1 + x**2) ** 2,
    sp.LambertW(x),
    sp.tan(x * p),
    sp.exp(sp.I * x) + sp.exp(-2 * sp.I * x),
    1 / (x * (x + p)) + x ** sp.Rational(1, 3) / p,
    (1 - sp.exp(-(x - 1))) ** 2,
]


def well_formed(expression):
    """Rebuilding the expression by SymPy's own constructors changes nothing."""
    return all(part == part.func(*part.args) for part in sp.preorder_traversal(expression) if part.args)


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_derivatives_agree_with_sympy(function):
    ring_element = element(function, space)
    for times_x, times_p in [(0, 0), (1, 0), (0, 1), (2, 1), (3, 0)]:
        ours = ring_element.derivative((times_x, times_p)).as_expr()
        assert well_formed(ours)
        theirs = sp.diff(function, *([x] * times_x + [p] * times_p)) if times_x + times_p else function
        left, right = (complex(e.subs(POINT).evalf(30)) for e in (ours, theirs))
        assert abs(left - right) <= 1e-13 * max(1, abs(right))


@pytest.mark.parametrize("number", [13, 21])
def test_high_derivatives_against_mpmath(number):
    """The 13th and 21st derivative of tanh(x) exp(-x^2) to 50 digits, by Cauchy's integral."""
    last = derivatives(sp.tanh(x) * sp.exp(-(x**2)), x, number)[-1].as_expr()
    assert well_formed(last)
    with mpmath.workdps(120):
        at = mpmath.mpf(3) / 10
        # The trapezoidal rule converges geometrically: the nearest pole of tanh lies at the distance 1.6 > 1.
        circle = [mpmath.expjpi(mpmath.mpf(2 * j) / 400) for j in range(400)]
        mean = sum(mpmath.tanh(at + u) * mpmath.exp(-((at + u) ** 2)) / u**number for u in circle) / 400
        theirs = (mean * mpmath.factorial(number)).real
        ours = sp.lambdify(x, last, "mpmath")(at)
        assert abs(ours - theirs) < mpmath.mpf(10) ** -50 * abs(theirs)


def test_derivatives_of_a_symbol_with_any_name():
    q = sp.Symbol("q", real=True)
    assert [d.as_expr() for d in derivatives(q**3, q, 4)] == [q**3, 3 * q**2, 6 * q, 6, 0]


@pytest.mark.parametrize(
    "zero",
    [
        sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1,
        sp.cosh(x) ** 2 - sp.sinh(x) ** 2 - 1,
        sp.exp(x) * sp.exp(-x) - 1,
        (x**2 - 1) / (x - 1) - x - 1,
        1 / (1 + sp.exp(x)) + 1 / (1 + sp.exp(-x)) - 1,
        1 / (x * p) * x - 1 / p,
        1 / (x - p) - 1 / (x + p) - 2 * p / (x**2 - p**2),
        sp.sqrt(1 + x**2) ** 3 - sp.sqrt(1 + x**2) * (1 + x**2),
        (sp.I * x) ** 2 + x**2,
    ],
    ids=str,
)
def test_relations_make_zero(zero):
    assert element(zero, space).is_zero


def test_not_zero():
    for function in FUNCTIONS:
        assert not element(function, space).is_zero


@pytest.mark.parametrize(
    "function",
    [sp.Function("W")(x, p), abs(x), sp.Piecewise((x, x > 0), (0, True)), sp.besselj(0, x), space.X[0] * x],
    ids=str,
)
def test_what_does_not_close_is_refused(function):
    with pytest.raises(NotClosed):
        element(function, space)


def test_arithmetic_across_rings():
    a, b = element(x**2 + sp.exp(x), space), element(p / m, space)
    assert (a * b).as_expr() == sp.expand((x**2 + sp.exp(x)) * p / m)
    assert (a - a).is_zero and not (a + b).is_zero
    assert (2 * a - b) == -(b - a * 2)
    assert (a**3).as_expr() == element((x**2 + sp.exp(x)) ** 3, space).as_expr()
    assert len(a) == 2
    assert (a + x).as_expr() == x**2 + sp.exp(x) + x
    with pytest.raises(InputError, match="non-negative"):
        a**-1
    with pytest.raises(InputError, match="different phase spaces"):
        a + element(sp.Symbol("q", real=True), PhaseSpace("q", "p"))


def test_real_and_imaginary_parts():
    e = element((x + sp.I * p) ** 2, space)
    assert e.real.as_expr() == x**2 - p**2
    assert e.imag.as_expr() == 2 * x * p


def test_equal_rings_are_shared():
    assert Ring.of([x * m + p * w], space) is Ring.of([w * m * x], space)


coefficient = st.builds(sp.Rational, st.integers(-30, 30), st.integers(1, 12))
exponents = st.tuples(*([st.integers(0, 4)] * 3))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(exponents, coefficient, max_size=12))
def test_printed_polynomials_are_sympy_polynomials(terms):
    polynomial = sp.Add(*(c * x**i * p**j * m**k for (i, j, k), c in terms.items()))
    printed = element(polynomial, space).as_expr()
    assert printed == polynomial
    assert printed.args == polynomial.args
    assert well_formed(printed)


def test_dense_polynomial_in_two_dimensions_prints_in_canonical_order():
    plane = PhaseSpace("x y", "px py")
    polynomial = sp.Add(
        *(
            sp.Rational((-1) ** i * (i % 17 + 1), i % 5 + 1)
            * sp.Mul(*(v**n for v, n in zip(plane.variables, e, strict=True)))
            for i, e in enumerate(itertools.product(range(4), repeat=4))
        )
    )
    printed = element(polynomial, plane).as_expr()
    assert printed.args == sp.Add(*printed.args).args == polynomial.args

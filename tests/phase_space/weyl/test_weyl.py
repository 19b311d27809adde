"""Weyl symbols of operators against matrices on a grid, the algebra of words, and refusals."""

from collections import defaultdict
from math import comb, factorial

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import I, Rational

from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace, moyal_bracket, star, trace_product, weyl_symbol
from tests.phase_space import dvr

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
(X,), (P,) = space.X, space.P
plane = PhaseSpace("x y", "px py")
a, b, k = sp.symbols("a b k", positive=True)
third, fifth = Rational(1, 3), Rational(1, 5)

WORDS = [
    (X * P + P * X) ** 2,
    X * P * X**2 * P + I * P**3 * X,
    P / (2 * (1 + X**2)) * P,
    sp.sqrt(1 + X**2) * P**2,
    sp.sqrt(1 + P**2) * X,
    P * sp.tanh(X) * P * X,
    sp.tanh((X + P) / 2),
    1 / (1 + (X - P) ** 2),
    sp.exp(I * X) * sp.exp(I * P / 2) * X,
    sp.exp(-third * X**2) * sp.exp(-fifth * P**2),
    X * sp.exp(-third * X**2) * P * sp.exp(-fifth * P**2),
    sp.exp(-third * (P**2 + 2 * X**2)),
    sp.exp(-third * (P**2 + X * P / 2 + P * X / 2 + X**2) + fifth * X - I * P / 4),
    sp.exp(I * (P + X**2) / 4),
    sp.exp(I * (P**2 - X**2) / 6),
    space.ket_bra(2, 1) * X,
    P * space.ket_bra(0, 1) * sp.exp(I * X / 2),
    space.ket_bra(1, 1, mass=2) * space.ket_bra(1, 0),
    sp.cos(X) * space.ket_bra(0, 2),
]


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_symbol_gives_the_matrix_elements_of_the_operator(word):
    found = dvr.block_of_symbol(weyl_symbol(word, space), space)
    assert np.max(np.abs(found - dvr.block(word, space))) < 1e-7


@pytest.mark.parametrize(
    "word",
    [
        space.parity(),
        X * P * space.parity(),
        space.parity() * P**2 * X,
        sp.exp(I * X / 2) * space.parity() * sp.exp(-I * X / 2) * X,
        sp.exp(I * P / 3) * space.parity() * sp.exp(-I * P / 3),
        space.parity() * X**3 * space.parity() * P,
        X * space.parity() * space.ket_bra(1, 0) * P * space.parity(),
        (1 - space.parity()) / 2 * X**2,
    ],
    ids=str,
)
def test_words_with_the_parity_against_matrices(word):
    """Delta functions under the integral: <n|A|m> = Tr A |m><n| exactly."""
    expected = dvr.block(word, space)
    for n, m in ((0, 0), (1, 2), (2, 1), (1, 1)):
        found = complex(trace_product(word, space.ket_bra(m, n), space).subs(hbar, dvr.HBAR))
        assert abs(found - expected[n, m]) < 1e-8


def test_examples_of_the_manual():
    assert weyl_symbol((X * P + P * X) ** 2, space) == 4 * x**2 * p**2 + hbar**2
    assert weyl_symbol(space.parity(), space) == sp.pi * hbar * sp.DiracDelta(x) * sp.DiracDelta(p)
    assert weyl_symbol(X * P, space) == x * p + I * hbar / 2
    assert weyl_symbol(sp.Integer(3), space) == 3


@pytest.mark.parametrize(("m", "n"), [(0, 0), (1, 0), (0, 1), (3, 1), (1, 4), (5, 5)])
def test_ket_bra_against_the_definition(m, n):
    symbol = weyl_symbol(space.ket_bra(m, n), space).subs(hbar, dvr.HBAR)
    values = sp.lambdify((x, p), symbol, "numpy")(dvr.GRID_X[:, None], dvr.GRID_P[None, :])
    assert np.max(np.abs(values - dvr.transition(m, n))) < 1e-10


def ordered(word):
    """{(m, n): coefficient} of a word of letters with every x moved to the left by [x, p] = i hbar."""
    total = defaultdict(lambda: sp.Integer(0), {(0, 0): sp.Integer(1)})
    for letter in word:
        following = defaultdict(lambda: sp.Integer(0))
        for (m, n), c in total.items():
            if letter == "p":
                following[m, n + 1] += c
            else:
                following[m + 1, n] += c
                if n:
                    following[m, n - 1] -= I * hbar * n * c
        total = following
    return total


def symbol_of_ordered(terms):
    """x^m p^n with X to the left has the symbol sum_k (i hbar/2)^k k! C(m, k) C(n, k) x^(m-k) p^(n-k)."""
    return sum(
        c * (I * hbar / 2) ** j * factorial(j) * comb(m, j) * comb(n, j) * x ** (m - j) * p ** (n - j)
        for (m, n), c in terms.items()
        for j in range(min(m, n) + 1)
    )


words = st.text(alphabet="xp", max_size=7)


@settings(max_examples=30)
@given(words)
def test_any_order_of_factors(word):
    operator = sp.Mul(*({"x": X, "p": P}[letter] for letter in word))
    assert sp.expand(weyl_symbol(operator, space) - symbol_of_ordered(ordered(word))) == 0


@settings(max_examples=15)
@given(words, words, words)
def test_star_of_symbols_is_the_symbol_of_the_product_and_associative(f, g, h):
    A, B, C = (sp.Mul(*({"x": X, "p": P}[letter] for letter in word)) + 2 for word in (f, g, h))
    a_, b_, c_ = (weyl_symbol(operator, space) for operator in (A, B, C))
    assert sp.expand(star(a_, b_, space) - weyl_symbol(A * B, space)) == 0
    assert sp.expand(star(star(a_, b_, space), c_, space) - star(a_, star(b_, c_, space), space)) == 0
    assert sp.expand(weyl_symbol(sp.adjoint(A * B), space) - sp.conjugate(weyl_symbol(A * B, space))) == 0


def test_words_that_are_not_hermitian_keep_their_imaginary_part():
    f = sp.Function("f")
    assert weyl_symbol(f(X) * P, space) == p * f(x) + I * hbar / 2 * sp.diff(f(x), x)
    assert weyl_symbol((X + I * P) ** 2, space) == sp.expand((x + I * p) ** 2)


def test_exponentials_of_linear_forms_obey_baker_campbell_hausdorff():
    left = weyl_symbol(sp.exp(I * a * X) * sp.exp(I * b * P), space)
    right = weyl_symbol(sp.exp(I * a * X + I * b * P), space)
    assert sp.simplify(left / right - sp.exp(-I * hbar * a * b / 2)) == 0


def test_exponentials_of_the_oscillator_form_a_semigroup():
    H = (P**2 + X**2) / 2
    product = star(weyl_symbol(sp.exp(-a * H), space), weyl_symbol(sp.exp(-b * H), space), space)
    whole = weyl_symbol(sp.exp(-(a + b) * H), space)
    point = {a: 0.3, b: 1.1, hbar: 0.8, x: 0.4, p: -0.7}
    assert abs((product - whole).subs(point).evalf()) < 1e-12


def test_projectors_multiply():
    word = space.ket_bra(0, 2) * space.ket_bra(2, 1)
    assert weyl_symbol(word, space) == weyl_symbol(space.ket_bra(0, 1), space)
    assert weyl_symbol(space.ket_bra(0, 2) * space.ket_bra(1, 1), space) == 0
    # The same by the star product of the two symbols.
    by_star = star(weyl_symbol(space.ket_bra(0, 2), space), weyl_symbol(space.ket_bra(2, 1), space), space)
    assert sp.simplify(by_star - weyl_symbol(word, space)) == 0


def test_several_degrees_of_freedom():
    (X1, Y1), (PX, PY), (x1, y1), (px, py) = plane.X, plane.P, plane.x, plane.p
    ih = I * plane.hbar / 2
    assert weyl_symbol(X1 * PY * Y1 * PX, plane) == sp.expand((x1 * px + ih) * (y1 * py - ih))
    assert weyl_symbol((X1 * PY - Y1 * PX) ** 2, plane) == sp.expand((x1 * py - y1 * px) ** 2 - plane.hbar**2 / 2)
    assert weyl_symbol(1 / sp.sqrt(1 + X1**2 + Y1**2), plane) == 1 / sp.sqrt(1 + x1**2 + y1**2)
    assert weyl_symbol(sp.exp(X1 + PY), plane) == sp.exp(x1 + py)
    single = weyl_symbol(space.ket_bra(1, 0), space)
    double = weyl_symbol(plane.ket_bra((1, 0), (0, 0)), plane)
    other = weyl_symbol(space.ket_bra(0, 0), space).subs({x: y1, p: py})
    assert sp.simplify(double - single.subs({x: x1, p: px}) * other) == 0
    assert weyl_symbol(plane.parity(), plane).coeff(sp.pi**2) == plane.hbar**2 * sp.Mul(
        *(sp.DiracDelta(v) for v in plane.variables)
    )


@pytest.mark.parametrize("names", [("x y", "px py"), ("x y z", "px py pz")])
def test_magnetic_coupling_has_no_term_of_order_hbar_squared(names):
    where = PhaseSpace(*names)
    potentials = [sp.Function(f"A{i}") for i in range(where.dimension)]
    operator = sum((Pi - A(*where.X)) ** 2 for Pi, A in zip(where.P, potentials, strict=True))
    expected = sum((pi - A(*where.x)) ** 2 for pi, A in zip(where.p, potentials, strict=True))
    assert sp.expand(weyl_symbol(operator, where) - expected) == 0


def test_a_uniform_magnetic_field_moves_w_classically_and_others_do_not():
    (x1, y1), (px, py) = plane.x, plane.p
    W = sp.Function("W")(*plane.variables)
    uniform = (px + y1 / 2) ** 2 / 2 + (py - x1 / 2) ** 2 / 2
    assert sp.expand(moyal_bracket(uniform, W, plane) - moyal_bracket(uniform, W, plane, order=0)) == 0
    bent = (px + y1**2) ** 2 / 2 + py**2 / 2
    assert sp.expand(moyal_bracket(bent, W, plane) - moyal_bracket(bent, W, plane, order=0)) != 0


def test_undefined_functions_and_truncation():
    U = sp.Function("U")
    assert weyl_symbol(P**2 / 2 + U(X), space) == p**2 / 2 + U(x)
    real = sp.Function("V", real=True)
    assert weyl_symbol(P**2 / 2 + real(X), space) == p**2 / 2 + real(x)
    cut = weyl_symbol(sp.tanh(X) * sp.tanh(P), space, order=1)
    expected = sp.tanh(x) * sp.tanh(p) + I * hbar / 2 * sp.diff(sp.tanh(x), x) * sp.diff(sp.tanh(p), p)
    assert abs((cut - expected).subs({x: 0.3, p: 0.4, hbar: 0.5}).evalf()) < 1e-12


def test_exact_and_quick_for_long_words():
    symbol = weyl_symbol((X**2 + P**2) ** 10, space)
    # The eigenvalue of the ground state, hbar^10, from its Wigner function: the moments of exp(-2 u) are factorials.
    u = sp.Symbol("u", positive=True)
    radial = sp.Poly(symbol.subs({p: 0, x: sp.sqrt(u)}).subs(hbar, 1), u)
    assert sum(c * factorial(n) for (n,), c in radial.terms()) == 1


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (X * x, "commuting variable"),
        (x**2 * p, "its own symbol"),
        (sp.Symbol("A", commutative=False) * X, "not operators of"),
        (PhaseSpace("q", "p").X[0], "not operators of"),
        (plane.parity() * X, "degree"),
        (X / P, "divides by"),
        (1 / X, "divides by"),
        (1 / (X**2 - 1), "divides by"),
        ((X * P) ** -1, "divides by"),
        (sp.sqrt(X), "negative values"),
        (sp.sqrt(1 - X**2), "negative values"),
        (sp.sqrt(X * P), "power 1/2"),
        (X ** sp.Symbol("nu"), "negative values"),
        (sp.log(X), "logarithm"),
        (sp.tanh(X * P), "do not commute"),
        (sp.tanh(X + I * P), "not Hermitian"),
        (sp.exp(X**2 * P), "quadratic form"),
        (sp.exp(space.parity()), "no closed symbol"),
        (sp.tanh(X) * sp.tanh(P), "order=2"),
        (sp.exp(-I * sp.pi * (X**2 + P**2) / (2 * hbar)), "parity"),
        (sp.Function("V", real=True)(X) * P, "without assumptions"),
        (sp.Abs(X) * P, "sqrt"),
        (space.parity() * sp.tanh(X), "parity"),
        (X * sp.oo, "finite"),
        ("X*P", "SymPy expression"),
        (None, "SymPy expression"),
        (sp.Matrix([[X]]), "SymPy expression"),
    ],
    ids=str,
)
def test_refusals_are_sentences(word, message):
    with pytest.raises(InputError, match=message):
        weyl_symbol(word, space)


def test_ket_bra_and_order_are_checked():
    for numbers in ((-1, 0), (0, 0.5), ((0, 0), 0)):
        with pytest.raises(InputError):
            space.ket_bra(*numbers)
    with pytest.raises(InputError, match="mass"):
        space.ket_bra(0, 0, mass=-1)
    with pytest.raises(InputError, match="order"):
        weyl_symbol(X, space, order=-1)

"""The symbolic engine against SymPy's derivatives: Moyal brackets of dense polynomials, growth, high derivatives."""

from __future__ import annotations

import math
import random
import statistics
from itertools import product

import mpmath
import sympy as sp

from benchmarks.measure import Row, best_of
from qnnsym.phase_space import PhaseSpace, moyal_bracket
from qnnsym.phase_space.ring import derivatives

TITLE = "Moyal brackets and high derivatives"
DEGREES = (4, 5, 6, 7, 8)


def dense_polynomial(space: PhaseSpace, degree: int, seed: int) -> sp.Expr:
    """All monomials up to a total degree, with random rational coefficients."""
    draw = random.Random(seed)
    terms = [
        sp.Rational(draw.choice((-1, 1)) * draw.randint(1, 9), draw.randint(1, 9))
        * sp.Mul(*(v**n for v, n in zip(space.variables, exponents, strict=True)))
        for exponents in product(range(degree + 1), repeat=2 * space.dimension)
        if sum(exponents) <= degree
    ]
    return sp.Add(*terms)


def sympy_bracket(f: sp.Expr, g: sp.Expr, space: PhaseSpace) -> sp.Expr:
    """The competitor: all derivatives by SymPy's diff (each taken once), one expansion at the end."""
    n = space.dimension
    known: dict[tuple[int, tuple[int, ...]], sp.Expr] = {(0, (0,) * 2 * n): f, (1, (0,) * 2 * n): g}

    def derivative(which: int, alpha: tuple[int, ...]) -> sp.Expr:
        key = (which, alpha)
        if key not in known:
            j = max(i for i in range(2 * n) if alpha[i])
            known[key] = sp.diff(derivative(which, (*alpha[:j], alpha[j] - 1, *alpha[j + 1 :])), space.variables[j])
        return known[key]

    total = []
    top = max(sum(m) for m in sp.Poly(f, *space.variables).monoms())
    for k in range(1, top + 1, 2):
        for alpha in product(range(k + 1), repeat=2 * n):
            if sum(alpha) != k:
                continue
            a, b = alpha[:n], alpha[n:]
            left, right = derivative(0, alpha), derivative(1, b + a)
            if left != 0 and right != 0:
                weight = sp.Rational((-1) ** (k // 2 + sum(b)), math.prod(map(math.factorial, alpha)))
                total.append(weight * (space.hbar / 2) ** (k - 1) * left * right)
    return sp.expand(sp.Add(*total))


def relative_error(derivative: sp.Expr, x: sp.Symbol, number: int) -> float:
    """Against Cauchy's integral for tanh(z) exp(-z^2) at 3/10, by the trapezoidal rule in 120 digits."""
    with mpmath.workdps(120):
        at = mpmath.mpf(3) / 10
        circle = [mpmath.expjpi(mpmath.mpf(2 * j) / 400) for j in range(400)]
        mean = sum(mpmath.tanh(at + u) * mpmath.exp(-((at + u) ** 2)) / u**number for u in circle) / 400
        expected = (mean * mpmath.factorial(number)).real
        return float(abs(sp.lambdify(x, derivative, "mpmath")(at) / expected - 1))


def brackets() -> list[Row]:
    """All orders of hbar of the bracket of two dense polynomials, printed lazily and as SymPy's."""
    space = PhaseSpace("x y", "px py")
    f, g = dense_polynomial(space, 6, 1), dense_polynomial(space, 6, 2)
    theirs, expected = best_of(lambda: sympy_bracket(f, g, space), 1)
    a, b = space.polynomial(f), space.polynomial(g)
    lazy, _ = best_of(lambda: moyal_bracket(a, b, space), 15)
    whole, found = best_of(lambda: moyal_bracket(f, g, space), 7)
    wrong = f"{len(set(expected.args) ^ set(found.args))} of {len(expected.args)} terms differ"
    # SymPy itself would put the same arguments into the same order.
    form = "well-formed" if found.args == sp.Add(*found.args).args else "NOT well-formed"
    what, rival = "bracket, 2 dof, degree 6", "SymPy diff, one expand"
    return [
        Row(f"{what}, printed lazily", theirs / lazy, (">=", 1000), "", lazy, theirs, rival, None, wrong),
        Row(f"{what}, SymPy to SymPy", theirs / whole, (">=", 100), "", whole, theirs, rival, None, f"{wrong}, {form}"),
    ]


def growth() -> Row:
    """The exponent of the time in the number of terms, a straight line through logarithms."""
    space = PhaseSpace("x y", "px py")
    sizes, times = [], []
    for degree in DEGREES:
        a, b = (space.polynomial(dense_polynomial(space, degree, seed)) for seed in (3, 4))
        seconds, _ = best_of(lambda a=a, b=b: moyal_bracket(a, b, space), 9)
        sizes.append(math.log(len(a)))
        times.append(math.log(seconds))
    slope = statistics.linear_regression(sizes, times).slope
    return Row(f"growth exponent in terms, degrees {DEGREES[0]} to {DEGREES[-1]}", slope, ("<", 1.7))


def high_derivatives() -> list[Row]:
    """Derivatives in the differential ring; the printing of all their terms beside it."""
    x = sp.Symbol("x", real=True)
    function = sp.tanh(x) * sp.exp(-(x**2))
    table = []
    for number in (13, 21):
        seconds, found = best_of(lambda number=number: derivatives(function, x, number), 7)
        printing, printed = best_of(lambda last=found[-1]: last.ring.printer.expression(last.poly), 5)
        error = f"{relative_error(printed, x, number):.1e} to mpmath"
        table += [
            Row(f"derivative {number} of tanh(x) exp(-x^2), ring element", seconds, ("<", 5e-3), "s", error=error),
            Row(f"derivative {number}, printing {len(printed.args)} terms", printing, None, "s"),
        ]
    return table


def rows() -> list[Row]:
    """Everything of this module."""
    return [*brackets(), growth(), *high_derivatives()]

"""The symbolic engine against SymPy's derivatives: Moyal brackets of dense polynomials, growth, high
derivatives.

`rows()` measures everything in one run and compares results term by term; run as a script it prints a table.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import mpmath
import sympy as sp

from qnnsym.phase_space import PhaseSpace, moyal_bracket
from qnnsym.phase_space.ring import derivatives

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
            known[key] = sp.diff(
                derivative(which, (*alpha[:j], alpha[j] - 1, *alpha[j + 1 :])), space.variables[j]
            )
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


def best_of(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """(shortest time in seconds, last result)."""
    best, result = math.inf, None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def row(name: str, ours: float, theirs: float | None, bar: str, error: Any) -> dict[str, Any]:
    """One row of the table; times in seconds, ratio = theirs/ours."""
    ratio = None if theirs is None else theirs / ours
    return {"name": name, "ours": ours, "theirs": theirs, "ratio": ratio, "bar": bar, "error": error}


def relative_error(derivative: sp.Expr, x: sp.Symbol, number: int) -> float:
    """Against Cauchy's integral for tanh(z) exp(-z^2) at 3/10, by the trapezoidal rule in 120 digits."""
    with mpmath.workdps(120):
        at = mpmath.mpf(3) / 10
        circle = [mpmath.expjpi(mpmath.mpf(2 * j) / 400) for j in range(400)]
        mean = sum(mpmath.tanh(at + u) * mpmath.exp(-((at + u) ** 2)) / u**number for u in circle) / 400
        expected = (mean * mpmath.factorial(number)).real
        return float(abs(sp.lambdify(x, derivative, "mpmath")(at) / expected - 1))


def rows() -> list[dict[str, Any]]:
    """Measure every bar; `error` counts terms that differ from SymPy's, or is a relative error."""
    space = PhaseSpace("x y", "px py")
    f, g = dense_polynomial(space, 6, 1), dense_polynomial(space, 6, 2)
    theirs, expected = best_of(lambda: sympy_bracket(f, g, space), 1)
    a, b = space.polynomial(f), space.polynomial(g)
    lazy, _ = best_of(lambda: moyal_bracket(a, b, space), 15)
    whole, expression = best_of(lambda: moyal_bracket(f, g, space), 7)
    wrong = len(set(expected.args) ^ set(expression.args))
    malformed = 0 if expression.args == sp.Add(*expression.args).args else len(expression.args)
    table = [
        row("bracket, 2 dof, degree 6, printed lazily", lazy, theirs, "ratio >= 1000", wrong),
        row("bracket, 2 dof, degree 6, SymPy to SymPy", whole, theirs, "ratio >= 100", wrong + malformed),
    ]

    sizes, times = [], []
    for degree in DEGREES:
        a, b = (space.polynomial(dense_polynomial(space, degree, seed)) for seed in (3, 4))
        seconds, _ = best_of(lambda a=a, b=b: moyal_bracket(a, b, space), 9)
        sizes.append(len(a))
        times.append(seconds)
    logs, values = [math.log(s) for s in sizes], [math.log(t) for t in times]
    mean_log, mean_value = sum(logs) / len(logs), sum(values) / len(values)
    slope = sum((u - mean_log) * (v - mean_value) for u, v in zip(logs, values, strict=True))
    slope /= sum((u - mean_log) ** 2 for u in logs)
    table.append(row("growth exponent in terms, degrees 4 to 8", slope, None, "< 1.7", None))

    x = sp.Symbol("x", real=True)
    function = sp.tanh(x) * sp.exp(-(x**2))
    for number in (13, 21):
        seconds, found = best_of(lambda number=number: derivatives(function, x, number), 7)
        printing, printed = best_of(lambda last=found[-1]: last.ring.printer.expression(last.poly), 5)
        error = relative_error(printed, x, number)
        table.append(
            row(f"derivative {number} of tanh(x) exp(-x^2), ring element", seconds, None, "< 5 ms", error)
        )
        table.append(
            row(f"derivative {number}, printing ({len(printed.args)} terms)", printing, None, "-", None)
        )
    return table


def main() -> None:
    """Print the table."""
    print(f"{'':52} {'ours':>11} {'theirs':>11} {'ratio':>8}  bar             error")
    for r in rows():
        plain = r["name"].startswith("growth")
        ours = f"{r['ours']:.2f}" if plain else f"{1e3 * r['ours']:.3f} ms"
        theirs = "" if r["theirs"] is None else f"{r['theirs']:.2f} s"
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.0f}"
        print(
            f"{r['name']:52} {ours:>11} {theirs:>11} {ratio:>8}  {r['bar']:15} "
            f"{'' if r['error'] is None else r['error']}"
        )


if __name__ == "__main__":
    main()

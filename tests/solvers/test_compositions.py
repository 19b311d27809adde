"""Splittings: exact order conditions on formal power series, observed orders on random matrices."""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import expm

from qnnsym.solvers.compositions import COMPOSITIONS, Composition

ALL = list(COMPOSITIONS.values())
NAMES = list(COMPOSITIONS)


def series_of_exponential(letter: str, coefficient: float, order: int) -> dict[str, float]:
    """exp(c A) in the free associative algebra on A and B, words up to the given length."""
    terms, value = {"": 1.0}, 1.0
    for n in range(1, order + 1):
        value *= coefficient / n
        terms[letter * n] = value
    return terms


def multiply(f: dict[str, float], g: dict[str, float], order: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for (u, a), (v, b) in product(f.items(), g.items()):
        if len(u) + len(v) <= order:
            found[u + v] = found.get(u + v, 0.0) + a * b
    return found


def one_step(c: Composition, order: int) -> dict[str, float]:
    total = series_of_exponential("A", c.a[0], order)
    for a, b in zip(c.a[1:], c.b, strict=True):
        total = multiply(total, series_of_exponential("B", b, order), order)
        total = multiply(total, series_of_exponential("A", a, order), order)
    return total


def exact_series(order: int) -> dict[str, float]:
    """exp(A + B): every word of length n has the coefficient 1/n!."""
    found, factorial = {"": 1.0}, 1.0
    for n in range(1, order + 1):
        factorial *= n
        found.update({"".join(w): 1.0 / factorial for w in product("AB", repeat=n)})
    return found


@pytest.mark.parametrize("c", ALL, ids=NAMES)
def test_coefficients_are_palindromes_that_sum_to_one(c):
    assert c.a == c.a[::-1] and c.b == c.b[::-1] and len(c.a) == len(c.b) + 1 == c.stages + 1
    assert sum(c.a) == pytest.approx(1, abs=1e-14) and sum(c.b) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("c", ALL, ids=NAMES)
def test_order_conditions_hold_up_to_the_order_and_fail_beyond_it(c):
    found, exact = one_step(c, c.order + 1), exact_series(c.order + 1)
    gaps = {w: abs(found.get(w, 0.0) - value) for w, value in exact.items()}
    assert max(gap for w, gap in gaps.items() if len(w) <= c.order) < 2e-14
    assert max(gap for w, gap in gaps.items() if len(w) == c.order + 1) > 1e-8


@pytest.mark.parametrize("c", ALL, ids=NAMES)
@pytest.mark.parametrize("swapped", (False, True), ids=("AB", "BA"))
def test_observed_order_on_random_matrices(c, swapped):
    rng = np.random.default_rng(3)
    A, B = (x / np.linalg.norm(x, 2) for x in rng.normal(size=(2, 6, 6)))
    if swapped:
        A, B = B, A
    exact = expm(2 * (A + B))
    steps = np.array([2, 3, 4, 6, 8]) * (1 if c.order > 4 else 4)
    errors = []
    for n in steps:
        h = 2 / n
        step = expm(c.a[0] * h * A)
        for a, b in zip(c.a[1:], c.b, strict=True):
            step = expm(a * h * A) @ expm(b * h * B) @ step
        errors.append(np.linalg.norm(np.linalg.matrix_power(step, n) - exact))
    slope = np.polyfit(np.log(2 / steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(c.order, abs=0.2)


def test_a_wrong_digit_breaks_the_order_conditions():
    c = COMPOSITIONS["blanes_moan6"]
    a = (c.a[0] + 1e-9, c.a[1] - 1e-9, *c.a[2:-2], c.a[-2] - 1e-9, c.a[-1] + 1e-9)
    found = one_step(Composition("wrong", 6, a, c.b, ""), 6)
    assert max(abs(found.get(w, 0.0) - value) for w, value in exact_series(6).items()) > 1e-11

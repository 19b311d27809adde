"""Butcher tableaus: equal to SciPy's entry by entry, and right by the order conditions of rooted trees."""

from functools import cache
from math import factorial

import numpy as np
import pytest
from scipy.integrate._ivp import dop853_coefficients as scipy_table

from qnnsym.solvers.tableaus import DOP853, METHODS, RK4, Tableau

MIDDLE, END = 12, 13


def test_dop853_is_scipys_entry_by_entry():
    a, b, c, error5, error3, dense = DOP853.arrays()
    assert np.array_equal(a, scipy_table.A) and np.array_equal(c, scipy_table.C)
    # SciPy's error estimates have a weight for the slope at the end of the step, the thirteenth row here.
    assert np.array_equal(b[:MIDDLE], scipy_table.B) and not b[MIDDLE:].any()
    assert np.array_equal(error5[:END], scipy_table.E5) and not error5[END:].any()
    assert np.array_equal(error3[:END], scipy_table.E3) and not error3[END:].any()
    assert np.array_equal(dense, scipy_table.D)
    assert DOP853.stages == scipy_table.N_STAGES and len(DOP853.c) == scipy_table.N_STAGES_EXTENDED


# A rooted tree is the sorted tuple of the trees that hang from its root; order, density and elementary weight are
# E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, section II.2.


@cache
def trees(order):
    """All rooted trees with the given number of nodes."""
    return sorted({tuple(sorted(forest)) for forest in forests(order - 1)})


@cache
def forests(nodes):
    if nodes == 0:
        return [()]
    return sorted(
        {tuple(sorted((tree, *rest))) for n in range(1, nodes + 1) for tree in trees(n) for rest in forests(nodes - n)}
    )


def size(tree):
    return 1 + sum(map(size, tree))


def density(tree):
    return size(tree) * int(np.prod([density(t) for t in tree], dtype=object))


def inner_weight(tree, a):
    """sum over the stages below, for every stage."""
    return np.prod([a @ inner_weight(t, a) for t in tree], axis=0) if tree else np.ones(len(a))


def defects(a, b, order):
    return {t: abs(b @ inner_weight(t, a) - 1 / density(t)) for n in range(1, order + 1) for t in trees(n)}


def test_there_are_as_many_trees_as_there_should_be():
    assert [len(trees(n)) for n in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]


def step_weights(tableau: Tableau):
    a, b, *_ = tableau.arrays()
    return a[: tableau.stages, : tableau.stages], b[: tableau.stages]


@pytest.mark.parametrize("tableau", (RK4, DOP853), ids=lambda t: t.name)
def test_order_conditions_hold_up_to_the_order_and_fail_beyond_it(tableau):
    found = defects(*step_weights(tableau), tableau.order + 1)
    assert max(gap for tree, gap in found.items() if size(tree) <= tableau.order) < 2e-14
    assert max(gap for tree, gap in found.items() if size(tree) == tableau.order + 1) > 1e-6


@pytest.mark.parametrize("rows, order", (("error5", 5), ("error3", 3)))
def test_error_estimates_vanish_up_to_their_order_only(rows, order):
    a, _, _, error5, error3, _ = DOP853.arrays()
    weights = {"error5": error5, "error3": error3}[rows]
    values = {t: abs(weights @ inner_weight(t, a)) for n in range(1, order + 2) for t in trees(n)}
    assert max(v for t, v in values.items() if size(t) <= order) < 1e-14
    assert max(v for t, v in values.items() if size(t) == order + 1) > 1e-6


@pytest.mark.parametrize("tableau", METHODS.values(), ids=METHODS)
def test_nodes_are_the_sums_of_their_rows(tableau):
    a, b, c, *_ = tableau.arrays()
    assert np.abs(a.sum(axis=1) - c).max() < 2e-14 and b.sum() == pytest.approx(1, abs=1e-15)
    assert not np.triu(a).any()


@pytest.mark.parametrize("share", (0.2, 0.5, 0.9))
def test_the_dense_output_satisfies_the_order_conditions_of_degree_seven(share):
    """At y(t + x h) a tree has the weight x^n/density: the polynomial of `dense_output` reaches it for n <= 7."""
    a, b, _, _, _, dense = DOP853.arrays()
    first, last = np.eye(len(b))[0], np.eye(len(b))[MIDDLE]
    parts = [b, first - b, 2 * b - last - first, *dense]  # y = y0 + x (P0 + (1-x)(P1 + x (P2 + (1-x) ...)))
    total = np.zeros(len(b))
    for n, part in reversed(list(enumerate(parts))):
        total = (total + part) * (share if n % 2 == 0 else 1 - share)
    gaps = {t: abs(total @ inner_weight(t, a) - share ** size(t) / density(t)) for n in range(1, 9) for t in trees(n)}
    assert max(gap for t, gap in gaps.items() if size(t) <= 7) < 3e-13
    assert max(gap for t, gap in gaps.items() if size(t) == 8) > 1e-8


def test_one_wrong_digit_breaks_the_order_conditions():
    a, b = step_weights(DOP853)
    a = a.copy()
    a[7, 4] += 1e-9
    assert max(defects(a, b, 8).values()) > 1e-11
    assert factorial(4) == density(((((),),),))  # the tall tree of order four

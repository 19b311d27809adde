"""Index-level derivatives against SymPy on the written-out expression, at unequal extents."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from qnnsym.equations.calculus import canonical, differentiate, fresh, opened, peel, tangent, tangent_set
from qnnsym.equations.functions import logistic, relu, softplus
from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet, Stack
from qnnsym.equations.unroll import array_entries, entry_symbol, unroll, unrolled_rates
from qnnsym.errors import InputError
from tests.equations.direct import ARRAYS, NUMBERS, SIZES, expressions, point, rates_of, value, values_of
from tests.networks import COSTATE, LAM, A, J, K, L, M, N, W, X, Y, Z, characteristic_equations, hamiltonian

SETS = [K, J, A]
k, j, i = (sp.Symbol(name, integer=True) for name in "kji")


@pytest.mark.parametrize("activation", [sp.tanh, logistic, softplus, relu, lambda u: u])
@pytest.mark.parametrize("sizes", [{N: 2, L: 1}, {N: 3, L: 2}])
def test_indexed_characteristic_equations_equal_sympy_on_the_unrolled_hamiltonian(activation, sizes):
    scalar = unroll(hamiltonian(activation), sizes, (Z,))
    conjugate = [(COSTATE, 1), (Y, -1), (M, 1), (W, -1)]
    expected = [sign * scalar.diff(s) for a, sign in conjugate for _, s in array_entries(a, sizes)]
    found = unrolled_rates(characteristic_equations(activation), sizes)
    assert [sp.expand(a - b) for a, b in zip(found, expected, strict=True)] == [0] * len(expected)


def agree(found, expected):
    """Values equal to rounding, both sides may be large."""
    return abs(found - expected) <= 1e-11 * max(1.0, abs(found), abs(expected))


def unrolled_slope(expression, array, at, arrays):
    """The derivative by one entry of the expression written out, SymPy's own, at numbers."""
    scalar = unroll(expression, SIZES, (Z,))
    derivative = scalar.diff(entry_symbol(array.name, at))
    here = {entry_symbol(a.name, n): arrays[a.name][n] for a in ARRAYS for n in np.ndindex(arrays[a.name].shape)}
    # Numbers one by one, through the evaluator: no printing, no compilation.
    return value(derivative, {}, {**NUMBERS, **here})


@settings(max_examples=60)
@given(expressions(), st.integers(0, 2))
def test_derivative_by_an_activity_equals_sympy_on_the_written_out_sum(expression, n):
    arrays = point(1)
    found = value(differentiate(expression, Y[i], (Z,)), arrays, {**NUMBERS, i: n})
    assert agree(found, unrolled_slope(expression, Y, (n,), arrays))


@settings(max_examples=60)
@given(expressions(shifted=False), st.integers(0, 2), st.integers(0, 5))
def test_derivative_by_a_weight_equals_sympy_on_the_written_out_sum(expression, n, m):
    arrays = point(2)
    column = sp.Symbol("q", integer=True)
    found = value(differentiate(expression, W[i, column], (Z,)), arrays, {**NUMBERS, i: n, column: m})
    assert agree(found, unrolled_slope(expression, W, (n, m), arrays))


@settings(max_examples=60)
@given(expressions())
def test_tangent_equals_the_complex_step(expression):
    arrays, directions = point(3), point(4)
    moved = {a: Array(a.name + "_v", a.axes) for a in (Y, COSTATE, W, M)}
    direction = Stack("z_v", J, ((0, A), (0, None), (moved[Y], K)))
    product = tangent(expression, {**{a.base: v.base for a, v in moved.items()}, Z.base: direction.base})
    both = arrays | {v.name: directions[a.name] for a, v in moved.items()}
    both["z_v"] = np.concatenate([np.zeros(SIZES[L] + 1), directions["y"]])
    step = {name: array.astype(complex) for name, array in arrays.items()}
    for name, along in (("y", "y"), ("D", "D"), ("W", "W"), ("M", "M")):
        step[name] = arrays[name] + 1e-30j * directions[along]
    step["z"] = np.concatenate([arrays["x"], [1.0], step["y"]])
    assert agree(value(product, both, NUMBERS), complex(value(expression, step, NUMBERS)).imag / 1e-30)


@settings(max_examples=60)
@given(expressions())
def test_canonical_form_keeps_the_value_and_is_its_own_canonical_form(expression):
    once = canonical(expression, SETS)
    assert canonical(once, SETS) == once
    arrays = point(5)
    assert agree(value(once, arrays, NUMBERS), value(expression, arrays, NUMBERS))


def renamed(expression, names, depth=0):
    """The same sums with the bound index at each depth called otherwise."""
    if isinstance(expression, sp.Sum):
        body, index, extent = peel(expression)
        name = sp.Dummy(integer=True)
        inner = renamed(body.xreplace({index: name}), names, depth + 1)
        # Last of all the real name: by now no inner sum can be mistaken for it.
        return sp.Sum(inner.xreplace({name: sp.Symbol(names[depth], integer=True)}), (
            sp.Symbol(names[depth], integer=True), 0, extent - 1,
        ))  # fmt: skip
    if not expression.has(sp.Sum):
        return expression
    return expression.func(*(renamed(a, names, depth) for a in expression.args))


@settings(max_examples=60)
@given(expressions(), st.permutations(["k", "k1", "k2", "j", "j1", "a", "p"]))
def test_canonical_form_does_not_depend_on_the_names_of_bound_indices(expression, names):
    assert canonical(renamed(expression, names), SETS) == canonical(expression, SETS)


def test_bound_index_of_the_same_name_is_not_captured():
    n = sp.Symbol("n", integer=True)
    home = IndexSet("k", n)
    v, at = Array("v", (home,)), home.index()
    assert differentiate(home.sum(v[at] ** 2, at), v[at]) == 2 * v[at]


def test_an_inner_sum_is_not_captured_by_the_canonical_name_of_an_outer_one():
    k1 = K.index(1)
    nested = K.sum(Y[k1] * K.sum(COSTATE[k] * W[k1, k + L + 1], k), k1)
    arrays = point(6)
    assert agree(value(canonical(nested, SETS), arrays, NUMBERS), value(nested, arrays, NUMBERS))


def test_free_indices_keep_their_names_and_bound_ones_avoid_them():
    inner = K.sum(Y[k] * COSTATE[i], k)
    assert canonical(inner, SETS, frozenset([k])) == K.sum(Y[K.index(1)] * COSTATE[i], K.index(1))
    assert canonical(inner, SETS).has(k)


def test_fresh_indices_are_new_ones_each_time():
    expression = K.sum(Y[k], k)
    assert fresh(expression) != fresh(expression)
    assert fresh(Y[k] + 1) == Y[k] + 1


def test_peel_takes_off_the_outermost_of_merged_sums():
    merged = K.sum(J.sum(W[k, j], j), k)
    body, index, extent = peel(merged)
    assert (body, index, extent) == (J.sum(W[k, j], j), k, N)


def test_a_sum_whose_body_does_not_depend_on_its_index_becomes_a_number_of_terms():
    expression = K.sum(J.sum(Y[k] * LAM, j), k)
    assert sp.expand(differentiate(expression, Y[i]) - LAM * (L + 1 + N)) == 0


def test_only_wanted_factors_are_multiplied_out():
    a, b, c, d = sp.symbols("a b c d")
    product = (a + b) * (c + d)
    assert opened(product, lambda factor: factor.has(a)) == [a * (c + d), b * (c + d)]
    assert opened(product, lambda factor: False) == [product]


@pytest.mark.parametrize(
    "expression, sentence",
    [
        (sp.Sum(Y[k], (k, 1, N)), "starts at 1"),
        (K.sum(sp.Max(Y[k], 0), k), "Max has no differentiation rule"),
        (K.sum(Z[k + L + 1] ** 2, k), "ties a shifted bound index"),
        (A.sum(Z[A.index()] ** 2, A.index()), "not the whole of it"),
    ],
)
def test_what_cannot_be_differentiated_in_index_form_says_why(expression, sentence):
    with pytest.raises(InputError, match=sentence):
        differentiate(expression, Y[i], (Z,))


def test_a_sum_over_no_declared_set_is_refused():
    with pytest.raises(InputError, match="runs over no declared index set"):
        canonical(sp.Sum(Y[k], (k, 0, N)), [K])


def test_tangent_set_lists_rates_and_their_product_with_the_jacobian():
    equations = characteristic_equations()
    both = tangent_set(equations)
    rng = np.random.default_rng(8)
    arrays = values_of(both.arrays, both.stacks, SIZES, rng)
    rates = rates_of(equations, arrays, NUMBERS)
    found = rates_of(both, arrays, NUMBERS)
    np.testing.assert_array_equal(found[: rates.size], rates)
    step = {name: array.astype(complex) for name, array in arrays.items()}
    for name in ("y", "D", "W", "M"):
        step[name] += 1e-30j * arrays[name + "_v"]
    step["z"] = np.concatenate([arrays["x"], [1.0], step["y"]])
    np.testing.assert_allclose(found[rates.size :], rates_of(equations, step, NUMBERS).imag / 1e-30, rtol=1e-12)


def test_tangent_set_varies_irregular_entries_too():
    out = Array("d_y", (K,))
    base = EquationSet("rhs", (N, L), (), (Y, X), (), (out,), (Equation(out[k], Y[k]),))
    both = tangent_set(base.changed(entries=(Equation(out[0], Y[1] ** 3 * X[0]),)))
    assert [e.target for e in both.entries] == [out[0], Array("d_y_v", (K,))[0]]
    assert both.entries[1].rhs == 3 * Y[1] ** 2 * X[0] * Array("y_v", (K,))[1]

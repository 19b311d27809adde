"""The second route: sizes put in, sums written out."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from qnnsym.equations.indexed import Array, Equation, EquationSet
from qnnsym.equations.unroll import MAX_TERMS, array_entries, entry_sums, entry_symbol, unroll, unrolled_rates
from qnnsym.errors import InputError
from tests.equations.direct import ARRAYS, NUMBERS, SIZES, expressions, point, rates_of, value, values_of
from tests.networks import LAM, J, K, L, N, W, X, Y, Z, characteristic_equations

k, j = K.index(), J.index()


def symbols_of(arrays):
    return {entry_symbol(name, at): block[at] for name, block in arrays.items() for at in np.ndindex(block.shape)}


def test_entries_are_named_by_array_and_zero_based_indices():
    assert entry_symbol("W", (1, 10)) == sp.Symbol("W_1_10", real=True)
    entries = array_entries(W, {N: 2, L: 1})
    assert [at for at, _ in entries] == [(n, m) for n in range(2) for m in range(4)]
    assert [s.name for _, s in entries][:5] == ["W_0_0", "W_0_1", "W_0_2", "W_0_3", "W_1_0"]


def test_nested_sums_are_written_out_term_by_term():
    found = unroll(K.sum(LAM * J.sum(W[k, j] * Z[j], j), k), {N: 1, L: 1}, (Z,))
    w, x, y = sp.symbols("W_0_0:3", real=True), sp.Symbol("x_0", real=True), sp.Symbol("y_0", real=True)
    assert sp.expand(found - LAM * (w[0] * x + w[1] + w[2] * y)) == 0


@settings(max_examples=60)
@given(expressions(), st.integers(0, 99))
def test_written_out_sum_has_the_value_of_the_sum(expression, seed):
    arrays = point(seed)
    here = symbols_of({a.name: arrays[a.name] for a in ARRAYS})
    found = value(unroll(expression, SIZES, (Z,)), {}, {**NUMBERS, **here})
    expected = value(expression, arrays, NUMBERS)
    assert abs(found - expected) <= 1e-12 * max(1, abs(expected))


def test_unrolled_rates_come_in_output_order():
    equations = characteristic_equations()
    arrays = values_of(equations.arrays, equations.stacks, SIZES, np.random.default_rng(3))
    here = {**NUMBERS, **symbols_of(arrays)}
    found = [value(r, {}, here) for r in unrolled_rates(equations, SIZES)]
    np.testing.assert_allclose(found, rates_of(equations, arrays, NUMBERS), rtol=1e-12)


def test_irregular_terms_are_added_to_their_entries():
    out = Array("d_y", (K,))
    equations = EquationSet("rhs", (N, L), (), (Y, X), (), (out,), (Equation(out[k], 2 * Y[k]),))
    entries = (Equation(out[1], X[0]), Equation(out[1], Y[0] ** 2), Equation(out[0], -X[0]))
    y, x = sp.symbols("y_0:2", real=True), sp.Symbol("x_0", real=True)
    assert entry_sums(equations.changed(entries=entries), {N: 2, L: 1}) == {
        ("d_y", (1,)): x + y[0] ** 2, ("d_y", (0,)): -x,
    }  # fmt: skip
    assert unrolled_rates(equations.changed(entries=entries), {N: 2, L: 1}) == [2 * y[0] - x, 2 * y[1] + x + y[0] ** 2]


def test_budget_of_scalar_equations_is_kept_and_names_the_structured_form():
    equations = characteristic_equations()
    with pytest.raises(InputError, match=rf"unroll to \d+ scalars, more than the budget of {MAX_TERMS}; use the index"):
        unrolled_rates(equations, {N: 20, L: 1})
    # 2N(l + 2 + N) scalars: the largest network within the budget is still written out.
    assert len(unrolled_rates(equations.changed(equations=tuple(
        Equation(e.target, sp.S.Zero) for e in equations.equations
    )), {N: 12, L: 2})) == 2 * 12 * 16  # fmt: skip

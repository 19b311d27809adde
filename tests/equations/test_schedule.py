"""From equations to loop nests: what is named, hoisted, oriented and fused."""

import pytest
import sympy as sp

from qnnsym.equations.calculus import tangent_set
from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet
from qnnsym.equations.schedule import schedule
from qnnsym.errors import InputError
from tests.networks import COSTATE, LAM, A, J, K, L, M, N, W, X, Y, Z, characteristic_equations

k, k1, j, i = K.index(), K.index(1), J.index(), sp.Symbol("i", integer=True)
RATE, MATRIX = Array("d_y", (K,)), Array("d_W", (K, J))
ARRAYS = (Y, COSTATE, W, M, X)


def scheduled(*rates, arrays=ARRAYS):
    outputs = tuple(RATE if len(e.free_symbols & {j}) == 0 else MATRIX for e in rates)
    targets = [out[k] if out is RATE else out[k, j] for out in outputs]
    equations = tuple(Equation(target, e) for target, e in zip(targets, rates, strict=True))
    return schedule(EquationSet("rhs", (N, L), (LAM,), arrays, (Z,), outputs, equations))


def drive(row, column=None):
    column = sp.Symbol("q", integer=True) if column is None else column
    return J.sum(W[row, column] * Z[column], column)


def test_equal_sums_become_one_definition():
    plan = scheduled(sp.tanh(drive(k)) * sp.sin(drive(k, j)) + sp.tanh(drive(k)) ** 2)
    assert [d.kind for d in plan.definitions].count("reduce") == 1
    (reduction,) = [d for d in plan.definitions if d.kind == "reduce"]
    assert reduction.expression == W[k, j] * Z[j]
    assert (reduction.row, reduction.home, reduction.bound, reduction.bound_home) == (k, K, j, J)


def test_a_function_call_is_made_once_per_row_and_not_in_the_inner_loop():
    plan = scheduled(COSTATE[k] * sp.tanh(Y[k]) * W[k, j])
    (nest,) = plan.nests
    (statement,) = nest.statements
    assert not statement.expression.has(sp.tanh)
    assert any(d.kind == "value" and d.expression == sp.tanh(Y[k]) for d in nest.definitions)


def test_what_depends_on_no_index_is_computed_before_all_loops():
    plan = scheduled(sp.exp(LAM) / LAM * Y[k])
    assert plan.scalars and all(d.row is None for d in plan.scalars)
    (nest,) = plan.nests
    assert not any(s.expression.has(LAM) for s in nest.statements)


def test_a_transposed_contraction_is_accumulated_in_the_row_loop():
    plan = scheduled(K.sum(COSTATE[k1] * W[k1, k + L + 1], k1))
    statement = next(s for nest in plan.nests for s in nest.statements if s.column is not None)
    assert statement.accumulate
    assert (statement.home, statement.column_home) == (K, K)
    # Rows run over the summed index, so that W is read along its rows.
    assert statement.expression == COSTATE[k] * W[k, k1 + L + 1]
    assert statement.target == RATE[k1]


def test_an_accumulated_output_is_set_before_its_first_accumulation():
    plan = scheduled(K.sum(COSTATE[k1] * W[k1, k + L + 1], k1))
    first, last = plan.nests
    assert [(s.target, s.expression, s.accumulate) for s in first.statements] == [(RATE[k], 0, False)]
    assert first.level < last.level
    both = scheduled(sp.tanh(drive(k)) + K.sum(COSTATE[k1] * W[k1, k + L + 1], k1))
    statements = [s for nest in both.nests for s in nest.statements]
    assert [s.accumulate for s in statements] == [False, True, True]


def test_a_reduction_along_a_row_stays_in_the_row():
    plan = scheduled(drive(k) + Y[k])
    (nest,) = plan.nests
    assert [d.kind for d in nest.definitions] == ["reduce"]
    assert not any(d.stored for d in plan.definitions)


def test_a_sum_without_free_index_is_accumulated_over_rows():
    plan = scheduled(sp.tanh(K.sum(COSTATE[k1] ** 2, k1)) * Y[k])
    total = next(d for d in plan.definitions if d.kind == "accumulate")
    assert total.row is None and total.bound_home == K
    assert [n.level for n in plan.nests] == sorted(n.level for n in plan.nests)


def test_what_another_row_needs_is_stored_in_an_earlier_nest():
    """The drives of all neurons, read along the rows of the recurrent block: not a transposed contraction."""
    plan = scheduled(K.sum(sp.tanh(drive(k1)) * COSTATE[k1] * W[k, k1 + L + 1], k1))
    assert [d.kind for d in plan.definitions if d.stored] == ["value"]
    assert len(plan.nests) == 2 and not any(s.accumulate for nest in plan.nests for s in nest.statements)


def test_a_product_that_needs_a_matrix_both_ways_is_refused():
    both_ways = K.sum(W[k, k1 + L + 1] * W[k1, k + L + 1], k1)
    with pytest.raises(InputError, match="W is needed along its rows and along its columns in one product"):
        scheduled(both_ways)


def test_a_contraction_that_is_also_inside_a_function_is_replaced_once():
    back = K.sum(COSTATE[k1] * W[k1, k + L + 1], k1)
    plan = scheduled(back * sp.tanh(drive(k)), back)
    statement = next(s for nest in plan.nests for s in nest.statements if s.column is not None)
    assert statement.accumulate
    with_itself = scheduled(back * sp.tanh(back))
    assert not any(s.expression.has(sp.tanh(1)) for nest in with_itself.nests for s in nest.statements)
    assert not any(d.expression.has(sp.tanh(1)) for d in with_itself.definitions)


@pytest.mark.parametrize("equations", [characteristic_equations(), tangent_set(characteristic_equations())])
def test_a_network_passes_over_its_matrices_once(equations):
    plan = schedule(equations)
    matrices = {a.base for a in (*equations.arrays, *equations.outputs) if len(a.axes) == 2}

    def touches(nest):
        parts = [d.expression for d in nest.definitions]
        parts += [e for s in nest.statements for e in (s.expression, s.target)]
        return any(e.base in matrices for part in parts for e in part.atoms(sp.Indexed))

    assert sum(touches(nest) for nest in plan.nests) == 1


def test_definitions_are_numbered_by_the_order_of_the_equations():
    plan = scheduled(sp.tanh(Y[k]), sp.sin(COSTATE[k]) * W[k, j])
    values = [(d.symbol.name, d.expression) for d in plan.definitions if d.expression.has(sp.Function)]
    assert values == [("v0", sp.tanh(Y[k])), ("v1", sp.sin(COSTATE[k]))]


def test_a_matrix_product_inside_a_function_is_refused():
    with pytest.raises(InputError, match=r"keeps the free indices .* only vectors are kept as intermediates"):
        scheduled(K.sum(sp.tanh(J.sum(W[k, j] * M[k1, j], j)), k1))


def test_sums_over_undeclared_sets_are_refused():
    other = IndexSet("h", sp.Symbol("h", integer=True, positive=True))
    with pytest.raises(InputError, match="no declared index set"):
        scheduled(other.sum(Y[other.index()], other.index()) * Y[k])


def test_sets_of_other_letters_do_not_mix():
    plan = scheduled(A.sum(X[A.index()] ** 2, A.index()) * Y[k] + drive(k))
    assert {n.home for n in plan.nests} == {A, K}

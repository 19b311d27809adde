"""Declarations: index sets, arrays, assembled vectors, equation sets."""

import pytest
import sympy as sp

from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet, Stack
from qnnsym.equations.unroll import unroll
from tests.networks import TARGET, A, J, K, L, N, W, X, Y, Z, characteristic_equations


def test_indices_of_a_set_are_integers_named_by_its_letter():
    assert [str(K.index(n)) for n in range(3)] == ["k", "k1", "k2"]
    assert K.index().is_integer and K.index() == K.index(0) != A.index()


def test_a_sum_over_a_set_starts_at_zero_and_ends_before_its_extent():
    k = K.index()
    assert K.sum(Y[k], k).limits == (sp.Tuple(k, 0, N - 1),)
    symbols = sp.symbols("y_0:3", real=True)
    assert unroll(K.sum(Y[k], k), {N: 3, L: 1}) == sum(symbols)


def test_size_of_an_array_is_the_product_of_its_extents():
    assert sp.expand(W.size - N * (L + 1 + N)) == 0
    assert Array("s", ()).size == 1


def test_entries_are_real_so_that_products_of_them_simplify():
    k = K.index()
    assert Y[k].base.label.is_real
    assert Array("y", (K,)).base == Y.base and Array("q", (K,)).base != Y.base


def test_pieces_of_an_assembled_vector_begin_where_the_one_before_ends():
    assert Z.offsets() == [0, L, L + 1]
    twice = Stack("w", J, ((Y, K), (2, None), (0, None), (X, A)))
    assert twice.offsets() == [0, N, N + 1, N + 2]


def test_index_sets_come_in_order_of_appearance_and_once_each():
    equations = characteristic_equations()
    assert equations.index_sets() == [K, J, A]
    hidden = IndexSet("h", sp.Symbol("h", integer=True))
    lone = EquationSet("rhs", (), (), (X,), (Stack("s", hidden, ((TARGET, K), (1, None))),), (), ())
    assert lone.index_sets() == [A, hidden, K]


def test_changed_sets_are_new_ones_and_the_old_one_stays():
    equations = characteristic_equations()
    entry = Equation(equations.outputs[0][0], X[0])
    changed = equations.changed(name="other", entries=(entry,))
    assert (changed.name, changed.entries) == ("other", (entry,))
    assert (equations.name, equations.entries) == ("rhs", ())
    assert changed.equations == equations.equations


def test_declared_arrays_are_found_by_name():
    equations = characteristic_equations()
    assert equations.named("W") == W
    assert equations.named("d_y").axes == (K,)


def test_equal_declarations_are_equal_and_can_be_keys():
    assert characteristic_equations() == characteristic_equations()
    assert hash(characteristic_equations()) == hash(characteristic_equations())
    assert characteristic_equations(sp.sin) != characteristic_equations()


@pytest.mark.parametrize("declared", [K, Y, Z])
def test_declarations_cannot_be_changed_in_place(declared):
    with pytest.raises(AttributeError):
        declared.letter = declared.name = "x"

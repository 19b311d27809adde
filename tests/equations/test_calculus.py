"""Index-level derivatives against SymPy on the written-out Hamiltonian, at unequal extents."""

import pytest
import sympy as sp

from qnnsym.equations.calculus import differentiate
from qnnsym.equations.functions import logistic, relu, softplus
from qnnsym.equations.indexed import Array, IndexSet
from qnnsym.equations.unroll import array_entries, unroll, unrolled_rates
from tests.networks import COSTATE, L, M, N, W, Y, Z, characteristic_equations, hamiltonian


@pytest.mark.parametrize("activation", [sp.tanh, logistic, softplus, relu, lambda u: u])
@pytest.mark.parametrize("sizes", [{N: 2, L: 1}, {N: 3, L: 2}])
def test_indexed_characteristic_equations_equal_sympy_on_the_unrolled_hamiltonian(activation, sizes):
    scalar = unroll(hamiltonian(activation), sizes, (Z,))
    conjugate = [(COSTATE, 1), (Y, -1), (M, 1), (W, -1)]
    expected = [sign * scalar.diff(s) for a, sign in conjugate for _, s in array_entries(a, sizes)]
    found = unrolled_rates(characteristic_equations(activation), sizes)
    assert [sp.expand(a - b) for a, b in zip(found, expected, strict=True)] == [0] * len(expected)


def test_bound_index_of_the_same_name_is_not_captured():
    n = sp.Symbol("n", integer=True)
    home = IndexSet("k", n)
    v, k = Array("v", (home,)), home.index()
    assert differentiate(home.sum(v[k] ** 2, k), v[k]) == 2 * v[k]

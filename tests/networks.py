"""The canonical network Hamiltonian in index form, shared by the tests of calculus, scheduling and emission."""

import sympy as sp

from qnnsym.equations.calculus import canonical, differentiate
from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet, Stack

N, L = sp.symbols("N l", integer=True, positive=True)
LAM, OMEGA, MU = sp.symbols("lambda_ omega mu", positive=True)
K, A, J = IndexSet("k", N), IndexSet("a", L), IndexSet("j", L + 1 + N)
Y, COSTATE = Array("y", (K,)), Array("D", (K,))
W, M = Array("W", (K, J)), Array("M", (K, J))
X, TARGET, WEIGHT = Array("x", (A,), "external"), Array("d", (K,), "external"), Array("c", (K,), "parameter")
Z = Stack("z", J, ((X, A), (1, None), (Y, K)))


def hamiltonian(activation=sp.tanh):
    """H of spec section 1 with the quadratic cost, delay removed."""
    k, j = K.index(), J.index()
    drive = activation(J.sum(W[k, j] * Z[j], j))
    motion = K.sum(COSTATE[k] * (-Y[k] + drive) / LAM, k)
    kinetic = K.sum(J.sum(M[k, j] ** 2, j), k) / (2 * OMEGA)
    cost = K.sum(WEIGHT[k] * (Y[k] - TARGET[k]) ** 2, k) / 2 + MU / 2 * K.sum(J.sum(W[k, j] ** 2, j), k)
    return motion + kinetic + cost


def characteristic_equations(activation=sp.tanh):
    """Hamilton's equations of `hamiltonian`, derived at index level."""
    h, k, j = hamiltonian(activation), K.index(), J.index()
    rates = [
        (Y, COSTATE[k], +1, (k,)),
        (COSTATE, Y[k], -1, (k,)),
        (W, M[k, j], +1, (k, j)),
        (M, W[k, j], -1, (k, j)),
    ]
    outputs = tuple(Array("d_" + a.name, a.axes) for a, *_ in rates)
    equations = EquationSet("rhs", (N, L), (LAM, OMEGA, MU), (Y, COSTATE, W, M, X, TARGET, WEIGHT), (Z,), outputs, ())
    sets = equations.index_sets()
    derived = tuple(
        Equation(out[at], canonical(sign * differentiate(h, variable, (Z,)), sets, frozenset(at)))
        for out, (_, variable, sign, at) in zip(outputs, rates, strict=True)
    )
    return equations.changed(equations=derived)

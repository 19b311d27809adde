"""Random equation sets of the kind that kernels are generated for: vectors, matrix rows, contractions both ways."""

import random

import sympy as sp
from hypothesis import strategies as st

from qnnsym.equations.functions import logistic, softplus
from qnnsym.equations.indexed import Array, Equation, EquationSet
from tests.networks import COSTATE, LAM, MU, TARGET, WEIGHT, A, J, K, L, M, N, W, X, Y, Z

ARRAYS = (Y, COSTATE, W, M, X, TARGET, WEIGHT)
OUTPUTS = (Array("d_y", (K,)), Array("d_D", (K,)), Array("d_W", (K, J)))
FUNCTIONS = (sp.tanh, sp.sin, logistic, softplus)


class Draw:
    """Random expressions; indices get fresh names, so that nothing depends on how they are called."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = 0

    def index(self):
        self.count += 1
        return sp.Symbol(f"q{self.count}", integer=True)

    def number(self):
        return self.random.choice([sp.Integer(1), sp.Integer(-2), sp.Rational(1, 2), LAM, 1 / LAM, MU * LAM])

    def vector(self, k, depth):
        """An expression at neuron k."""
        kind = self.random.choice(["entry", "entry", "function", "product", "sum", "contraction", "power", "scalar"])
        if depth == 0 or kind == "entry":
            return self.random.choice([Y, COSTATE, TARGET, WEIGHT])[k] * self.number()
        if kind == "function":
            return self.random.choice(FUNCTIONS)(self.vector(k, depth - 1))
        if kind == "product":
            return self.vector(k, depth - 1) * self.vector(k, depth - 1)
        if kind == "sum":
            return self.vector(k, depth - 1) + self.vector(k, depth - 1)
        if kind == "power":
            return self.vector(k, depth - 1) ** 2
        if kind == "scalar":
            return self.scalar(depth - 1) * self.vector(k, depth - 1)
        return self.contraction(k, depth - 1)

    def scalar(self, depth):
        """A number: a sum over all neurons or inputs."""
        q = self.index()
        if self.random.random() < 0.3:
            return A.sum(X[q] ** 2, q)
        return K.sum(self.vector(q, depth), q)

    def contraction(self, k, depth):
        """A matrix row times a vector, or a column times one."""
        q = self.index()
        matrix = self.random.choice([W, M])
        kind = self.random.choice(["row", "recurrent", "transposed", "gated"])
        if kind == "gated":  # what belongs to the row stands inside the function that is summed along it
            gate = self.vector(k, max(depth, 0))
            return J.sum(self.random.choice(FUNCTIONS)(matrix[k, q] * gate) * self.random.choice([1, Z[q], gate]), q)
        if kind == "row":
            return J.sum(matrix[k, q] * self.random.choice([Z[q], sp.tanh(Z[q]), 1 + Z[q]]), q)
        other = self.vector(q, max(depth, 0))
        return K.sum(matrix[k, q + L + 1] * other if kind == "recurrent" else matrix[q, k + L + 1] * other, q)

    def matrix(self, k, j, depth):
        """An expression at a synapse."""
        term = self.random.choice([W[k, j], M[k, j], Z[j] * self.vector(k, depth), sp.tanh(W[k, j])])
        return term * self.random.choice([self.number(), self.vector(k, depth), self.scalar(0)])


def equation_set(seed, depth=2):
    """Two vector rates and a matrix rate, each of several terms."""
    draw, k, j = Draw(seed), K.index(), J.index()
    rates = [
        draw.vector(k, depth) + draw.contraction(k, depth) + draw.vector(k, depth),
        draw.number() * draw.contraction(k, depth) * draw.vector(k, 1) - draw.vector(k, depth),
        draw.matrix(k, j, depth) - draw.matrix(k, j, depth),
    ]
    targets = [OUTPUTS[0][k], OUTPUTS[1][k], OUTPUTS[2][k, j]]
    equations = tuple(Equation(target, rate) for target, rate in zip(targets, rates, strict=True))
    return EquationSet("rhs", (N, L), (LAM, MU), ARRAYS, (Z,), OUTPUTS, equations)


def equation_sets(depth=2):
    """Strategy: random equation sets."""
    return st.integers(0, 2**32).map(lambda seed: equation_set(seed, depth))

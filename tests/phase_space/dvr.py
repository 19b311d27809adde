"""Operators as matrices on a grid of positions (sinc functions), which know nothing of symbols or star products."""

from functools import cache
from math import factorial

import numpy as np
import sympy as sp
from scipy.linalg import expm
from scipy.special import eval_hermite

from qnnsym.phase_space.weyl.operators import KetBra, Parity

HBAR = 0.7
STEP = 0.125
NODES = STEP * np.arange(-64, 65)
_J = np.arange(NODES.size)
_GAP = _J[:, None] - _J[None, :]
X = np.diag(NODES).astype(complex)
P = np.where(_GAP == 0, 0, -1j * HBAR * (-1.0) ** _GAP / (STEP * np.where(_GAP == 0, 1, _GAP)))


def level(n, q, stiffness=1.0):
    """The n-th eigenfunction of the oscillator of that stiffness (mass times frequency) at q."""
    u = q * np.sqrt(stiffness / HBAR)
    norm = (stiffness / (np.pi * HBAR)) ** 0.25 / np.sqrt(2.0**n * factorial(n))
    return norm * eval_hermite(n, u) * np.exp(-(u**2) / 2)


def matrix(expression, space):
    """The matrix of an operator expression of one degree of freedom, piece by piece."""
    if not expression.args or isinstance(expression, (Parity, KetBra)):
        if expression == space.X[0]:
            return X
        if expression == space.P[0]:
            return P
        if isinstance(expression, Parity):
            return np.fliplr(np.eye(NODES.size))
        if isinstance(expression, KetBra):
            s = float(expression.stiffness[0])
            return np.outer(level(expression.n[0], NODES, s), level(expression.m[0], NODES, s)) * STEP
    if expression.is_commutative:
        return complex(expression.subs(space.hbar, HBAR)) * np.eye(NODES.size)
    if expression.is_Add:
        return sum(matrix(a, space) for a in expression.args)
    if expression.is_Mul:
        product = np.eye(NODES.size)
        for a in expression.args:
            product = product @ matrix(a, space)
        return product
    if isinstance(expression, sp.exp):
        return expm(matrix(expression.args[0], space))
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
        return np.linalg.matrix_power(matrix(expression.base, space), int(expression.exp))
    # A function of one Hermitian operator, through its eigenvalues.
    (inner,) = (a for a in expression.args if not a.is_commutative)
    u = sp.Dummy("u", real=True)
    function = sp.lambdify(u, expression.xreplace({inner: u}), "numpy")
    values, vectors = np.linalg.eigh(matrix(inner, space))
    return (vectors * function(values)) @ vectors.conj().T


def block(expression, space, size=3):
    """<n|A|m> of the lowest levels from the matrices."""
    states = np.array([level(n, NODES) for n in range(size)])
    return states @ matrix(expression, space) @ states.T * STEP


GRID_X, GRID_P, GRID_Y = np.linspace(-7, 7, 113), np.linspace(-8, 8, 129), np.linspace(-15, 15, 241)


@cache
def transition(m, n):
    """The symbol of |m><n| on the grid, from its definition: int e^{-ipy/hbar} psi_m(x + y/2) psi_n(x - y/2) dy."""
    x, y = GRID_X[:, None], GRID_Y[None, :]
    element = level(m, x + y / 2) * level(n, x - y / 2)
    return element @ np.exp(-1j * np.outer(GRID_Y, GRID_P) / HBAR) * (GRID_Y[1] - GRID_Y[0])


def block_of_symbol(symbol, space, size=3):
    """<n|A|m> = (1/h) int A~ (symbol of |m><n|), by the trapezoidal rule."""
    function = sp.lambdify(space.variables, symbol.subs(space.hbar, HBAR), "numpy")
    values = np.broadcast_to(function(GRID_X[:, None], GRID_P[None, :]), (GRID_X.size, GRID_P.size))
    weight = (GRID_X[1] - GRID_X[0]) * (GRID_P[1] - GRID_P[0]) / (2 * np.pi * HBAR)
    return np.array([[(values * transition(m, n)).sum() * weight for m in range(size)] for n in range(size)])

"""Small networks with numbers, shared by the numerical tests: kernels are compiled once per process."""

from functools import cache

import numpy as np

from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.numerics import kernels_of

N, L = 3, 2
LAM, OMEGA, MU = 0.8, 2.5, 0.15
WEIGHT, TARGET = np.array([1.0, 0.5, 2.0]), np.array([0.4, -0.3, 0.1])
INPUTS = np.array([0.5, -0.8])
# One missing and one static synapse in the recurrent block, and one of each elsewhere.
MASK = np.ones((N, L + 1 + N))
MASK[0, 4] = MASK[2, 0] = 0
MOVES = np.ones((N, L + 1 + N))
MOVES[1, 3] = MOVES[0, 2] = 0
FREE = (MASK * MOVES).astype(bool)

_rng = np.random.default_rng(11)
Y0, COSTATE0 = _rng.normal(size=N) / 2, _rng.normal(size=N) / 3
W0 = MASK * _rng.normal(size=MASK.shape) / 2
M0 = FREE * _rng.normal(size=MASK.shape) / 3
STATE = np.concatenate([Y0, COSTATE0, W0.ravel(), M0.ravel()])


def hamiltonian(activation="tanh", inertia=OMEGA, target=TARGET, **changes):
    """The network of these tests; every choice of numbers shares the kernel of its activation."""
    given = {
        "network": Network(N, L, activation, MASK),
        "relaxation": LAM,
        "inertia": inertia,
        "cost": QuadraticCost(WEIGHT, target, MU),
        "dynamical": MOVES,
    }
    return NeuralHamiltonian(**{**given, **changes})


@cache
def equations(activation="tanh", inertia=OMEGA):
    """Its characteristic equations."""
    return hamiltonian(activation, inertia).characteristic_equations()


@cache
def kernels(activation="tanh"):
    """Its compiled kernels."""
    return kernels_of(equations(activation))


SLOPES = {"tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2), "linear": (lambda u: u, np.ones_like)}


def rates(t, flat, activation="tanh", inertia=OMEGA, inputs=INPUTS, target=TARGET):
    """Section 3 of the spec in NumPy, real or complex, for the flat state."""
    function, slope = SLOPES[activation]
    y, costate, w, m = np.split(flat, [N, 2 * N, 2 * N + MASK.size])
    w, m = w.reshape(MASK.shape), m.reshape(MASK.shape)
    x, d = (np.asarray(s(t) if callable(s) else s) for s in (inputs, target))
    z = np.concatenate([x, [1.0], y])
    u = (MASK * w) @ z
    local = costate * slope(u) / LAM
    return np.concatenate([
        (function(u) - y) / LAM,
        costate / LAM - (MASK * w)[:, L + 1 :].T @ local - WEIGHT * (y - d),
        (FREE * m / inertia).ravel(),
        (FREE * (-np.outer(local, z) - MU * w)).ravel(),
    ])  # fmt: skip


def energy(flat, activation="tanh", inertia=OMEGA, sign=1):
    """H of section 1 for the flat state."""
    function, _ = SLOPES[activation]
    y, costate, w, m = np.split(flat, [N, 2 * N, 2 * N + MASK.size])
    w, m = w.reshape(MASK.shape), m.reshape(MASK.shape)
    u = (MASK * w) @ np.concatenate([INPUTS, [1.0], y])
    cost = WEIGHT @ (y - TARGET) ** 2 / 2 + MU / 2 * np.sum(MASK * w**2)
    return costate @ (function(u) - y) / LAM + sign * np.sum(FREE * m**2) / (2 * inertia) + cost

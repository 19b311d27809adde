# %%
"""Delayed network: the causal reading of a neural Hamiltonian with shift operators, a delay equation."""

import numpy as np
from sympy import Symbol

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

# %% [markdown]
# Two neurons with one input see the weights of one epoch ago. The first neuron does not see itself.

# %%
mask = np.ones((2, 4))
mask[0, 2] = 0

net = Network(neurons=2, inputs=1, activation="tanh", mask=mask)
H = NeuralHamiltonian(
    net,
    relaxation=Symbol("lambda", positive=True),
    inertia=Symbol("omega", positive=True),
    cost=QuadraticCost([1.0, 2.0], target=np.array([0.3, -0.2]), decay=Symbol("mu", positive=True)),
    delay=Symbol("T", positive=True),
    values={"lambda": 0.8, "omega": 2.0, "mu": 0.1, "T": 0.5},
)

# %%
rng = np.random.default_rng(3)
W0, W1, M0, M1 = mask * rng.normal(size=(4, 2, 4)) / 3


def weights(t):
    """History of the weights on [-T, 0]."""
    return W0 + W1 * np.sin(2 * t)


def momenta(t):
    """History of the momenta on [-T, 0]."""
    return M0 + M1 * t


model = Model(
    name="delayed_network",
    hamiltonian=H,
    reading="causal",
    state={"y": [0.1, 0.2], "costate": [0.1, -0.1], "weights": weights, "momenta": momenta},
    inputs=np.array([0.5]),
    times=(0, 3, 121),
    options={"rtol": 1e-11, "atol": 1e-13},
    checks=[
        limits.stacked(),
        limits.method_of_steps(),
        limits.telescoping(),
        limits.jumps(),
        limits.energy_change(),
        limits.not_symplectic(),
        limits.not_stationary(),
        limits.fixed_weights(),
        limits.short_delay(),
        limits.steps_order(),
    ],
    references=[
        "A. T. Patrascu, arXiv:2209.07577",
        "A. Bellen, M. Zennaro, Numerical Methods for Delay Differential Equations (2003)",
    ],
)

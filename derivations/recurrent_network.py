# %%
"""Recurrent network: activities, costates, weights and momenta of a canonical neural Hamiltonian."""

import numpy as np
from sympy import Symbol

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

# %% [markdown]
# Five neurons with two inputs and a bias; the first neuron sees the inputs only.

# %%
mask = np.ones((5, 8))
mask[0, 3:] = 0

net = Network(neurons=5, inputs=2, activation="tanh", mask=mask)
H = NeuralHamiltonian(
    net,
    relaxation=Symbol("lambda", positive=True),
    inertia=Symbol("omega", positive=True),
    cost=QuadraticCost(1.0, target=np.array([0.4, -0.3, 0.2, 0.1, -0.2]), decay=Symbol("mu", positive=True)),
    values={"lambda": 1.0, "omega": 2.0, "mu": 0.05},
)

# %%
rng = np.random.default_rng(5)
model = Model(
    name="recurrent_network",
    hamiltonian=H,
    state={
        "y": rng.normal(size=5) / 2,
        "costate": rng.normal(size=5) / 4,
        "weights": mask * rng.normal(size=(5, 8)) / 2,
        "momenta": mask * rng.normal(size=(5, 8)) / 4,
    },
    inputs=np.array([0.5, -0.3]),
    times=(0, 4, 81),
    checks=[
        limits.unrolled(),
        limits.conserved(),
        limits.symplectic(),
        limits.linear_activation(),
        limits.zero_weights(),
        limits.costate_gradient(),
    ],
    references=["U. Ramacher, Neural Networks 6 (1993) 547-557", "A. T. Patrascu, arXiv:2209.07577"],
)

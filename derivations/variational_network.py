# %%
"""Variational network: retarded and advanced terms from the action of a neural Hamiltonian with shift operators."""

import numpy as np
from sympy import Symbol

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

# %% [markdown]
# Two neurons with one input, three epochs. Costates and momenta vanish at the end; the weights' history is constant.

# %%
net = Network(neurons=2, inputs=1, activation="tanh")
H = NeuralHamiltonian(
    net,
    relaxation=Symbol("lambda", positive=True),
    inertia=Symbol("omega", positive=True),
    cost=QuadraticCost([1.0, 2.0], target=np.array([0.6, -0.4]), decay=Symbol("mu", positive=True)),
    delay=Symbol("T", positive=True),
    values={"lambda": 0.8, "omega": 2.0, "mu": 0.05, "T": 0.5},
)

# %%
rng = np.random.default_rng(4)

model = Model(
    name="variational_network",
    hamiltonian=H,
    reading="variational",
    state={"y": [0.1, 0.2], "weights": rng.normal(size=(2, 4)) / 3, "momenta": rng.normal(size=(2, 4)) / 4},
    inputs=np.array([0.5]),
    times=(0, 1.5, 121),
    options={"epochs": 3, "rtol": 1e-11, "atol": 1e-13},
    checks=[
        limits.stacked(),
        limits.stationary(),
        limits.stack_energy(),
        limits.boundary(),
        limits.sign_of_learning(),
        limits.weights_at_rest(),
    ],
    references=[
        "A. T. Patrascu, arXiv:2209.07577",
        "V. A. Dorodnitsyn, R. V. Kozlov, S. V. Meleshko, arXiv:2409.08165",
    ],
)

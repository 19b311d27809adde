# %%
"""Rank loss: what an incomplete integral, a learning step and the Legendre map lose, by singular values."""

import numpy as np

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

rng = np.random.default_rng(7)
H = NeuralHamiltonian(
    Network(neurons=3, inputs=1, activation="tanh"),
    relaxation=1.0,
    inertia=2.0,
    cost=QuadraticCost(1.0, target=[0.4, -0.3, 0.2], decay=0.05),
)

# %%
model = Model(
    name="rank_loss",
    hamiltonian=H,
    state={"y": np.array([0.3, -0.2, 0.5]), "weights": rng.normal(size=(3, 5)) * [[0.5, 0.5, 1, 1, 1]]},
    inputs=np.array([0.5]),
    times=(0, 2, 21),
    checks=[limits.conserved(), limits.lost_constants()],
    references=["A. T. Patrascu, arXiv:2209.07577", "P. A. M. Dirac, Lectures on Quantum Mechanics (1964)"],
)

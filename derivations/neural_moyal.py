# %%
"""Neural Moyal corrections: one neuron's ensemble carried with the hbar^2 term, against exact quantum theory."""

import numpy as np

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

H = NeuralHamiltonian(
    Network(neurons=1, activation="tanh"),
    relaxation=1.0,
    inertia=2.0,
    cost=QuadraticCost(0.5, target=[0.2]),
    dynamical=np.zeros((1, 2)),
)

# %%
model = Model(
    name="neural_moyal",
    hamiltonian=H,
    state={"y": np.array([0.3]), "costate": np.array([0.2]), "weights": np.array([[0.2, 1.4]])},
    times=(0, 2, 21),
    checks=[limits.conserved(), limits.moyal_statements(), limits.moyal_transport()],
    references=["J. E. Moyal, Proc. Camb. Phil. Soc. 45 (1949) 99", "A. T. Patrascu, arXiv:2209.07577"],
)

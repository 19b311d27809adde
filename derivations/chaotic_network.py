# %%
"""Chaotic network: Lyapunov exponents of random networks and the growth of the hbar^2 term along their flow."""

import numpy as np

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, limits

rng = np.random.default_rng(2)
neurons, gain = 12, 3.0
weights = np.zeros((neurons, neurons + 1))
weights[:, 1:] = rng.normal(size=(neurons, neurons)) * gain / np.sqrt(neurons)
H = NeuralHamiltonian(
    Network(neurons=neurons, activation="tanh"), relaxation=1.0, inertia=1.0, dynamical=np.zeros(weights.shape)
)

# %%
model = Model(
    name="chaotic_network",
    hamiltonian=H,
    state={"y": rng.normal(size=neurons), "weights": weights},
    times=(0, 40, 201),
    checks=[limits.onset(), limits.correction_growth()],
    references=["H. Sompolinsky, A. Crisanti, H. J. Sommers, Phys. Rev. Lett. 61 (1988) 259"],
)

# %%
"""Epoch learning: forward and backward sweeps whose momenta are the exact gradient, and their fast limit."""

import numpy as np

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

# %% [markdown]
# Three recurrent neurons for the identities; XOR and a regression are learned by layered networks.

# %%
rng = np.random.default_rng(1)
net = Network(neurons=3, inputs=2, activation="tanh")
H = NeuralHamiltonian(
    net, relaxation=0.4, inertia=2.0, cost=QuadraticCost([1.0, 0.5, 0.0], target=[0.4, -0.3, 0.0], decay=0.02)
)

# %%
layered = Network(layers=(2, 3, 1))
inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
targets = np.zeros((4, 4))
targets[:, 3] = [-0.8, 0.8, 0.8, -0.8]
xor = {
    "epochs": 1500, "weights0": layered.mask * np.random.default_rng(3).normal(size=(4, 7)), "relaxation": 0.1,
    "inertia": 12.0, "duration": 1.0, "cost": QuadraticCost([0, 0, 0, 1]),
}  # fmt: skip

dynamical = {**xor, "epochs": 8, "inertia": 6.0, "weights": "dynamical"}

curve = Network(layers=(1, 6, 1), activation=["tanh"] * 6 + ["linear"])
x = np.linspace(-1, 1, 9)[:, None]
sine = np.zeros((9, 7))
sine[:, 6] = np.sin(2 * x[:, 0])
regression = {
    "epochs": 1500, "weights0": curve.mask * np.random.default_rng(2).normal(size=(7, 9)), "relaxation": 0.1,
    "inertia": 30.0, "duration": 1.0, "cost": QuadraticCost([0] * 6 + [1]),
}  # fmt: skip

# %%
model = Model(
    name="epoch_learning",
    hamiltonian=H,
    state={"y": rng.normal(size=3) / 2, "weights": rng.normal(size=(3, 6)) / 2},
    inputs=np.array([0.5, -0.3]),
    times=(0, 1.5, 31),
    options={"scheme": "epochs"},
    checks=[
        limits.gradient_identity(),
        limits.backpropagation(),
        limits.learns("XOR", layered, (inputs, targets), 1e-3, xor),
        limits.learns("Regression", curve, (x, sine), 2e-2, regression),
        limits.learns("Dynamical weights", layered, (inputs, targets), 0.95, dynamical),
        limits.divergence(),
    ],
    references=["U. Ramacher, Neural Networks 6 (1993) 547-557", "F. Pineda, Phys. Rev. Lett. 59 (1987) 2229"],
)

# %%
"""Canonical network: a feed-forward net, a cost of one's own, and the Hamiltonian flow of all its variables.

The undelayed reading of the neural Hamiltonian is canonical: activities with costates, weights with momenta. The mask
of the layers and the choice of activations change the coefficients and not the equations.
"""

import numpy as np
from sympy import Rational, Symbol, cosh, log

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, limits

# %% [markdown]
# Two inputs, three hidden neurons, one output neuron; the cost grows like the distance, and not like its square.

# %%
net = Network(layers=(2, 3, 1), activation=["tanh", "logistic", "softplus", "tanh"])
output = net.y[-1]
cost = log(cosh(output - Rational(1, 2))) + net.W[3, 3] ** 2 / 20

H = NeuralHamiltonian(
    net,
    relaxation=Symbol("lambda", positive=True),
    inertia=Symbol("omega", positive=True),
    cost=cost,
    values={"lambda": 0.8, "omega": 3.0},
)

# %%
rng = np.random.default_rng(8)
model = Model(
    name="canonical_network",
    hamiltonian=H,
    state={
        "y": rng.normal(size=4) / 2,
        "costate": rng.normal(size=4) / 4,
        "weights": net.mask * rng.normal(size=net.mask.shape) / 2,
        "momenta": net.mask * rng.normal(size=net.mask.shape) / 4,
    },
    inputs=np.array([1.0, -1.0]),
    times=(0, 3, 61),
    checks=[
        limits.unrolled(),
        limits.conserved(),
        limits.symplectic(),
        limits.linear_activation(),
        limits.zero_weights(),
        limits.costate_gradient(),
    ],
    references=["U. Ramacher, Neural Networks 6 (1993) 547-557"],
)

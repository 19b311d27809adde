"""The files that `qnnsym new` writes: complete derivations to edit."""

from __future__ import annotations

import os
import re
from pathlib import Path

from qnnsym.errors import InputError
from qnnsym.workspace import Workspace

PHASE_SPACE = '''# %% [markdown]
# Change the Hamiltonian below and run `qnnsym run {name}` again.

# %%
"""{title}: edit the Hamiltonian and run again."""

from sympy import sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, g = space.parameters(m=1, g=1)

H = p**2 / (2 * m) + m * x**2 / 2 + g * x**4 / 4

# %%
model = Model(
    name="{name}",
    hamiltonian=H,
    space=space,
    hbar=0.1,
    state=GaussianState(a=sqrt(space.hbar), x0=1),
    times=(0, 5, 51),
    observe=[x, p, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.classical(),
        limits.schroedinger(tolerance=1e-8),
        limits.refined(),
        limits.conserved("energy", "purity", "norm"),
    ],
)
'''

NEURAL = '''# %%
"""{title}: edit the network, its cost and its initial state, and run again."""

import numpy as np

from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

net = Network(neurons=4, inputs=1, activation="tanh")
H = NeuralHamiltonian(net, relaxation=1.0, inertia=2.0, cost=QuadraticCost(1.0, target=np.full(4, 0.2), decay=0.01))

# %%
rng = np.random.default_rng(1)
shape = (net.neurons, net.columns)
model = Model(
    name="{name}",
    hamiltonian=H,
    state=dict(
        y=rng.normal(size=net.neurons),
        costate=rng.normal(size=net.neurons),
        weights=rng.normal(size=shape) / 2,
        momenta=rng.normal(size=shape) / 4,
    ),
    inputs=np.array([0.5]),
    times=(0, 3, 31),
    checks=[limits.unrolled(), limits.conserved(), limits.symplectic(), limits.costate_gradient()],
)
'''

KINDS = {"phase-space": PHASE_SPACE, "neural": NEURAL}


def write_new(name: str, kind: str) -> Path:
    """Write ./derivations/NAME.py.

    Arguments:
        name: letters, digits and underscores, starting with a letter.
        kind: "phase-space" or "neural".

    Raises:
        InputError: for a name that cannot be a model's, an unknown kind, or a file that is there already.
    """
    from qnnsym.storage import atomic_write

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name):
        raise InputError(f"{name!r} cannot name a model; use letters, digits and underscores, starting with a letter.")
    if kind not in KINDS:
        raise InputError(f"--kind {kind} is not known; use one of {', '.join(KINDS)}.")
    path = Workspace.find().derivations / f"{name}.py"
    if os.path.lexists(path):  # a dangling link leads to a place that nobody looked at
        raise InputError(f"{path} is there already; choose another name, or edit that file.")
    return atomic_write(path, KINDS[kind].format(name=name, title=name.replace("_", " ").capitalize()))

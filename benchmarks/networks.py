"""Networks that the benchmarks share: fully connected, with inputs, a quadratic cost and random states."""

from __future__ import annotations

from typing import Any

import numpy as np

from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.numerics import Data

INPUTS = 2


def network(neurons: int, inputs: int = INPUTS) -> Network:
    """Fully connected tanh neurons."""
    return Network(neurons=neurons, inputs=inputs, activation="tanh")


def hamiltonian(net: Network, cost: bool = True) -> NeuralHamiltonian:
    """A relaxation time, an inertia, and a quadratic cost if wanted."""
    wanted = QuadraticCost(1.0, target=0.25, decay=0.05) if cost else None
    return NeuralHamiltonian(net, relaxation=1.25, inertia=2.0, cost=wanted)


def state(eqs: CharacteristicEquations, seed: int = 0) -> np.ndarray:
    """A flat state whose sums over neurons are of order one."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=eqs.dimension) / np.sqrt(eqs.sizes[0])


def ensemble_states(eqs: CharacteristicEquations, trajectories: int, seed: int = 1) -> np.ndarray:
    """(trajectories, n) states like `state`, no two alike."""
    return np.random.default_rng(seed).normal(size=(trajectories, eqs.dimension)) / np.sqrt(eqs.sizes[0])


def arguments(eqs: CharacteristicEquations, seed: int = 0) -> dict[str, Any]:
    """Everything a compiled kernel of these equations takes, by name; `rates` is NaN until it is run."""
    inputs = np.linspace(0.5, -0.5, eqs.sizes[1])
    data = Data(eqs, None, inputs)
    return {
        "t": 0.0,
        "state": state(eqs, seed),
        "ext": data.signals(0.0),
        "par": data.par,
        "dims": data.dims,
        "work": np.zeros(data.work_size),
        "rates": np.full(eqs.dimension, np.nan),
    }

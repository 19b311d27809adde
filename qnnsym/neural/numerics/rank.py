"""Numbers for the ranks: the tangent flow, points of rest with their derivatives, the learning map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qnnsym.errors import InputError
from qnnsym.neural import numerics
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.network import Network, check_mask, numbers
from qnnsym.neural.numerics import Data
from qnnsym.neural.numerics.learner import Learner
from qnnsym.neural.numerics.lessons import activities, positive, setting
from qnnsym.neural.rank import Rank
from qnnsym.solvers.solution import finite_array

# Step of the fourth-order differences of the gradient: truncation and rounding are both about 1e-12 of its size.
STEP = 2e-3


def _numeric(hamiltonian: NeuralHamiltonian, values: Any, default: float | None = None) -> NeuralHamiltonian:
    """The Hamiltonian with all numbers it is given; missing ones take the default, if there is one."""
    h = hamiltonian.changed()
    for key, value in dict(values or {}).items():
        h.set_value(str(key), value)
    for symbol, name in zip(h.scalars, h.parameter_names, strict=True):
        if symbol not in h.values and default is not None:
            h.set_value(name, default)
    return h


def backward_flow(
    hamiltonian: NeuralHamiltonian, weights: Any, time: float, tolerance: float, inputs: Any, y0: Any,
    fixed: Sequence[int], values: Any,
) -> Rank:  # fmt: skip
    """R1: J_{alpha q} = d phi/d y at (y(t), t), the inverse of dy(t)/dy(0) by the derived tangent equations."""
    positive(time, "time", "the time of the complete integral")
    h = _numeric(hamiltonian, values).changed(inertia=float("inf"))
    eqs = h.characteristic_equations()
    data, n = Data(eqs, None, inputs), h.network.neurons
    w = finite_array(weights, data.shape, "The array weights")
    start = np.zeros(n) if y0 is None else finite_array(y0, (n,), "The array y0")
    zero = np.zeros(data.shape)
    columns = []
    for k in range(n):
        direction = np.zeros(eqs.dimension)
        direction[k] = 1.0
        both = np.concatenate([data.pack(start, np.zeros(n), w, zero), direction])
        # Costates grow as activities contract; they are not asked for, and kept out of the error by a wide atol.
        end = _integrated(eqs, both, float(time), inputs)
        columns.append(end[eqs.dimension : eqs.dimension + n])
    flow = np.array(columns).T
    kept = [a for a in range(n) if a not in set(fixed)]
    strange = sorted(set(fixed) - set(range(n)))
    if strange:
        raise InputError(f"The constants {strange} are not there; alpha has the numbers 0 to {n - 1}.")
    # Singular values of the inverse are the reciprocals; inverting by them keeps the small ones of the flow.
    left, singular, right = np.linalg.svd(flow)
    singular = np.maximum(singular, 1e-300)
    inverse = (right.T / singular) @ left.T
    return Rank.of(inverse[kept] if kept else np.zeros((1, n)), tolerance, fixed)


def _integrated(eqs: Any, both: np.ndarray, time: float, inputs: Any) -> np.ndarray:
    """State and direction at the time, with the costates started at zero and no cost, so that they stay there."""
    return numerics.integrate(eqs, both, (0.0, time), rtol=1e-12, atol=1e-15, inputs=inputs, tangent=True)


def legendre_hessian(hamiltonian: NeuralHamiltonian, tolerance: float, values: Any) -> Rank:
    """R4: H_pp from the derived q' = H_p, which is affine in p; diagonal, which is tested along a random direction."""
    h = _numeric(hamiltonian, values, 1.0)
    eqs = h.characteristic_equations()
    data, n = Data(eqs, None, np.zeros(h.network.inputs)), h.network.neurons
    moving = h.moving
    shape, y = data.shape, np.zeros(n)
    signals = Data(eqs, None, np.zeros(h.network.inputs))

    def rates(costate: np.ndarray, momenta: np.ndarray) -> np.ndarray:
        full = np.zeros(shape)
        full[moving] = momenta
        found = numerics.rates(eqs, 0.0, y, costate, np.zeros(shape), full, signals.inputs)
        return np.concatenate([found["y"], found["weights"][moving]])

    size = n + int(moving.sum())
    base = rates(np.zeros(n), np.zeros(size - n))
    diagonal = rates(np.ones(n), np.ones(size - n)) - base
    probe = np.random.default_rng(2).normal(size=size)
    if not np.allclose(rates(probe[:n], probe[n:]) - base, diagonal * probe, rtol=1e-12, atol=1e-14):
        columns = [rates(unit[:n], unit[n:]) - base for unit in np.eye(size)]
        return Rank.of(np.array(columns).T, tolerance)
    if size <= 2000:
        return Rank.of(np.diag(diagonal), tolerance)
    order = np.argsort(-np.abs(diagonal), kind="stable")
    values_ = np.abs(diagonal)[order]
    rank = int(np.sum(values_ > tolerance * values_[0]))
    null = np.zeros((size - rank, size))
    null[np.arange(size - rank), order[rank:]] = 1.0
    return Rank(np.diag(diagonal), values_, tolerance, rank, size - rank, float("inf"), null)


class Rest:
    """Activities at rest and their derivatives in the weights, by the generated kernels."""

    def __init__(self, net: Network, inputs: Any, targets: Any, cost: Any, y0: Any, values: Any) -> None:
        h, inputs, targets = setting(net, (inputs, targets), 1.0, 1.0, cost, None, values)
        self.learner = Learner(h, inputs, targets, 1.0)
        if not self.learner.steady:
            raise InputError("Inputs, targets or the cost depend on time, so that there is no rest; give constants.")
        self.guess = activities(y0, self.learner)

    def linear(self, weights: np.ndarray, y: np.ndarray, p: int) -> tuple[np.ndarray, np.ndarray]:
        """(free, rows): (Delta', M') is free + Delta.rows at this pattern; rows are -(F_y | F_W)."""
        learner, n = self.learner, y.size
        flat = np.ascontiguousarray(weights, float).ravel()
        ext, kernel, rate = learner._externals(np.zeros(1))[0], learner.kernels["backward"], np.zeros(n + flat.size)

        def at(costate: np.ndarray) -> np.ndarray:
            kernel(0.0, np.concatenate([y, costate, flat]), ext[p], learner.par[p], learner.dims, learner.work, rate)
            return rate.copy()

        free = at(np.zeros(n))
        return free, np.array([at(unit) - free for unit in np.eye(n)])

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """d E_ss/d W over all patterns: minus M' where the costates rest as well."""
        total = np.zeros(weights.size)
        for p, y in enumerate(self.learner.at_rest(weights, self.guess)):
            free, rows = self.linear(weights, y, p)
            costate = np.linalg.solve(rows[:, : y.size].T, -free[: y.size])
            total -= free[y.size :] + costate @ rows[:, y.size :]
        return total

    def hessian(self, weights: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Hess E_ss over the weights at the flat positions, by fourth-order differences of the gradient."""
        rows = []
        for at in which:
            unit = np.zeros(weights.size)
            step = STEP * max(1.0, abs(weights.ravel()[at]))
            unit[at] = step
            moved = [self.gradient(weights + (c * unit).reshape(weights.shape)) for c in (-2, -1, 1, 2)]
            rows.append((moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3])[which] / (12 * step))
        matrix = np.array(rows)
        return (matrix + matrix.T) / 2


def _parameters(net: Network, free: Any) -> np.ndarray:
    """Flat positions of the parameters in question."""
    mask = np.ones((net.neurons, net.columns)) if net.mask is None else net.mask
    if free is not None:
        mask = mask * check_mask(free, mask.shape, "The mask free")
    found = np.flatnonzero(mask.ravel())
    if not found.size:
        raise InputError("No parameter is free: the masks leave no synapse; give free= with a 1 where a weight is.")
    return found


def _weights(net: Network, weights: Any) -> np.ndarray:
    w = finite_array(weights, (net.neurons, net.columns), "The array weights")
    if net.mask is not None and (w[net.mask == 0] != 0).any():
        raise InputError("A missing synapse has a weight; set weights to zero where the mask is zero.")
    return np.array(w)


def learning_map(
    net: Network, weights: Any, inputs: Any, targets: Any, cost: Any, inertia: Any, duration: Any, tolerance: float,
    free: Any, y0: Any, values: Any,
) -> Rank:  # fmt: skip
    """R2: D = 1 - eta Hess E_ss with eta = T^2/(2 omega)."""
    omega, t = positive(inertia, "inertia", "an inertia"), positive(duration, "duration", "a duration")
    w = _weights(net, weights)
    which = _parameters(net, free)
    hessian = Rest(net, inputs, targets, cost, y0, values).hessian(w, which)
    return Rank.of(np.eye(which.size) - t**2 / (2 * omega) * hessian, tolerance)


def identifiability(
    net: Network, weights: Any, inputs: Any, outputs: Any, tolerance: float, free: Any, y0: Any, values: Any
) -> Rank:
    """R3: d y_out/d W at rest, a row per pattern and output, a column per parameter."""
    at = numbers(outputs, "The outputs").astype(int).ravel()
    if not at.size or (at < 0).any() or (at >= net.neurons).any():
        raise InputError(f"The outputs are {outputs!r}; give numbers of neurons from 0 to {net.neurons - 1}.")
    w, which = _weights(net, weights), _parameters(net, free)
    rest = Rest(net, inputs, None, QuadraticCost(), y0, values)
    rows = []
    for p, y in enumerate(rest.learner.at_rest(w, rest.guess)):
        _, linear = rest.linear(w, y, p)
        # F_y dy + F_W dW = 0, and the signs of both parts of the rows cancel.
        rows.append(-np.linalg.solve(linear[:, : y.size], linear[:, y.size :])[np.ix_(at, which)])
    return Rank.of(np.concatenate(rows), tolerance)

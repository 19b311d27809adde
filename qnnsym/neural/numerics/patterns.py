"""Several patterns in the canonical reading: activities and costates of each, weights and momenta that they share.

    y_p' = H_Delta, Delta_p' = -H_y for every pattern p,   W' = H_M,   M' = -sum_p dH_p/dW

with H = sum_p H_p. What knows neither activities nor inputs (the kinetic term, the decay of the weights) counts once,
as in training. The rates are those of the generated kernel, pattern by pattern; the first one's hold what counts
once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from qnnsym.errors import InputError
from qnnsym.neural import numerics
from qnnsym.neural.hamiltonian import QuadraticCost
from qnnsym.neural.learning import SHARE, shared
from qnnsym.neural.numerics import Data
from qnnsym.neural.numerics.lessons import positive, signal
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array


class Patterns:
    """The rates and the energy of several patterns.

    Arguments:
        eqs: canonical equations.
        count: number of patterns.
        inputs, targets: arrays (patterns, l) and (patterns, N), one row for all, or functions of t giving these.
        values: numbers of symbolic parameters.
        kernels: those of eqs; None builds them.

    Raises:
        InputError: for arrays of a wrong shape, and targets given twice or beside a cost that has none.
    """

    def __init__(self, eqs: Any, count: int, inputs: Any, targets: Any, values: Any, kernels: Any) -> None:
        h = eqs.hamiltonian.changed()
        for key, value in dict(values or {}).items():
            h.set_value(str(key), value)
        given = h
        h = shared(h)
        if h is not given:  # the cost's part that counts once has a parameter before it, and a kernel of its own
            eqs, kernels = h.characteristic_equations(kinetic="plus" if eqs.kinetic > 0 else "minus"), None
        net = self.network = h.network
        if h.decay is not None and h.decay in (h.relaxation, h.inertia):
            raise InputError(f"The decay is the Symbol of another parameter ({h.decay}); give it one of its own.")
        if targets is not None:
            if not isinstance(h.cost, QuadraticCost) or h.cost.target is not None:
                raise InputError(
                    "Targets are given beside a cost that has its own, or is an expression; leave targets= out, or "
                    "give a QuadraticCost without target."
                )
        self.count, self.shape = count, (net.neurons, net.columns)
        self.steady = not callable(inputs) and not callable(targets) and h.autonomous
        rows = signal(inputs, count, net.inputs, "inputs")
        aims = None if targets is None else signal(targets, count, net.neurons, "targets")
        self.data = []
        for p in range(count):
            own = h if aims is None else h.changed(cost=replace(h.cost, target=_row(aims, p)))
            data = Data(replace(eqs, hamiltonian=own), None, _row(rows, p))
            for symbol in (own.decay, own._rename.get(SHARE)):
                if symbol is not None and p:
                    data.par[own.scalars.index(symbol)] = 0.0
            self.data.append(data)
        self.kernel = (kernels or numerics.kernels_of(eqs))["rhs"]
        self.kinetic = eqs.kinetic
        self._out = np.zeros(2 * net.neurons * (1 + net.columns))

    def split(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(y (patterns, N), costates (patterns, N), W and M flat behind each other)."""
        n = self.count * self.shape[0]
        y, costate, rest = np.split(flat, [n, 2 * n])
        return y.reshape(self.count, -1), costate.reshape(self.count, -1), rest

    def rates(self, t: float, flat: np.ndarray) -> np.ndarray:
        """d/dt of (y | costate | W | M)."""
        y, costate, rest = self.split(flat)
        n, size = self.shape[0], rest.size // 2
        out, out_y, out_d, out_rest = self._out, np.empty_like(y), np.empty_like(costate), np.zeros(2 * size)
        for p, data in enumerate(self.data):
            state = np.concatenate([y[p], costate[p], rest])
            self.kernel(t, state, data.signals(t), data.par, data.dims, self._work, out)
            out_y[p], out_d[p] = out[:n], out[n : 2 * n]
            if not p:
                out_rest[:size] = out[2 * n : 2 * n + size]
            out_rest[size:] += out[2 * n + size :]
        return np.concatenate([out_y.ravel(), out_d.ravel(), out_rest])

    @property
    def _work(self) -> np.ndarray:
        if not hasattr(self, "_buffer"):
            self._buffer = np.zeros(self.data[0].work_size)
        return self._buffer

    def energy(self, flat: np.ndarray, t: float = 0.0) -> float:
        """H of all patterns from its definition; the kinetic term counts once."""
        y, costate, rest = self.split(flat)
        h, size = self.data[0].eqs.hamiltonian, rest.size // 2
        moving = rest[size:][h.moving.ravel()]
        kinetic = self.kinetic * float(moving @ moving) / (2 * self.data[0].par[h.scalars.index(h.inertia)])
        states = (np.concatenate([y[p], costate[p], rest]) for p in range(self.count))
        total = sum(numerics.energy(data, state, t) for data, state in zip(self.data, states, strict=True))
        return total - (self.count - 1) * kinetic

    def names(self) -> tuple[str, ...]:
        """Names of the components: pattern, then neuron."""
        rows = [f"{name}_{p}_{k}" for name in ("y", "Delta") for p in range(self.count) for k in range(self.shape[0])]
        return (*rows, *numerics.component_names(self.data[0])[2 * self.shape[0] :])


def _row(given: Any, p: int) -> Any:
    return (lambda t: given(t)[p]) if callable(given) else given[p]


def solve(
    eqs: Any, times: Any, y0: Any, costate0: Any, weights: Any, momenta: Any, inputs: Any = None, *,
    targets: Any = None, values: Any = None, kernels: Any = None, provenance: Any = None, rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Solution:  # fmt: skip
    """Integrate several patterns that share their weights (SciPy's DOP853 on the generated kernel).

    Returns:
        Solution; states (times, y (patterns, N) flattened | costates alike | W row-major | M row-major).

    Raises:
        InputError: for arrays of a wrong shape, and numbers that are no tolerances.
    """
    times = as_times(times)
    rtol, atol = positive(rtol, "rtol", "a relative tolerance"), positive(atol, "atol", "an absolute tolerance")
    net = eqs.hamiltonian.network
    count = np.shape(y0)[0]
    if not count:
        raise InputError("y0 holds no pattern; give at least one row.")
    y0 = finite_array(y0, (count, net.neurons), "The array y0")
    costate0 = finite_array(costate0, (count, net.neurons), "The array costate0")
    many = Patterns(eqs, count, inputs, targets, values, kernels)
    single = many.data[0].pack(y0[0], costate0[0], weights, momenta)
    start = np.concatenate([y0.ravel(), costate0.ravel(), single[2 * net.neurons :]])
    found = solve_ivp(many.rates, (times[0], times[-1]), start, "DOP853", times, rtol=max(rtol, 3e-14), atol=atol)
    solution = Solution(
        found.t, found.y.T, Status.SUCCESS if found.success else Status.STEP_TOO_SMALL,
        statistics={"evaluations": float(found.nfev)}, provenance=dict(provenance or {}), names=many.names(),
    )  # fmt: skip
    if many.steady:
        solution.expect["H"] = np.array([many.energy(s) for s in found.y.T])
        scale = max(1.0, float(np.abs(solution.expect["H"]).max()))
        solution.diagnostics["H_drift"] = float(np.ptp(solution.expect["H"]) / scale)
    return solution

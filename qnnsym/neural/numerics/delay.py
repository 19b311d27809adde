"""Numbers for the readings of shifted variables: histories, rates, and delay equations by the compiled driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError, SolverError
from qnnsym.neural import numerics
from qnnsym.neural.numerics import (
    Data,
    activation_values,
    component_names,
    momenta_list,  # noqa: F401
    real_time,  # noqa: F401
    refuse_unknown,  # noqa: F401
)
from qnnsym.neural.readings import DelayedEquations
from qnnsym.solvers.delay import DelayProblem, checked_lag, history_table
from qnnsym.solvers.solution import Solution, as_times, finite_array
from qnnsym.solvers.tables import PiecewisePolynomial, tabulate


@dataclass(frozen=True)
class DelayedData(Data):
    """What the kernels of a delayed reading need besides the state and values of other times."""

    @cached_property
    def numbers(self) -> dict[sp.Symbol, float]:
        """The parameters."""
        return dict(zip(self.eqs.hamiltonian.scalars, map(float, self.par), strict=False))

    @property
    def delay(self) -> float:
        """T."""
        return checked_lag(self.numbers[self.eqs.hamiltonian.delay])

    def parameters(self, remaining: float | None = None) -> np.ndarray:
        """`par` as the kernel of the reading reads it, with N_rem behind the scalars for the variational one."""
        if self.eqs.reading != "variational":
            return self.par
        return np.insert(self.par, len(self.eqs.hamiltonian.scalars), remaining or 1.0)

    def histories(self, weights: Any, momenta: Any, jumps: Sequence[float] = ()) -> PiecewisePolynomial:
        """Weights and momenta on [-T, 0], row by row behind each other, as the state holds them.

        Raises:
            InputError: for histories of a wrong shape, shorter than T, or with weights where no synapse is.
        """
        size = self.shape[0] * self.shape[1]
        tables = []
        for given, what in ((weights, "The history of the weights"), (momenta, "The history of the momenta")):
            try:
                tables.append(history_table(_flat(given, self.shape, what), -self.delay, 0.0, size, what, jumps))
            except InputError as error:
                if "cannot be tabulated" not in str(error):
                    raise
                raise InputError(
                    f"{what} cannot be tabulated on [-T, 0] = [{-self.delay:g}, 0], T the delay: {error} Give a "
                    "smoother history, a shorter delay, or (times, values)."
                ) from error
        joined = _joined(*tables)
        self.checked(np.hstack([np.zeros((len(joined.pieces), 2 * self.shape[0])), joined.pieces[:, 0]]))
        return joined


def _flat(given: Any, shape: tuple[int, int], what: str) -> Any:
    """A history of matrices as one of flat rows."""
    if given is None:
        raise InputError(f"{what} is missing; give an array of shape {shape}, or a function of t on [-T, 0].")
    if callable(given):
        return lambda t: finite_array(given(t), shape, f"{what} at t = {t:.6g}").ravel()
    if isinstance(given, tuple) and len(given) == 2:
        times, values = given
        return times, finite_array(values, (np.size(times), *shape), f"{what}: its values").reshape(np.size(times), -1)
    return finite_array(given, shape, what).ravel()


def _joined(first: PiecewisePolynomial, second: PiecewisePolynomial) -> PiecewisePolynomial:
    """Two tables on one interval as one, on the pieces of both."""
    breaks = np.union1d(first.breaks, second.breaks)
    close = np.diff(breaks) < 1e-13 * (breaks[-1] - breaks[0])
    breaks = breaks[np.concatenate([[True], ~close])]
    degree = max(first.pieces.shape[1], second.pieces.shape[1])
    parts = []
    for table in (first, second):
        pieces = np.zeros((len(breaks) - 1, degree, table.channels))
        for n, left in enumerate(breaks[:-1]):
            middle = 0.5 * (left + breaks[n + 1])
            at = int(np.clip(np.searchsorted(table.breaks, middle) - 1, 0, len(table.pieces) - 1))
            moved = _moved(table.pieces[at], left - table.breaks[at])
            pieces[n, : len(moved)] = moved
        parts.append(pieces)
    jumps = tuple(sorted({*first.jumps, *second.jumps}))
    return PiecewisePolynomial(breaks, np.concatenate(parts, axis=2), jumps, max(first.error, second.error))


def _moved(coefficients: np.ndarray, by: float) -> np.ndarray:
    """Coefficients of p(x + by) from those of p(x), lowest power first."""
    moved = coefficients.copy()
    for k in range(len(moved) - 1):
        for power in range(len(moved) - 2, k - 1, -1):
            moved[power] += by * moved[power + 1]
    return moved


# rates ------------------------------------------------------------------------------------------------------------


def rates(
    eqs: DelayedEquations, t: float, y: Any, costate: Any, weights: Any, momenta: Any, inputs: Any,
    delayed_weights: Any, past_momenta: Any, advanced: Any, remaining: Any, values: Any,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The time derivatives at one point; see `DelayedEquations.rhs`."""
    data = DelayedData(eqs, values, inputs)
    state = data.pack(y, costate, weights, momenta)
    if delayed_weights is None:
        raise InputError(f"The reading {eqs.reading!r} needs delayed_weights=W(t - T); give an array {data.shape}.")
    others = [finite_array(delayed_weights, data.shape, "The array delayed_weights")]
    if eqs.reading == "causal":
        past = [finite_array(m, data.shape, "An array of past_momenta") for m in past_momenta]
        _check_time(t)
        others.append(np.sum(past, axis=0) if past else np.zeros(data.shape))
    if eqs.reading == "variational":
        if isinstance(remaining, bool) or not isinstance(remaining, (int, float, np.number)) or not remaining >= 1:
            raise InputError(f"remaining={remaining!r} is no number of epochs; give N_rem = K - n, at least 1.")
        if (advanced is None) != (remaining == 1):
            raise InputError(
                "Values one epoch later belong to every epoch but the last: give advanced={'y', 'costate', 'inputs'} "
                f"with remaining above 1, and leave it out with remaining=1; remaining is {remaining}."
            )
        others += next_epoch(data, advanced)
    ext = np.concatenate([data.signals(t), *(a.ravel() for a in others)])
    function = numpy_function(lower(eqs.equations))
    return data.unpack(function(float(t), state, ext, data.parameters(remaining), tuple(data.dims)))


def _check_time(t: float) -> None:
    """How many past momenta there are is for the caller to say: the sum is taken over those that are given."""
    if t < 0:
        raise InputError(f"t = {t:g} lies before the start; the causal reading has rates for t >= 0, give such a time.")


def next_epoch(data: DelayedData, advanced: Mapping[str, Any] | None) -> list[np.ndarray]:
    """y, costate and inputs one epoch later; zeros after the last epoch, where the costate's zero removes the term."""
    neurons, inputs = data.eqs.sizes
    if advanced is None:
        return [np.zeros(neurons), np.zeros(neurons), np.zeros(inputs)]
    needed = ("y", "costate") + (("inputs",) if inputs else ())
    if not isinstance(advanced, Mapping) or not {*needed} <= {*advanced} <= {"y", "costate", "inputs"}:
        raise InputError(f"advanced={advanced!r} has to be a dictionary of {', '.join(needed)} one epoch later.")
    given = [advanced["y"], advanced["costate"], advanced.get("inputs", np.zeros(0))]
    names = ("y", "costate", "inputs")
    sizes = (neurons, neurons, inputs)
    return [finite_array(v, (n,), f"advanced[{k!r}]") for v, n, k in zip(given, sizes, names, strict=True)]


# delay equations --------------------------------------------------------------------------------------------------


def delay_problem(
    data: DelayedData, times: Any, y0: Any, costate0: Any, weights: Any, momenta: Any, *, momenta0: Any = None,
    kernels: Any = None, input_jumps: Sequence[float] = (), **options: Any,
) -> DelayProblem:  # fmt: skip
    """The delay equation of the causal or frozen reading.

    The sum over the momenta of all past epochs is one lagged value: P(t) = S(t - T) with S(t) = M(t) + S(t - T), the
    telescoping identity W'(t) - W'(t - T) = M(t)/omega; before t = 0, S is the history of M.
    """
    from qnnsym.workspace import Workspace

    eqs = data.eqs
    times = as_times(times)
    if times[0] != 0.0 or times[-1] < 0.0:
        raise InputError(
            f"The times go from {times[0]:g} to {times[-1]:g}; the histories end at t = 0, give times that ascend from "
            "it."
        )
    if costate0 is None:
        raise InputError(f"costate0 is missing; the reading {eqs.reading!r} is an initial-value problem, give it.")
    neurons, size = data.shape[0], data.shape[0] * data.shape[1]
    table = data.histories(weights, momenta)
    ends = _moved(table.pieces[-1], table.breaks[-1] - table.breaks[-2])[0].reshape(2, *data.shape)
    start = data.pack(y0, costate0, ends[0], ends[1] if momenta0 is None else momenta0)
    lagged = [(0, 2 * neurons + i) for i in range(size)]
    sums = {}
    if eqs.reading == "causal":
        lagged += [(0, 2 * neurons + size + i) for i in range(size)]
        sums = {2 * neurons + size + i: 0 for i in range(size)}
    # Activities and costates have no history: nothing reads them at earlier times.
    pieces = np.pad(table.pieces, ((0, 0), (0, 0), (2 * neurons, 0)))
    whole = PiecewisePolynomial(table.breaks, pieces, table.jumps, table.error)
    problem = DelayProblem(
        (kernels or numerics.kernels_of(eqs))["rhs"], start, times, lags=[data.delay], lagged=lagged,
        history=whole, sums=sums, par=data.parameters(),
        dims=data.dims, work_size=data.work_size, table=signal_table(data, times[0], times[-1], input_jumps),
        cache_dir=Workspace.find().cache, **options,
    )  # fmt: skip
    return problem


def signal_table(data: Data, start: float, stop: float, jumps: Sequence[float]) -> PiecewisePolynomial:
    """Inputs and targets for the driver, which may jump at the given times."""
    if not jumps:
        return data.table(start, stop)
    return tabulate(data.signals, start, stop, breakpoints=jumps)


def solve(
    eqs: DelayedEquations, times: Any, y0: Any, costate0: Any, weights: Any, momenta: Any, inputs: Any = None, *,
    values: Any = None, kernels: Any = None, provenance: Any = None, momenta0: Any = None,
    input_jumps: Sequence[float] = (), events: Any = (), **options: Any,
) -> Solution:  # fmt: skip
    """Integrate a causal or frozen reading from histories; see `DelayedEquations.solve`."""
    data = DelayedData(eqs, values, inputs)
    problem = delay_problem(
        data, times, y0, costate0, weights, momenta, momenta0=momenta0, kernels=kernels, input_jumps=input_jumps,
        names=component_names(data), provenance=provenance, events=events,
    )  # fmt: skip
    solution = problem.solve(**options)
    if problem.history.error:
        solution.diagnostics["history_error"] = problem.history.error
    return solution


OPTIONS = {
    "causal": ("method", "rtol", "atol", "step", "max_steps", "progress", "momenta0", "input_jumps"),
    "variational": ("rtol", "atol", "epochs", "terminal", "input_jumps", "progress"),
}
OPTIONS["frozen"] = OPTIONS["causal"]


def solve_model(model: Any, eqs: DelayedEquations, kernels: Any, options: Mapping[str, Any]) -> Solution:
    """Solve a model of a delayed reading with the kernels generated for it; see `numerics.solve_model`."""
    settings = {**model.options, **options}
    settings.pop("kinetic", None)
    known = OPTIONS[eqs.reading]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InputError(f"The option(s) {', '.join(unknown)} of {model.name} are not known; use {', '.join(known)}.")
    state = model_state(model)
    data = DelayedData(eqs, model.values, model.inputs)
    numbers = dict(zip(eqs.hamiltonian.parameter_names, map(float, data.par), strict=False))
    provenance = {"model": model.name, "signature": kernels.signature, "parameters": numbers, "reading": eqs.reading}
    given = {"values": model.values, "kernels": kernels, "provenance": provenance, **settings}
    solution = eqs.solve(model.times, state["y"], state.get("costate"), state["weights"], state["momenta"],
                         model.inputs, **given)  # fmt: skip
    if not solution.success and len(solution.times) < 2:
        raise SolverError(f"The run of {model.name} ended at its first time. {solution.status.value}")
    return solution


def model_state(model: Any) -> dict[str, Any]:
    """The parts of a model's state, histories among them; costates and momenta are zero where they are not given."""
    state, net = model.state, model.hamiltonian.network
    if not isinstance(state, Mapping) or "y" not in state or "weights" not in state:
        raise InputError(f"The state of {model.name} is {state!r}; give dict(y=, costate=, weights=, momenta=).")
    strange = sorted(set(state) - {"y", "costate", "weights", "momenta"})
    if strange:
        listed = ", ".join(strange)
        raise InputError(f"The state of {model.name} has {listed}; its parts are y, costate, weights, momenta.")
    zero: dict[str, Any] = {"momenta": np.zeros((net.neurons, net.columns))}
    if model.reading != "variational":
        zero["costate"] = np.zeros(net.neurons)
    return {**zero, **state}


# H by its definition ------------------------------------------------------------------------------------------------


def hamiltonian_values(
    data: DelayedData, t: np.ndarray, states: np.ndarray, delayed: np.ndarray, past: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """H with its shifts, from its definition: no derived equation enters.

    Arguments:
        t: (m,) times.  states: (m, n) flat states, real or complex.
        delayed: (m, N, l + 1 + N), W(t - T).
        past: the momenta M(t - v T), v = 1 .. n + 1, each (m, N, l + 1 + N).

    Returns:
        (m,) values.
    """
    h, (n, columns) = data.eqs.hamiltonian, data.shape
    net, numbers, size = h.network, data.numbers, n * columns
    y, costate = states[:, :n], states[:, n : 2 * n]
    w = states[:, 2 * n : 2 * n + size].reshape(-1, n, columns)
    m = states[:, 2 * n + size :].reshape(-1, n, columns)
    signals = np.array([data.signals(float(s)) for s in t])
    x, target = signals[:, : net.inputs], signals[:, net.inputs :]
    mask = np.ones(data.shape) if net.mask is None else net.mask
    z = np.hstack([x, np.ones((len(t), 1)), y])
    u = np.einsum("tkj,tj->tk", mask * delayed, z)
    f = np.array([activation_values(h, row, numbers) for row in u])
    total = np.sum(costate * (f - y), axis=1) / numbers[h.relaxation]
    for momenta in (m, *past):
        total = total + data.eqs.kinetic * np.sum((h.moving * momenta) ** 2, axis=(1, 2)) / (2 * numbers[h.inertia])
    return total + cost_values(data, t, y, w, x, target)


def cost_values(data: Data, t: np.ndarray, y: Any, w: Any, x: Any, target: Any) -> np.ndarray:
    """E(t, y, W) at (m,) times, from its definition."""
    h = data.eqs.hamiltonian
    net, numbers = h.network, dict(zip(h.scalars, data.par, strict=False))
    mask = np.ones(data.shape) if net.mask is None else net.mask
    if h.decay is not None:
        return ((y - target) ** 2) @ h.weight / 2 + numbers[h.decay] / 2 * np.sum((mask * w) ** 2, axis=(1, 2))
    if h.expression == 0:
        return np.zeros(len(t))
    from qnnsym.neural.steps import plain

    symbols = [net.t, *net.x, *net.y, *net.W, *h._rename]
    function = sp.lambdify(symbols, plain(h.expression), "numpy")
    rest = [numbers[s] for s in h._rename.values()]
    columns = [t, *x.T, *y.T, *w.reshape(len(t), -1).T]
    return np.broadcast_to(function(*columns, *rest), (len(t),)) + 0.0

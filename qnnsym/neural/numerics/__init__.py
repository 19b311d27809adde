"""Numbers for neural Hamiltonians: packing states and parameters, compiled kernels, integration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from qnnsym.codegen.build import KERNELS, Source, built, render
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lanes import emit_lanes
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError, SolverError
from qnnsym.expressions import near_miss
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.hamiltonian import QuadraticCost
from qnnsym.solvers import ensemble
from qnnsym.solvers.ensemble import Ensemble
from qnnsym.solvers.kernels import Kernels, load_kernels
from qnnsym.solvers.lanes import worthwhile
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.solution import Solution, as_times, finite_array
from qnnsym.solvers.tables import PiecewisePolynomial, tabulate

if TYPE_CHECKING:
    from qnnsym.equations.indexed import EquationSet
    from qnnsym.workspace import Workspace

OPTIONS = ("method", "rtol", "atol", "step", "max_steps", "progress", "kinetic")


INTEGRATE = ("method", "step", "inputs", "values", "kernels", "tangent")
ENSEMBLE = ("method", "atol", "step", "max_steps", "threads", "progress", "values", "kernels")
SOLVE = ("rtol", "atol", "method", "step", "max_steps", "events", "progress", "values")


def refuse_unknown(options: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """Refuse keywords that a function does not have.

    Raises:
        InputError: naming those that it has.
    """
    for name in options:
        if name not in known:
            near = near_miss(name, list(known))
            raise InputError(f"{name}= is not known to {what}.{near} Its options are {', '.join(known)}.")


def real_time(t: Any) -> float:
    """A time as a float; a sentence for everything else."""
    if isinstance(t, bool) or not isinstance(t, (int, float, np.number, sp.Number)) or not np.isfinite(float(t)):
        raise InputError(f"The time is {t!r}; give a finite number.")
    return float(t)


def momenta_list(given: Any) -> Sequence[Any]:
    """Momenta of past epochs as a list; None is none of them."""
    if given is None:
        return ()
    if not isinstance(given, (list, tuple, np.ndarray)):
        raise InputError(f"past_momenta is {given!r}; give a list of arrays [M(t - T), M(t - 2T), ...].")
    return given


@dataclass(frozen=True)
class Data:
    """Everything a kernel needs besides the state.

    Arguments:
        eqs: the equations.
        values: {name: number} for symbolic parameters, besides those of the Hamiltonian.
        inputs: array (l,), function of t, or None.
    """

    eqs: CharacteristicEquations
    values: Mapping[Any, Any] | None = None
    inputs: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        net = self.eqs.hamiltonian.network
        return net.neurons, net.columns

    @cached_property
    def dims(self) -> np.ndarray:
        return np.array(self.eqs.sizes, np.int64)

    @cached_property
    def par(self) -> np.ndarray:
        """Scalars, then the parameter arrays, in kernel order."""
        h = self.eqs.hamiltonian
        numbers = dict(h.values)
        if self.values:
            copy = h.changed()
            for key, value in self.values.items():
                copy.set_value(str(key), value)
            numbers = copy.values
        missing = [n for s, n in zip(h.scalars, h.parameter_names, strict=True) if s not in numbers]
        if missing:
            listed = ", ".join(f"{name!r}: ..." for name in missing)
            raise InputError(f"No number is given for {', '.join(missing)}; give values={{{listed}}}.")
        parts = [np.array([numbers[s] for s in h.scalars], float)]
        if isinstance(h.cost, QuadraticCost):
            parts.append(h.weight)
        parts += [a.ravel() for a in (h.network.mask, h.dynamical) if a is not None]
        choice = np.array(h.network.choice)
        parts += [(choice == n).astype(float) for n in range(len(h.selectors))]
        return np.concatenate(parts)

    def signals(self, t: float) -> np.ndarray:
        """Inputs and targets at one time."""
        return np.concatenate([self._signal(s, n, what)(t) for s, n, what in self._parts])

    def table(self, start: float, stop: float) -> PiecewisePolynomial:
        """Inputs and targets for the compiled driver."""
        functions = [self._signal(s, n, what) for s, n, what in self._parts]
        if not any(callable(s) for s, _, _ in self._parts):
            return PiecewisePolynomial.constant(self.signals(start))
        return tabulate(lambda t: np.concatenate([f(t) for f in functions]), start, stop)

    @property
    def _parts(self) -> list[tuple[Any, int, str]]:
        h = self.eqs.hamiltonian
        parts = [(self.inputs, h.network.inputs, "inputs")]
        if isinstance(h.cost, QuadraticCost):
            parts.append((h.target, h.network.neurons, "target"))
        return parts

    @staticmethod
    def _signal(given: Any, size: int, what: str) -> Callable[[float], np.ndarray]:
        if given is None:
            if size:
                raise InputError(f"The network has {size} inputs and none are given; give inputs=array or a function.")
            return lambda t: np.zeros(0)
        if callable(given):
            return lambda t: finite_array(given(t), (size,), f"The function {what} at t = {t:.6g}")
        values = finite_array(given, (size,), f"The array {what}")
        return lambda t: values

    @cached_property
    def work_size(self) -> int:
        return _work(self.eqs)

    def pack(self, y: Any, costate: Any, weights: Any, momenta: Any) -> np.ndarray:
        """The flat state; static and missing weights may not have momenta."""
        n, shape = self.shape[0], self.shape
        for name, given in (("weights", weights), ("momenta", momenta)):
            if callable(given):
                raise InputError(
                    f"The {name} are a history (a function of time), and here, in the reading {self.eqs.reading!r}, "
                    f"one array {shape} is needed; give it, or solve a reading of delayed variables (causal, ...)."
                )
        w, m = finite_array(weights, shape, "The array weights"), finite_array(momenta, shape, "The array momenta")
        y, d = finite_array(y, (n,), "The array y"), finite_array(costate, (n,), "The array costate")
        return self.checked(np.concatenate([y, d, w.ravel(), m.ravel()]))

    def checked(self, states: np.ndarray) -> np.ndarray:
        """Flat states (..., n), after making sure that no missing synapse has a weight and no static one a momentum.

        Raises:
            InputError: naming what has to be zero.
        """
        h, n = self.eqs.hamiltonian, self.shape[0]
        weights, momenta = np.split(states[..., 2 * n :], 2, axis=-1)
        if (momenta[..., ~h.moving.ravel()] != 0).any():
            raise InputError("A static or missing weight has a momentum; set momenta to zero where no weight moves.")
        if h.network.mask is not None and (weights[..., h.network.mask.ravel() == 0] != 0).any():
            raise InputError("A missing synapse has a weight; set weights to zero where the mask is zero.")
        return states

    def unpack(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of a flat state or rate, by name."""
        n, columns = self.shape
        size = n * columns
        cuts = np.split(flat, [n, 2 * n, 2 * n + size])
        return {
            name: part if k < 2 else part.reshape(n, columns)
            for k, (name, part) in enumerate(zip(self.eqs.states, cuts, strict=True))
        }


def _work(eqs: CharacteristicEquations) -> int:
    """Length of the work array of the larger of the two kernels."""
    net = eqs.hamiltonian.network
    # Every stored intermediate is a vector over neurons or columns; the tangent kernel has the most of them.
    function = lower(eqs.tangent)
    return int(function.work.subs(dict(zip(function.sizes, (net.neurons, net.inputs), strict=True))))


def rates(eqs, t, y, costate, weights, momenta, inputs=None, values=None) -> dict[str, np.ndarray]:
    """The time derivatives at one point, by the NumPy text of the equations."""
    data = Data(eqs, values, inputs)
    state = data.pack(y, costate, weights, momenta)
    function = numpy_function(lower(eqs.equations))
    return data.unpack(function(float(t), state, data.signals(t), data.par, tuple(data.dims)))


def kernels_of(eqs: CharacteristicEquations) -> Kernels:
    """Compiled kernels of equations that belong to no derivation file, built once per signature.

    They live in the current workspace's .qnnsym folder, or in a temporary one where nothing can be written.
    """
    from qnnsym.workspace import Workspace

    return _kernels(eqs.equations, eqs.tangent, eqs.line, Workspace.find())


@lru_cache(maxsize=16)
def _kernels(equations: EquationSet, tangent: EquationSet, line: str, workspace: Workspace) -> Kernels:
    return _loaded(render("network", "neural", {"rhs": equations, "rhs_jvp": tangent}, line), workspace)


def _loaded(source: Source, workspace: Workspace) -> Kernels:
    folder = built(source, workspace.kernels)
    m = source.manifest
    return load_kernels(folder / KERNELS, m.functions, m.signature, m.parameters, workspace.cache)


def lanes_of(eqs: CharacteristicEquations) -> Any:
    """The compiled kernel of eight states side by side, see `codegen.lanes`; built like `kernels_of`."""
    from qnnsym.workspace import Workspace

    return _lanes(eqs.equations, eqs.line, Workspace.find())["rhs"]


@lru_cache(maxsize=16)
def _lanes(equations: EquationSet, line: str, workspace: Workspace) -> Kernels:
    return _loaded(render("network", "neural", {"rhs": equations}, line, emit_lanes), workspace)


def compiled(eqs, tangent: bool = False, inputs: Any = None, values: Any = None, kernels: Any = None):
    """The compiled right-hand side as `CharacteristicEquations.compiled` describes it."""
    data = Data(eqs, values, inputs)
    kernel = (kernels or kernels_of(eqs))["rhs_jvp" if tangent else "rhs"]
    par, dims, work, n = data.par, data.dims, np.zeros(data.work_size), eqs.dimension

    def check(**arrays: Any) -> None:
        # The kernel reads and writes as many numbers as the network has, whatever the arrays hold.
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray) or array.shape != (n,) or array.dtype != np.float64:
                what = f"an array {array.shape} of {array.dtype}" if isinstance(array, np.ndarray) else repr(array)
                raise InputError(f"{name} is {what}; give a NumPy array ({n},) of float64, ordered as .states says.")
            if not array.flags.c_contiguous or (name.startswith("out") and not array.flags.writeable):
                raise InputError(f"{name} is a strided or read-only array; give a copy of it.")

    if not tangent:

        def rhs(t: float, state: np.ndarray, out: np.ndarray) -> None:
            check(state=state, out=out)
            kernel(t, state, data.signals(t), par, dims, work, out)

        return rhs
    both, rate = np.zeros(2 * n), np.zeros(2 * n)

    def product(t: float, state: np.ndarray, v: np.ndarray, out: np.ndarray, out_v: np.ndarray) -> None:
        check(state=state, v=v, out=out, out_v=out_v)
        both[:n], both[n:] = state, v
        kernel(t, both, data.signals(t), par, dims, work, rate)
        out[:], out_v[:] = rate[:n], rate[n:]

    return product


def _problem(data: Data, kernels: Kernels, name: str, state: np.ndarray, times: Any, **options: Any) -> Problem:
    """The problem of one kernel; that of the rates has the other kernel for its Jacobian."""
    from qnnsym.workspace import Workspace

    times = as_times(times)
    table = data.table(times[0], times[-1])
    return Problem(
        kernels[name], state, times, par=data.par, dims=data.dims, work_size=data.work_size, table=table,
        tangent=kernels["rhs_jvp"] if name == "rhs" else None, cache_dir=Workspace.find().cache, **options,
    )  # fmt: skip


def _flat_state(data: Data, state: Any, size: int) -> np.ndarray:
    """A checked copy of a flat state, which a direction may follow."""
    flat = finite_array(state, (size,), "The flat state")
    data.checked(flat[: data.eqs.dimension])
    return flat


def integrate(
    eqs, state, times, *, rtol=1e-10, atol=1e-12, method="dop853", step=None, inputs=None, values=None, kernels=None,
    tangent=False,
) -> np.ndarray:  # fmt: skip
    """The final flat state by the compiled driver alone; with `tangent` the state is (state, direction)."""
    data = Data(eqs, values, inputs)
    size = eqs.dimension * (2 if tangent else 1)
    name = "rhs_jvp" if tangent else "rhs"
    # No name is kept for the checked copy of the state: with a million weights every array counts.
    problem = _problem(
        data, kernels or kernels_of(eqs), name, _flat_state(data, state, size), np.array(times, float)
    )
    return problem.integrate(method, rtol, atol, step, once=True)


def solve(
    eqs, times, y0, costate0, weights, momenta, inputs=None, *, values=None, kernels=None, provenance=None, events=(),
    **options,
) -> Solution:
    """Integrate from initial data; see `CharacteristicEquations.solve`."""
    if np.ndim(y0) == 2:
        from qnnsym.neural.numerics import patterns

        refuse_unknown(options, ("rtol", "atol", "targets"), "solve with patterns")
        return patterns.solve(
            eqs, times, y0, costate0, weights, momenta, inputs, values=values, kernels=kernels, provenance=provenance,
            **options,
        )  # fmt: skip
    refuse_unknown(options, SOLVE, "solve")
    data = Data(eqs, values, inputs)
    state = data.pack(y0, costate0, weights, momenta)
    problem = _problem(
        data, kernels or kernels_of(eqs), "rhs", state, times, names=component_names(data), provenance=provenance,
        events=events,
    )
    solution = problem.solve(**options)
    if solution.states is not None and eqs.hamiltonian.autonomous and not callable(inputs):
        solution.expect["H"] = np.array([energy(data, s) for s in solution.states])
        scale = max(1.0, float(np.abs(solution.expect["H"]).max()))
        solution.diagnostics["H_drift"] = float(np.ptp(solution.expect["H"]) / scale)
    return solution


def solve_ensemble(
    eqs, states, times, inputs=None, *, values=None, kernels=None, lanes: bool | None = None, **options
) -> Ensemble:
    """Integrate from many flat states; see `CharacteristicEquations.solve_ensemble`."""
    if lanes not in (None, True, False):
        raise InputError(f"lanes is {lanes!r}; give True, False, or None for what is faster.")
    data = Data(eqs, values, inputs)
    problem = _problem(data, kernels or kernels_of(eqs), "rhs", np.zeros(eqs.dimension), times)
    states = data.checked(ensemble.checked_states(states, eqs.dimension))
    eight = lanes_of(eqs) if lanes or (lanes is None and worthwhile(*states.shape)) else None
    return ensemble.solve_ensemble(problem, states, lanes=eight, **options)


def component_names(data: Data) -> tuple[str, ...]:
    """Names of the flat state's components, zero-based."""
    n, columns = data.shape
    rows = [f"{name}_{k}" for name in ("y", "Delta") for k in range(n)]
    return (*rows, *(f"{name}_{k}_{j}" for name in ("W", "M") for k in range(n) for j in range(columns)))


def energy(data: Data, flat: np.ndarray, t: float = 0.0) -> float:
    """The value of H at a flat state, from its definition (no derived equation enters)."""
    h, part = data.eqs.hamiltonian, data.unpack(flat)
    net, numbers = h.network, dict(zip(h.scalars, data.par, strict=False))
    y, costate, w, m = (part[n] for n in data.eqs.states)
    signals = data.signals(t)
    x, target = signals[: net.inputs], signals[net.inputs :]
    mask = np.ones(data.shape) if net.mask is None else net.mask
    z = np.concatenate([x, [1.0], y])
    u = (mask * w) @ z
    total = float(costate @ (-y + activation_values(h, u, numbers)) / numbers[h.relaxation])
    total += data.eqs.kinetic * float(np.sum(m[h.moving] ** 2)) / (2 * numbers[h.inertia])
    if h.decay is not None:
        total += float(h.weight @ (y - target) ** 2) / 2 + numbers[h.decay] / 2 * float(np.sum((mask * w) ** 2))
    elif h.expression != 0:
        at = {**dict(zip(net.y, y, strict=True)), **dict(zip(net.x, x, strict=True)), net.t: t}
        at |= {net.W[k, j]: w[k, j] for k in range(net.neurons) for j in range(net.columns)}
        at |= {symbol: numbers[kernel] for symbol, kernel in h._rename.items()}
        total += float(h.expression.evalf(20, subs={s: at[s] for s in h.expression.free_symbols}))
    return total


def activation_values(h: Any, u: np.ndarray, numbers: Mapping) -> np.ndarray:
    """f_k(u_k) for all neurons by the definition of each activation, real or complex."""
    from qnnsym.neural.network import ARGUMENT
    from qnnsym.neural.steps import plain

    names = list(h._rename)
    out = np.zeros(u.shape, u.dtype)
    for n, f in enumerate(h.network.activations):
        function = sp.lambdify([ARGUMENT, *names], plain(f), "numpy")
        mine = np.array(h.network.choice) == n
        out[mine] = function(u[mine], *(numbers[h._rename[s]] for s in names))
    return out


def solve_model(model: Any, kernels: Kernels, derivation: Any = None, **options: Any) -> Solution:
    """Solve a neural model with the kernels generated for it.

    Arguments:
        model: state is a dictionary of y, costate, weights, momenta; times, inputs, values and options are used.
        kernels: "rhs" and "rhs_jvp".
        options: those of `CharacteristicEquations.solve`; they come before the model's own.

    Raises:
        InputError: for missing parts of the state or unknown options. SolverError: when no time after the first is
            reached.
    """
    eqs = equations_of(model, derivation)
    if eqs.reading != "canonical":
        from qnnsym.neural.numerics import delay as numerics_delay

        return numerics_delay.solve_model(model, eqs, kernels, options)
    settings = {**model.options, **options}
    for derived in ("kinetic", "scheme"):  # what the derivation has taken care of
        settings.pop(derived, None)
    unknown = sorted(set(settings) - set(OPTIONS))
    if unknown:
        raise InputError(f"The option(s) {', '.join(unknown)} of {model.name} are not known; use {', '.join(OPTIONS)}.")
    state = initial_state(model)
    data = Data(eqs, model.values, model.inputs)
    numbers = dict(zip(eqs.hamiltonian.parameter_names, map(float, data.par), strict=False))
    provenance = {"model": model.name, "signature": kernels.signature, "parameters": numbers, "reading": model.reading}
    solution = solve(
        eqs, model.times, state["y"], state["costate"], state["weights"], state["momenta"], model.inputs,
        values=model.values, kernels=kernels, provenance=provenance, **settings,
    )  # fmt: skip
    if not solution.success and len(solution.times) < 2:
        raise SolverError(f"The run of {model.name} ended at its first time. {solution.status.value}")
    return solution


def initial_state(model: Any) -> dict[str, Any]:
    """The four parts of a model's state; costates and momenta are zero where they are not given."""
    state = model.state
    if not isinstance(state, Mapping) or "y" not in state or "weights" not in state:
        raise InputError(f"The state of {model.name} is {state!r}; give dict(y=, costate=, weights=, momenta=).")
    strange = sorted(set(state) - {"y", "costate", "weights", "momenta"})
    if strange:
        listed = ", ".join(strange)
        raise InputError(f"The state of {model.name} has {listed}; its parts are y, costate, weights, momenta.")
    zero = {"costate": np.zeros(np.shape(state["y"])), "momenta": np.zeros(np.shape(state["weights"]))}
    return {**zero, **state}


def equations_of(model: Any, derivation: Any = None) -> CharacteristicEquations:
    """The derived equations, or the same from the model."""
    if derivation is not None:
        return derivation.results["equations"]
    return model.hamiltonian.characteristic_equations(model.reading, model.options.get("kinetic", "plus"))

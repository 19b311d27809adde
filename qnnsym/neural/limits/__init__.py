"""What must hold for neural models: agreement with the written-out equations, invariants, and exact solutions."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from qnnsym.checks.check import Check, Context
from qnnsym.checks.invariants import symplectic_defect
from qnnsym.codegen.emit import mpmath_function, numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.equations.unroll import MAX_TERMS, array_entries
from qnnsym.neural import numerics
from qnnsym.neural.hamiltonian import INPUTS, SIZE, QuadraticCost
from qnnsym.neural.numerics import Data
from qnnsym.neural.steps import plain
from qnnsym.neural.written_out import hamilton_rates

RAMACHER = "U. Ramacher, Neural Networks 6 (1993) 547"
# Random states of the kernel checks; any seed will do, one seed makes a failure repeatable.
SEED = 7


def _data(context: Context) -> Data:
    return Data(numerics.equations_of(context.model, context.derivation), context.model.values, context.model.inputs)


def _steady(model: Any) -> str | None:
    if not model.hamiltonian.autonomous or callable(model.inputs):
        return "Inputs, targets or the cost depend on time, so H is not conserved and no closed form is known."
    return None


@dataclass(frozen=True)
class unrolled:
    """The compiled kernel equals SymPy's equations written out at N = 2 and 3, and the other emitters.

    Arguments:
        tolerance: relative agreement.
    """

    tolerance: float = 1e-13
    name: str = "indexed = unrolled"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        eqs = numerics.equations_of(context.model, context.derivation)
        rows = []
        sizes = ((2, 1), (3, 2))
        if eqs.equations.entries:  # they name single neurons of this network
            sizes = (eqs.sizes,) if eqs.dimension <= MAX_TERMS else ()
        for neurons, inputs in sizes:
            gap = self._gap(context, eqs, neurons, inputs)
            quantity = f"compiled rates against SymPy's Hamilton equations, N = {neurons}, l = {inputs}"
            rows.append(Check.below(self.name, quantity, gap, self.tolerance, RAMACHER, "relative to the largest rate"))
        rows += self._emitters(context, eqs)
        return rows

    def _gap(self, context: Context, eqs: Any, neurons: int, inputs: int) -> float:
        general, sizes = eqs.equations, {SIZE: neurons, INPUTS: inputs}
        masks = {"S": eqs.hamiltonian.network.mask, "G": eqs.hamiltonian.dynamical}
        rng = np.random.default_rng(SEED)
        buffers: dict[str, list[np.ndarray]] = {"state": [], "external": [], "parameter": []}
        point: dict[sp.Symbol, float] = {}
        scalars = rng.uniform(0.5, 1.5, len(general.scalars))
        point.update(zip(general.scalars, scalars, strict=True))
        for array in general.arrays:
            entries = [s for _, s in array_entries(array, sizes)]
            # Masks and choices are zeros and ones; on anything else the equations are not Hamilton's.
            binary = array.name in ("S", "G") or array.name.startswith("f")
            values = rng.integers(0, 2, len(entries)).astype(float) if binary else rng.normal(size=len(entries))
            if general.entries and masks.get(array.name) is not None:
                values = masks[array.name].ravel()  # a cost acts on the weights that move
            buffers[array.role].append(values)
            point.update(zip(entries, values, strict=True))
        state, ext, par = (np.concatenate([[], *buffers[r]]) for r in ("state", "external", "parameter"))
        out = np.empty(state.size)
        work = np.zeros(64 * (neurons + inputs + 1))
        par, dims = np.concatenate([scalars, par]), np.array([neurons, inputs], np.int64)
        t = 0.3
        point[eqs.hamiltonian.network.t] = t
        context.kernels["rhs"](t, state, ext, par, dims, work, out)
        written = hamilton_rates(eqs.hamiltonian, neurons, inputs, eqs.kinetic, own_cost=bool(general.entries))
        expected = np.array(sp.lambdify(list(point), [plain(r) for r in written], "numpy")(*point.values()), float)
        return float(np.max(np.abs(out - expected)) / np.max(np.abs(expected)))

    def _emitters(self, context: Context, eqs: Any) -> list[Check]:
        data = _data(context)
        rng = np.random.default_rng(SEED)
        state = rng.normal(size=eqs.dimension)
        direction = rng.normal(size=eqs.dimension)
        ext, dims = data.signals(0.3), tuple(data.dims)
        work, out, both = np.zeros(data.work_size), np.empty(state.size), np.empty(2 * state.size)
        context.kernels["rhs"](0.3, state, ext, data.par, data.dims, work, out)
        context.kernels["rhs_jvp"](0.3, np.concatenate([state, direction]), ext, data.par, data.dims, work, both)
        function = lower(eqs.equations)
        by_numpy = numpy_function(function)
        size = float(np.max(np.abs(out)))
        gaps = {"NumPy": float(np.max(np.abs(by_numpy(0.3, state, ext, data.par, dims) - out))) / size}
        if np.isfinite(data.par).all():
            exact = np.array(mpmath_function(function)(0.3, state, ext, data.par, dims), float)
            gaps["50-digit arithmetic"] = float(np.max(np.abs(exact - out))) / size
        tiny = 1e-30
        step = by_numpy(0.3, state + 1j * tiny * direction, ext, data.par, dims).imag / tiny
        scale = float(np.max(np.abs(step)))
        gaps["complex step (product with the Jacobian)"] = float(np.max(np.abs(step - both[state.size :]))) / scale
        source = "two emitters of one loop form; complex step: W. Squire, G. Trapp, SIAM Rev. 40 (1998) 110"
        return [
            Check.below("kernel", f"compiled kernel against {route}, the model's own size", gap, self.tolerance, source)
            for route, gap in gaps.items()
        ]


@dataclass(frozen=True)
class conserved:
    """H, evaluated from its definition, keeps its value along the solution to the integrator's accuracy.

    Arguments:
        factor: allowed drift in units of rtol times the span over the relaxation time, relative to the terms of H.
    """

    factor: float = 100.0
    name: str = "conservation of H"

    def applies(self, model: Any) -> str | None:
        return _steady(model)

    def run(self, context: Context) -> list[Check]:
        solution, data = context.solution, _data(context)
        values = solution.expect["H"]
        scale = max(1.0, float(np.max(np.abs(values))))
        rtol = float(context.model.options.get("rtol", 1e-10))
        span = abs(solution.times[-1] - solution.times[0])
        bound = self.factor * rtol * max(1.0, span)
        trace = {"kind": "expectation", "name": "conservation_of_H", "t": solution.times, "xlabel": "t"}
        trace |= {"ylabel": "H - H(0)", "caption": "Drift of H along the solution."}
        trace |= {"alt": "Drift of H against time, near rounding."}
        context.figures.append({**trace, "curves": {"H - H(0)": values - values[0]}})
        context.figures.append(_activity(solution, data.shape[0]))
        return [
            Check.below(
                self.name, "largest change of H relative to its size",
                float(np.max(np.abs(values - values[0]))) / scale, bound, "dH/dt = {H, H} = 0",
                f"rtol {rtol:g} over t = {span:g}",
            )
        ]  # fmt: skip


def _activity(solution: Any, neurons: int) -> dict[str, Any]:
    states = solution.states
    curves = {f"y_{k}": states[:, k] for k in range(neurons)}
    curves |= {f"Delta_{k}": states[:, neurons + k] for k in range(neurons)}
    return {
        "kind": "trace", "name": "activity", "t": solution.times, "curves": curves, "xlabel": "t (units of lambda)",
        "ylabel": "activity y, costate Delta", "caption": "Activities and costates of all neurons.",
        "alt": "Activities and costates against time.",
    }  # fmt: skip


@dataclass(frozen=True)
class symplectic:
    """The tangent flow keeps the symplectic form, measured with the product kernel along all directions.

    Arguments:
        rtol: tolerance of the tangent integration; the defect must fall with it.
        factor: allowed defect in units of rtol and of the square of the largest stretching.
    """

    rtol: float = 1e-11
    factor: float = 1e3
    name: str = "symplectic form"

    def applies(self, model: Any) -> str | None:
        if model.hamiltonian.dynamical is None or model.hamiltonian.moving.any():
            return None
        return "No weight moves."

    def run(self, context: Context) -> list[Check]:
        eqs, data = numerics.equations_of(context.model, context.derivation), _data(context)
        state, n = _start(context.model, data), eqs.dimension
        span = (0.0, min(2.0, abs(context.solution.times[-1] - context.solution.times[0])))
        neurons, moving = data.shape[0], np.flatnonzero(eqs.hamiltonian.moving.ravel())
        weights = neurons * data.shape[1]
        q = [*range(neurons), *(2 * neurons + moving)]
        p = [*range(neurons, 2 * neurons), *(2 * neurons + weights + moving)]
        order = np.array([*q, *p])
        columns = []
        for index in order:
            direction = np.zeros(n)
            direction[index] = 1.0
            both = numerics.integrate(
                eqs, np.concatenate([state, direction]), span, rtol=self.rtol, atol=self.rtol * 1e-2,
                inputs=context.model.inputs, values=context.model.values, kernels=context.kernels, tangent=True,
            )  # fmt: skip
            columns.append(both[n:][order])
        jacobian = np.array(columns).T
        stretch = max(1.0, float(np.max(np.abs(jacobian))) ** 2)
        found = symplectic_defect(jacobian) / stretch
        volume = abs(np.linalg.slogdet(jacobian)[1])
        source = "Hamiltonian flows are symplectic (H. Poincare); Liouville's theorem"
        detail = f"{len(order)} tangent vectors to t = {span[1]:g}, largest entry of the Jacobian {stretch**0.5:.3g}"
        bound = self.factor * self.rtol
        return [
            Check.below(self.name, "largest entry of J^T Omega J - Omega over |J|^2", found, bound, source, detail),
            Check.below(self.name, "logarithm of the volume's change", float(volume), 10 * bound, source, detail),
        ]


def _start(model: Any, data: Data) -> np.ndarray:
    state = numerics.initial_state(model)
    return data.pack(state["y"], state["costate"], state["weights"], state["momenta"])


def _fixed_weights(model: Any) -> Any:
    """The model's Hamiltonian with all its numbers and an infinite inertia."""
    h = model.hamiltonian.changed()
    for key, value in model.values.items():
        h.set_value(str(key), value)
    return h.changed(inertia=float("inf"))


def _quadratic(model: Any) -> str | None:
    if not isinstance(model.hamiltonian.cost, QuadraticCost):
        return "The closed form is for the quadratic cost."
    return _steady(model)


@dataclass(frozen=True)
class linear_activation:
    """With fixed weights and linear activation the solution is a matrix exponential.

    Arguments:
        tolerance: largest error relative to the solution.
    """

    tolerance: float = 1e-8
    name: str = "linear activation"

    def applies(self, model: Any) -> str | None:
        return _quadratic(model)

    def run(self, context: Context) -> list[Check]:
        h = _fixed_weights(context.model)
        eqs = h.changed(network=h.network.with_activation("linear")).characteristic_equations(context.model.reading)
        data = Data(eqs, None, context.model.inputs)
        state = numerics.initial_state(context.model)
        flat = data.pack(state["y"], state["costate"], state["weights"], np.zeros(data.shape))
        t = min(2.0, abs(context.solution.times[-1] - context.solution.times[0]))
        found = numerics.integrate(eqs, flat, (0.0, t), inputs=context.model.inputs)
        n = data.shape[0]
        exact = linear_solution(eqs, data, state, t)
        gap = float(np.max(np.abs(found[: 2 * n] - exact)) / np.max(np.abs(exact)))
        return [
            Check.below(
                self.name, "y and Delta against the matrix exponential, fixed weights", gap, self.tolerance,
                "variation of constants for an affine system", f"t = {t:g}, inertia infinite",
            )
        ]  # fmt: skip


def linear_solution(eqs: Any, data: Data, state: Any, t: float) -> np.ndarray:
    """(y, Delta) at time t from the exponential of the affine system's matrix."""
    h, n = eqs.hamiltonian, data.shape[0]
    lam = h.values[h.relaxation]
    net = h.network
    weights = np.asarray(state["weights"], float) * (1 if net.mask is None else net.mask)
    recurrent = weights[:, net.inputs + 1 :]
    signals = data.signals(0.0)
    drive = weights[:, : net.inputs] @ signals[: net.inputs] + weights[:, net.inputs]
    target = signals[net.inputs :]
    a = (recurrent - np.eye(n)) / lam
    c = np.diag(h.weight)
    matrix = np.zeros((2 * n + 1, 2 * n + 1))
    matrix[:n, :n], matrix[:n, -1] = a, drive / lam
    matrix[n : 2 * n, n : 2 * n], matrix[n : 2 * n, :n], matrix[n : 2 * n, -1] = -a.T, -c, c @ target
    start = np.concatenate([state["y"], state["costate"], [1.0]])
    return (expm(matrix * t) @ start)[: 2 * n]


@dataclass(frozen=True)
class zero_weights:
    """With all weights zero and fixed, each neuron relaxes to f(0), and its costate has a closed form.

    Arguments:
        tolerance: largest error relative to the solution.
    """

    tolerance: float = 1e-8
    name: str = "zero weights"

    def applies(self, model: Any) -> str | None:
        return _quadratic(model)

    def run(self, context: Context) -> list[Check]:
        h = _fixed_weights(context.model)
        eqs = h.characteristic_equations(context.model.reading)
        data = Data(eqs, None, context.model.inputs)
        state = numerics.initial_state(context.model)
        y0, costate0 = (np.asarray(state[k], float) for k in ("y", "costate"))
        flat = data.pack(y0, costate0, np.zeros(data.shape), np.zeros(data.shape))
        lam = h.values[h.relaxation]
        t = 2.0 * lam
        kernels = context.kernels if _same(eqs, context) else None
        found = numerics.integrate(eqs, flat, (0.0, t), inputs=context.model.inputs, kernels=kernels)
        numbers = dict(zip(h.scalars, data.par, strict=False))
        rest = numerics.activation_values(h, np.zeros(len(y0)), numbers)
        target = data.signals(0.0)[h.network.inputs :]
        decay, grow = np.exp(-t / lam), np.exp(t / lam)
        y = rest + (y0 - rest) * decay
        # Delta' = Delta/lambda - c(y - d) with y = rest + (y0 - rest) e^{-t/lambda}.
        forced = h.weight * lam * ((rest - target) * (1 - grow) + (y0 - rest) * (decay - grow) / 2)
        costate = costate0 * grow + forced
        n = len(y0)
        exact = np.concatenate([y, costate])
        gap = float(np.max(np.abs(found[: 2 * n] - exact)) / np.max(np.abs(exact)))
        return [
            Check.below(
                self.name, "y and Delta against the closed form", gap, self.tolerance,
                "y = f(0) + (y0 - f(0)) exp(-t/lambda)", f"t = {t:g}, inertia infinite",
            )
        ]  # fmt: skip


def _same(eqs: Any, context: Context) -> bool:
    return eqs.equations == numerics.equations_of(context.model, context.derivation).equations


@dataclass(frozen=True)
class costate_gradient:
    """Costates that end at zero begin as the gradient of the cost's integral in the initial activity.

    Arguments:
        tolerance: largest error relative to the gradient.
    """

    tolerance: float = 1e-7
    name: str = "costate = gradient"

    def applies(self, model: Any) -> str | None:
        return _quadratic(model)

    def run(self, context: Context) -> list[Check]:
        h = _fixed_weights(context.model)
        eqs = h.characteristic_equations(context.model.reading)
        data, state = Data(eqs, None, context.model.inputs), numerics.initial_state(context.model)
        kernels = context.kernels if _same(eqs, context) else None
        y0 = np.asarray(state["y"], float)
        n, t = y0.size, 2.0 * h.values[h.relaxation]
        zero = np.zeros(data.shape)
        arguments = {"inputs": context.model.inputs, "kernels": kernels, "rtol": 1e-12, "atol": 1e-14}
        forward = numerics.integrate(eqs, data.pack(y0, np.zeros(n), state["weights"], zero), (0.0, t), **arguments)
        ended = data.pack(forward[:n], np.zeros(n), state["weights"], zero)
        found = numerics.integrate(eqs, ended, (t, 0.0), **arguments)[n : 2 * n]
        expected = self._gradient(h, data, y0, np.asarray(state["weights"], float), t)
        gap = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
        return [
            Check.below(
                self.name, "Delta(0) with Delta(T) = 0 against the complex-step gradient of int E dt", gap,
                self.tolerance, "adjoint equation; complex step: W. Squire, G. Trapp, SIAM Rev. 40 (1998) 110",
                f"T = {t:g}, fixed weights; the gradient by SciPy's integrator on the network itself",
            )
        ]  # fmt: skip

    @staticmethod
    def _gradient(h: Any, data: Data, y0: np.ndarray, weights: np.ndarray, t: float) -> np.ndarray:
        """d/dy0 of the integral of E along y' = F, by complex steps; no derived equation enters."""
        net, numbers = h.network, dict(zip(h.scalars, data.par, strict=False))
        lam = numbers[h.relaxation]
        masked = weights * (1 if net.mask is None else net.mask)
        signals = data.signals(0.0)
        x, target = signals[: net.inputs], signals[net.inputs :]

        def motion(_: float, state: np.ndarray) -> np.ndarray:
            y = state[:-1]
            u = masked @ np.concatenate([x, [1.0], y])
            cost = h.weight @ (y - target) ** 2 / 2
            return np.concatenate([(-y + numerics.activation_values(h, u, numbers)) / lam, [cost]])

        gradient = np.empty(y0.size)
        for k in range(y0.size):
            start = np.concatenate([y0, [0.0]]).astype(complex)
            start[k] += 1e-30j
            run = solve_ivp(motion, (0.0, t), start, method="DOP853", rtol=1e-11, atol=1e-13)
            gradient[k] = run.y[-1, -1].imag / 1e-30
        return gradient


# Checks that have modules of their own, by name.
ELSEWHERE = {
    **dict.fromkeys(("stacked",), "readings"),
    **dict.fromkeys(
        ("method_of_steps", "telescoping", "jumps", "fixed_weights", "short_delay", "steps_order"), "delay"
    ),
    **dict.fromkeys(("not_stationary", "not_symplectic", "energy_change"), "causal"),
    **dict.fromkeys(
        ("stationary", "boundary", "stack_energy", "sign_of_learning", "weights_at_rest"), "variational"
    ),
    **dict.fromkeys(
        ("gradient_identity", "backpropagation", "learns", "divergence", "lost_constants"), "learning"
    ),
    **dict.fromkeys(("moyal_statements", "moyal_transport"), "moyal"),
    **dict.fromkeys(("onset", "correction_growth"), "chaos"),
}


def __getattr__(name: str) -> Any:
    if name in ELSEWHERE:
        return getattr(import_module(f"{__name__}.{ELSEWHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

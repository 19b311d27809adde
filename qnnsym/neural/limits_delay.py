"""What must hold for delayed readings: the method of steps in 30 digits, telescoping sums, jumps, limits of the delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.codegen.emit import mpmath_function, numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.neural import numerics, taylor
from qnnsym.neural.hamiltonian import QuadraticCost
from qnnsym.neural.network import ACTIVATIONS
from qnnsym.neural.numerics_delay import DelayedData, delay_problem, hamiltonian_values, model_state
from qnnsym.neural.shift_steps import StackedEpochs
from qnnsym.neural.steps import plain

STEPS = "R. Bellman, K. Cooke, Differential-Difference Equations (1963): method of steps"
PATRASCU = "A. T. Patrascu, arXiv:2209.07577: W(nT + tau) = W((n-1)T + tau) + DeltaW"
SEED = 7
TIGHT = {"rtol": 1e-13, "atol": 1e-15}


class Delayed:
    """A model of a delayed reading with its data, solved again where a check needs other times.

    Arguments:
        context: of the run.
        changes: {"delay": ..., "inertia": ...} put into the Hamiltonian.
    """

    def __init__(self, context: Context, **changes: Any) -> None:
        model = context.model
        self.model, self.state = model, model_state(model)
        self.eqs = numerics.equations_of(model, context.derivation)
        self.kernels = context.kernels
        if changes:
            h = model.hamiltonian.changed()
            for key, value in model.values.items():
                h.set_value(str(key), value)
            self.eqs = h.changed(**changes).characteristic_equations(model.reading, model.options.get("kinetic", "plus"))
            self.data = DelayedData(self.eqs, None, model.inputs)
        else:
            self.data = DelayedData(self.eqs, model.values, model.inputs)
        self.delay, self.omega = self.data.delay, self.data.numbers[self.eqs.hamiltonian.inertia]
        self.n, self.size = self.data.shape[0], self.data.shape[0] * self.data.shape[1]

    def problem(self, times: Any, **options: Any):
        """The delay problem with other times."""
        s = self.state
        return delay_problem(
            self.data, times, s["y"], s["costate"], s["weights"], s["momenta"], kernels=self.kernels, **options
        )

    def states(self, times: Any) -> np.ndarray:
        """States at times >= 0, in any order, at the tightest tolerance."""
        inside, back = np.unique(np.concatenate([[0.0], np.ravel(times)]), return_inverse=True)
        solution = self.problem(inside).solve(**TIGHT)
        assert solution.success and solution.states is not None
        return solution.states[back[1:]].reshape(*np.shape(times), -1)

    def weights(self, states: np.ndarray) -> np.ndarray:
        """W, flat, of states (..., n)."""
        return states[..., 2 * self.n : 2 * self.n + self.size]

    def momenta(self, states: np.ndarray) -> np.ndarray:
        """M, flat, of states (..., n)."""
        return states[..., 2 * self.n + self.size :]

    def epochs(self, number: int, tau: np.ndarray) -> np.ndarray:
        """(number + 1, m, n): states at n T + tau, the history first (its y and costate are zero)."""
        table = self.data.histories(self.state["weights"], self.state["momenta"])
        past = np.array([np.concatenate([np.zeros(2 * self.n), table(t - self.delay)]) for t in tau])
        return np.concatenate([past[None], self.states(self.delay * np.arange(number)[:, None] + tau)])

    def energies(self, stacked: np.ndarray, tau: np.ndarray, epoch: int) -> np.ndarray:
        """H by its definition in an epoch of `epochs`."""
        shape = (-1, *self.data.shape)
        delayed = self.weights(stacked[epoch]).reshape(shape)
        past = [self.momenta(stacked[epoch + 1 - v]).reshape(shape) for v in range(1, epoch + 2)]
        return hamiltonian_values(self.data, tau + epoch * self.delay, stacked[epoch + 1], delayed, past)


def causal_only(model: Any) -> str | None:
    """Why a statement about the causal reading does not concern a model."""
    return None if model.reading == "causal" else "The statement is about the causal reading."


def _autonomous(model: Any) -> str | None:
    if not model.hamiltonian.autonomous or callable(model.inputs):
        return "Inputs, targets or the cost depend on time."
    return causal_only(model)


def _whole_epochs(run: Delayed, most: int) -> int:
    """Epochs within the model's times, at most so many."""
    times = run.model.times
    stop = float(times[1]) if isinstance(times, tuple) else float(np.max(times))
    return max(1, min(most, int(stop / run.delay + 1e-9)))


@dataclass(frozen=True)
class stacked:
    """The compiled kernel equals SymPy's derivatives of the epochs written out, and the other emitters.

    Arguments:
        tolerance: relative agreement.
    """

    tolerance: float = 1e-13
    name: str = "indexed = stacked epochs"

    def applies(self, model: Any) -> str | None:
        return "The reading has no shifts." if model.reading == "canonical" else None

    def run(self, context: Context) -> list[Check]:
        eqs = numerics.equations_of(context.model, context.derivation)
        rows = [] if eqs.equations.entries else [self._epochs(context, eqs)]
        return rows + self._emitters(context, eqs)

    def _epochs(self, context: Context, eqs: Any) -> Check:
        stack, middle = StackedEpochs(eqs, 2, 1, 3), 1
        rng, masks = np.random.default_rng(SEED), {}
        point: dict[sp.Symbol, float] = {s: rng.uniform(0.5, 1.5) for s in eqs.equations.scalars}

        def value(s: sp.Symbol) -> float:
            return point.setdefault(s, float(rng.normal()))

        state = [value(s) for s in stack.state(middle)]
        before, after = stack.state(middle - 1), stack.state(middle + 1)
        others = {
            "x": [value(stack.at("x", (0,), middle))], "d": [value(stack.at("d", (k,), middle)) for k in range(2)],
            "Wd": [value(s) for s in before[4:12]], "ya": [value(s) for s in after[:2]],
            "Da": [value(s) for s in after[2:4]], "xa": [value(stack.at("x", (0,), middle + 1))],
            "Mp": [value(a) + value(stack.at("M", at, -1)) for a, at in zip(before[12:], stack.places, strict=True)],
        }  # fmt: skip
        ext, par = [], [point[s] for s in eqs.hamiltonian.scalars]
        par += [3.0 - middle] if eqs.reading == "variational" else []
        for array in eqs.equations.arrays:
            size = 2 if len(array.axes) == 1 else 8
            if array.role == "external":
                ext += others[array.name]
            elif array.role == "parameter":
                binary = array.name != "c"
                masks[array.name] = rng.integers(0, 2, size) if binary else rng.uniform(0.5, 1.5, size)
                places = [(k,) for k in range(2)] if size == 2 else stack.places
                names = zip(places, masks[array.name], strict=True)
                point |= {sp.Symbol(f"{array.name}_{'_'.join(map(str, at))}", real=True): float(v) for at, v in names}
                par += masks[array.name].tolist()
        out = np.empty(20)
        arrays = [np.array(a, float) for a in (state, ext, par)]
        context.kernels["rhs"](0.3, *arrays, np.array([2, 1], np.int64), np.zeros(600), out)
        expected = [stack.expected(name, at, middle) for name, at in stack.names]
        for s in {s for e in expected for s in e.free_symbols} - set(point):
            value(s)
        numbers = np.array(sp.lambdify(list(point), [plain(e) for e in expected], "numpy")(*point.values()), float)
        gap = float(np.max(np.abs(out - numbers)) / np.max(np.abs(numbers)))
        quantity = "compiled rates of the middle of three epochs against SymPy, N = 2, l = 1"
        return Check.below(self.name, quantity, gap, self.tolerance, PATRASCU, "relative to the largest rate")

    def _emitters(self, context: Context, eqs: Any) -> list[Check]:
        data, rng = DelayedData(eqs, context.model.values, context.model.inputs), np.random.default_rng(SEED)
        function, dims = lower(eqs.equations), tuple(data.dims)
        sizes = dict(zip(function.sizes, map(int, dims), strict=True))
        state, ext = rng.normal(size=eqs.dimension), rng.normal(size=int(function.external_size.subs(sizes)))
        out, par = np.empty(eqs.dimension), data.parameters(2.0)
        context.kernels["rhs"](0.3, state, ext, par, data.dims, np.zeros(data.work_size), out)
        size = float(np.max(np.abs(out)))
        gaps = {"NumPy": float(np.max(np.abs(numpy_function(function)(0.3, state, ext, par, dims) - out))) / size}
        if np.isfinite(par).all():
            exact = np.array(mpmath_function(function)(0.3, state, ext, par, dims), float)
            gaps["50-digit arithmetic"] = float(np.max(np.abs(exact - out))) / size
        tangent = lower(eqs.neighbours)
        width, outside = (int(s.subs(sizes)) for s in (tangent.state_size, tangent.external_size))
        both, direction, ext = rng.normal(size=width), rng.normal(size=width), rng.normal(size=outside)
        product = np.empty(2 * eqs.dimension)
        context.kernels["rhs_jvp"](
            0.3, np.concatenate([both, direction]), ext, par, data.dims, np.zeros(data.work_size), product
        )
        step = numpy_function(tangent)(0.3, both + 1e-30j * direction, ext, par, dims).imag / 1e-30
        scale = float(np.max(np.abs(step)))
        gaps["complex step (product with the Jacobian)"] = (
            float(np.max(np.abs(step - product[eqs.dimension :]))) / scale
        )
        source = "two emitters of one loop form; complex step: W. Squire, G. Trapp, SIAM Rev. 40 (1998) 110"
        return [
            Check.below("kernel", f"compiled kernel against {route}, the model's own size", gap, self.tolerance, source)
            for route, gap in gaps.items()
        ]


@dataclass(frozen=True)
class method_of_steps:
    """The solution agrees with Taylor series in 34 digits, every past momentum in the sum.

    Arguments:
        epochs: at most so many are compared.
        tolerance: largest error, relative to 1 + |solution|, at rtol 1e-13.
    """

    epochs: int = 6
    tolerance: float = 1e-12
    name: str = "method of steps"

    def applies(self, model: Any) -> str | None:
        if model.reading not in ("causal", "frozen"):
            return "The reading is no initial-value problem."
        h = model.hamiltonian
        simple = len(h.network.activations) == 1 and h.network.activations[0] in [ACTIVATIONS[f] for f in taylor.SLOPES]
        if not simple or not isinstance(h.cost, QuadraticCost) or not h.autonomous or callable(model.inputs):
            return f"Taylor series are written for {', '.join(taylor.SLOPES)}, a quadratic cost and constant signals."
        size = h.network.neurons * h.network.columns
        return f"With {size} weights the series would take minutes." if size > 16 else None

    def run(self, context: Context) -> list[Check]:
        run = Delayed(context)
        h, epochs = run.eqs.hamiltonian, _whole_epochs(run, self.epochs)
        mask = np.ones(run.data.shape) if h.network.mask is None else h.network.mask
        signals = run.data.signals(0.0)
        network = {
            "activation": next(f for f in taylor.SLOPES if ACTIVATIONS[f] == h.network.activations[0]),
            "relaxation": run.data.numbers[h.relaxation], "inertia": run.omega, "delay": run.delay,
            "weight": h.weight.tolist(), "target": signals[h.network.inputs :].tolist(),
            "decay": run.data.numbers[h.decay], "inputs": signals[: h.network.inputs].tolist(),
            "mask": mask.astype(int).tolist(), "moving": h.moving.astype(int).tolist(), "sign": run.eqs.kinetic,
        }  # fmt: skip
        table = run.data.histories(run.state["weights"], run.state["momenta"])
        histories = [taylor.polynomial_history(table.pieces, table.breaks, run.data.shape, c) for c in (0, run.size)]
        exact = taylor.method_of_steps(
            network, (histories[0], histories[1]), run.state["y"], run.state["costate"], epochs,
            reading=run.eqs.reading,
        )  # fmt: skip
        times = np.array([float(e["t"]) for e in exact])
        parts = ("y", "costate", "weights", "momenta")
        values = np.array([np.concatenate([np.array(e[p], float).ravel() for p in parts]) for e in exact])
        gaps = np.abs(run.states(times) - values) / (1 + np.abs(values))
        detail = f"{len(times)} times in {epochs} epochs, rtol 1e-13; series of order 30 in 34 digits"
        return [
            Check.below(
                self.name, "states against the method of steps in 34 digits", float(gaps.max()), self.tolerance, STEPS,
                detail,
            )
        ]  # fmt: skip


@dataclass(frozen=True)
class telescoping:
    """d(DeltaW)/dt = M/omega: what DeltaW = W(t) - W(t - T) gains in an epoch is the integral of M over omega.

    Arguments:
        tolerance: relative to the largest gain.
    """

    tolerance: float = 1e-11
    name: str = "telescoping identity"

    def applies(self, model: Any) -> str | None:
        return causal_only(model)

    def run(self, context: Context) -> list[Check]:
        run = Delayed(context)
        epochs = max(2, _whole_epochs(run, 6))
        x, weights = np.polynomial.legendre.leggauss(20)
        nodes = run.delay * (x + 1) / 2
        stacked_states = run.states(run.delay * np.arange(epochs)[:, None] + nodes)
        ends = run.weights(run.states(run.delay * np.arange(epochs + 1)))
        gains = ends[2:] - 2 * ends[1:-1] + ends[:-2]
        integral = np.einsum("q,eqi->ei", weights, run.momenta(stacked_states))[1:]
        moved = run.eqs.kinetic * run.delay / 2 * integral / run.omega * run.eqs.hamiltonian.moving.ravel()
        gap = float(np.max(np.abs(gains - moved)) / np.max(np.abs(gains)))
        return [
            Check.below(
                self.name, "gain of W(t) - W(t - T) in an epoch against the integral of M/omega", gap, self.tolerance,
                PATRASCU, f"{epochs - 1} epochs, 20 Gauss points each",
            )
        ]  # fmt: skip


@dataclass(frozen=True)
class jumps:
    """At t = nT the derivative of W jumps by M(-T)/omega, and H by |M(-T)|^2/(2 omega).

    Arguments:
        tolerance: relative; derivatives come from one-sided differences of order 8.
    """

    tolerance: float = 1e-6
    name: str = "jumps at t = nT"

    def applies(self, model: Any) -> str | None:
        return causal_only(model)

    def run(self, context: Context) -> list[Check]:
        run = Delayed(context)
        table = run.data.histories(run.state["weights"], run.state["momenta"])
        moving, sign = run.eqs.hamiltonian.moving.ravel(), run.eqs.kinetic
        far = table(-run.delay)[run.size :] * moving
        h, steps = 0.01 * run.delay, np.arange(9)
        # Weights of the one-sided first derivative on 0, h, ..., 8h.
        moments = np.vander(steps, increasing=True).T.astype(float)
        slope = np.linalg.solve(moments, np.eye(9)[1]) / h
        worst, times, w = 0.0, [], []
        for n in (1, 2, 3):
            after = run.weights(run.states(n * run.delay + h * steps))
            before = run.weights(run.states(n * run.delay - h * steps[::-1]))
            jump = slope @ after + slope @ before[::-1]
            worst = max(worst, float(np.max(np.abs(jump - sign * far / run.omega))))
        scale = float(np.max(np.abs(far))) / run.omega or 1.0
        tau = np.array([0.0, run.delay])
        states = run.epochs(4, tau)
        rise = [
            float(run.energies(states, tau, n)[0] - run.energies(states, tau, n - 1)[1]) for n in (1, 2, 3)
        ]
        expected = sign * float(np.sum(far**2)) / (2 * run.omega)
        gap = max(abs(r - expected) for r in rise) / (abs(expected) or 1.0)
        for n in range(4):
            inner = np.linspace(0.0, run.delay, 41)
            stacked_states = run.epochs(n + 1, inner)
            times.append(n * run.delay + inner)
            w.append(run.energies(stacked_states, inner, n))
        context.figures.append({
            "kind": "expectation", "name": "energy_with_jumps", "t": np.concatenate(times),
            "curves": {"H": np.concatenate(w)}, "xlabel": "t", "ylabel": "H",
            "caption": "H along the causal solution: it changes within epochs, and jumps where one begins.",
            "alt": "H against time, with jumps at multiples of the delay.",
        })  # fmt: skip
        return [
            Check.below(
                self.name, "jump of W' against M(-T)/omega", worst / scale, self.tolerance, PATRASCU,
                "n = 1, 2, 3; one-sided differences",
            ),
            Check.below(
                self.name, "jump of H against |M(-T)|^2/(2 omega)", gap, self.tolerance, "one more term in the sum",
                f"jumps {', '.join(f'{r:.6g}' for r in rise)}, expected {expected:.6g}",
            ),
        ]  # fmt: skip


@dataclass(frozen=True)
class fixed_weights:
    """With infinite inertia and a constant history the delay has no effect: the solution is the canonical one.

    Arguments:
        tolerance: largest difference relative to the solution.
    """

    tolerance: float = 1e-9
    name: str = "constant weights"

    def applies(self, model: Any) -> str | None:
        return causal_only(model)

    def run(self, context: Context) -> list[Check]:
        run = Delayed(context, inertia=float("inf"))
        table = run.data.histories(run.state["weights"], run.state["momenta"])
        now = table(0.0).reshape(2, *run.data.shape)
        run.state = {**run.state, "weights": now[0], "momenta": now[1]}
        t = 3.5 * run.delay
        found = run.states(np.array([t]))[0]
        canonical = run.eqs.hamiltonian.characteristic_equations()
        start = run.data.pack(run.state["y"], run.state["costate"], *now)
        expected = numerics.integrate(canonical, start, (0.0, t), rtol=1e-12, atol=1e-14, inputs=run.model.inputs)
        gap = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
        return [
            Check.below(
                self.name, "causal against canonical solution, inertia infinite", gap, self.tolerance,
                "W(t - T) = W(t) where nothing moves W", f"t = 3.5 T = {t:g}",
            )
        ]  # fmt: skip


@dataclass(frozen=True)
class short_delay:
    """For T -> 0 with omega T = w fixed the sum over past momenta is an integral: w W'' = M, reached with order 1.

    Arguments:
        time: where the solutions are compared.  number: of delays, each half the one before.
    """

    time: float = 1.0
    number: int = 5
    name: str = "short delay"

    def applies(self, model: Any) -> str | None:
        return _autonomous(model)

    def run(self, context: Context) -> list[Check]:
        delays = self.time / 16 / 2.0 ** np.arange(self.number)
        first = Delayed(context)
        product = first.omega * first.delay
        table = first.data.histories(first.state["weights"], first.state["momenta"])
        now = table(0.0).reshape(2, *first.data.shape)
        limit = self._limit(first, now, product)
        errors = []
        for delay in delays:
            run = Delayed(context, delay=float(delay), inertia=product / float(delay))
            run.state = {**run.state, "weights": now[0], "momenta": now[1]}
            found = run.problem((0.0, self.time, 2)).solve(rtol=1e-10).final
            errors.append(float(np.max(np.abs(found - limit)) / np.max(np.abs(limit))))
        context.figures.append({
            "kind": "order", "name": "short_delay", "h": delays, "errors": {"distance from the limit": errors},
            "slopes": {"distance from the limit": 1.0}, "xlabel": "T", "ylabel": "relative distance",
            "caption": "Causal solutions approach those of w W'' = M as the delay shrinks with omega T = w fixed.",
            "alt": "Distance from the limit against the delay, of slope one.",
        })  # fmt: skip
        source = "[W'(t) - W'(t - T)]/T = M/(omega T) -> W'' = M/w"
        return [order_check(self.name, "order in T of the distance from w W'' = M", delays, errors, 1.0, source)]

    def _limit(self, run: Delayed, now: np.ndarray, product: float) -> np.ndarray:
        """y, Delta, W, M of the limit, W' apart, by SciPy."""
        canonical = run.eqs.hamiltonian.characteristic_equations()
        data, size = numerics.Data(canonical, run.model.values, run.model.inputs), run.size
        function = numpy_function(lower(canonical.equations))
        ext, dims, moving = data.signals(0.0), tuple(data.dims), canonical.hamiltonian.moving.ravel()
        sign, n = run.eqs.kinetic, run.n

        def motion(t: float, flat: np.ndarray) -> np.ndarray:
            rates = function(t, flat[:-size], ext, data.par, dims)
            rates[2 * n : 2 * n + size] = flat[-size:]
            return np.concatenate([rates, sign * moving * flat[2 * n + size : -size] / product])

        start = data.pack(run.state["y"], run.state["costate"], *now)
        flat = np.concatenate([start, np.zeros(size)])
        return solve_ivp(motion, (0.0, self.time), flat, method="DOP853", rtol=1e-11, atol=1e-13).y[:-size, -1]


@dataclass(frozen=True)
class steps_order:
    """With steps of one length the error of the delay solver falls with order 8, its dense output being of order 7.

    Arguments:
        epochs: length of the integration.
    """

    epochs: int = 3
    name: str = "order of the delay solver"

    def applies(self, model: Any) -> str | None:
        return None if model.reading in ("causal", "frozen") else "The reading is no initial-value problem."

    def run(self, context: Context) -> list[Check]:
        run = Delayed(context)
        stop = self.epochs * run.delay
        exact = run.states(np.array([stop]))[0]
        shares, errors = np.array([2, 3, 4, 5, 6, 8]), []
        for parts in shares:
            # No step is ever refused at this tolerance: breakpoints alone decide the steps.
            inner = run.delay * np.arange(1, self.epochs * parts) / parts
            found = run.problem((0.0, stop, 2), breakpoints=tuple(inner)).solve(rtol=1e6, atol=1e6, step=run.delay).final
            errors.append(float(np.max(np.abs(found - exact) / (1 + np.abs(exact)))))
        h = run.delay / shares
        context.figures.append({
            "kind": "order", "name": "order_of_the_delay_solver", "h": h, "errors": {"error": errors},
            "slopes": {"error": 8.0}, "xlabel": "step", "ylabel": "relative error",
            "caption": f"Error after {self.epochs} epochs with steps of one length.",
            "alt": "Error of the delay solver against the step, of slope eight.",
        })  # fmt: skip
        source = "E. Hairer, S. P. Norsett, G. Wanner (1993), II.17: order p with an interpolant of order p - 1"
        return [
            order_check(self.name, "order of the error", h, errors, 8.0, source, tolerance=0.5, floor=1e-14)
        ]  # fmt: skip


def nonzero(name: str, quantity: str, found: float, least: float, source: str, detail: str = "") -> Check:
    """A number that has to be different from zero."""
    verdict = PASS if abs(found) > least else FAIL
    return Check(name, quantity, "not 0", float(found), least, verdict, source, detail)


"""What the checks of all readings share: solving again at other times, the kernel against epochs written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.codegen.emit import mpmath_function, numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.neural import numerics
from qnnsym.neural.numerics.delay import DelayedData, delay_problem, hamiltonian_values, model_state
from qnnsym.neural.shift_steps import StackedEpochs
from qnnsym.neural.steps import plain

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
            sign = model.options.get("kinetic", "plus")
            self.eqs = h.changed(**changes).characteristic_equations(model.reading, sign)
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


def autonomous_causal(model: Any) -> str | None:
    if not model.hamiltonian.autonomous or callable(model.inputs):
        return "Inputs, targets or the cost depend on time."
    return causal_only(model)


def whole_epochs(run: Delayed, most: int) -> int:
    """Epochs within the model's times, at most so many."""
    times = run.model.times
    stop = float(times[1]) if isinstance(times, tuple) else float(np.max(times))
    return max(1, min(most, int(stop / run.delay + 1e-9)))


def nonzero(name: str, quantity: str, found: float, least: float, source: str, detail: str = "") -> Check:
    """A number that has to be different from zero."""
    verdict = PASS if abs(found) > least else FAIL
    return Check(name, quantity, "not 0", float(found), least, verdict, source, detail)


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

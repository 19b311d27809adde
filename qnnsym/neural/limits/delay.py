"""What must hold for delayed readings: method of steps in 30 digits, telescoping sums, jumps, limits of the delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from qnnsym.checks.check import Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.neural import numerics, taylor
from qnnsym.neural.hamiltonian import QuadraticCost
from qnnsym.neural.limits.readings import PATRASCU, Delayed, autonomous_causal, causal_only, whole_epochs
from qnnsym.neural.network import ACTIVATIONS

STEPS = "R. Bellman, K. Cooke, Differential-Difference Equations (1963): method of steps"


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
        h, epochs = run.eqs.hamiltonian, whole_epochs(run, self.epochs)
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
        epochs = max(2, whole_epochs(run, 6))
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
        return autonomous_causal(model)

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
        ends = run.delay * np.arange(self.epochs + 1)
        exact = run.states(ends)
        shares, errors = np.array([3, 4, 5, 6]), []
        for parts in shares:
            # No step is ever refused at this tolerance: breakpoints alone decide the steps.
            inner = run.delay * np.arange(1, self.epochs * parts) / parts
            found = run.problem(ends, breakpoints=tuple(inner)).solve(rtol=1e6, atol=1e6, step=run.delay).states
            errors.append(float(np.linalg.norm((found - exact) / (1 + np.abs(exact)))))
        h = run.delay / shares
        context.figures.append({
            "kind": "order", "name": "order_of_the_delay_solver", "h": h, "errors": {"error": errors},
            "slopes": {"error": 8.0}, "xlabel": "step", "ylabel": "relative error",
            "caption": f"Error after {self.epochs} epochs with steps of one length.",
            "alt": "Error of the delay solver against the step, of slope eight.",
        })  # fmt: skip
        source = "E. Hairer, S. P. Norsett, G. Wanner (1993), II.17: order p with an interpolant of order p - 1"
        # The error's sign of one component or another wanders, so that single slopes scatter: one line through all.
        slope = float(np.polyfit(np.log(h), np.log(errors), 1)[0])
        listed = ", ".join(f"{a:.3g}: {b:.2e}" for a, b in zip(h, errors, strict=True))
        return [Check.close(self.name, "order of the error", 8.0, slope, 0.5, source, f"step: error {listed}")]

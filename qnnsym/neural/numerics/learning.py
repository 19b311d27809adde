"""Training by the epoch scheme: epochs one after the other, watched for divergence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from qnnsym.errors import InputError, SolverError
from qnnsym.neural.learning import STARTS, WEIGHTS
from qnnsym.neural.numerics.learner import Epoch, Learner
from qnnsym.neural.numerics.lessons import activities, integer, positive, setting
from qnnsym.neural.numerics.training import Training
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.solution import finite_array

# Damping of the relaxation to rest, most iterations with it: the gentler ones where the first goes astray.
BACKENDS = ("auto", "compiled", "batched")
RELAX = ((0.5, 2_000), (0.1, 20_000), (0.02, 100_000))
AT_REST = 1e-13
LARGEST_STEPS = 1 << 16
# Rises of the cost below this are rounding; growth beyond that is divergence.
RISE, GROWTH = 1e-9, 1e3
# So many epochs have to pass before a bounded cost above the first one is called divergence.
LEAST_EPOCHS = 10
# Share of the last Legendre modes above which dynamical weights are not resolved.
UNRESOLVED = 1e-6



OPTIONS = ("dynamical", "rtol", "steps", "modes", "resume", "progress", "values", "backend", "method")
# Steps of all epochs together that a training may take without the user naming their number.
MOST_STEPS = 200_000_000


def train(
    net, data, epochs, start, weights, weights0, y0, relaxation, inertia, duration, cost, *, dynamical=None, rtol=1e-9,
    steps=None, modes=32, resume=None, progress=None, values=None, backend="auto", method="dop853",
) -> Training:  # fmt: skip
    """Learn by the epoch scheme; see `qnnsym.neural.train`."""
    hamiltonian, inputs, targets = setting(net, data, relaxation, inertia, cost, dynamical, values)
    for given, known, what in ((start, STARTS, "start"), (weights, WEIGHTS, "weights")):
        if given not in known:
            raise InputError(f"{what}={given!r} is not known; use one of {', '.join(known)}.")
    epochs = integer(epochs, "epochs", 0)
    duration = positive(duration, "duration", "the length T of an epoch")
    modes = integer(modes, "modes", 2) if weights == "dynamical" else 0
    if not (isinstance(rtol, float) and 0 < rtol < 1):
        raise InputError(f"rtol={rtol!r} is no relative tolerance; give a number between 0 and 1.")
    learner = Learner(hamiltonian, inputs, targets, duration, modes, backend=backend, method=method)
    if steps is not None:
        learner.steps = integer(steps, "steps", 1)
    elif learner.steps > LARGEST_STEPS or learner.steps * (epochs + 1) > MOST_STEPS:
        raise InputError(
            f"An epoch of duration = {duration:g} is {learner.steps} steps of a relaxation time "
            f"{learner.relaxation:g}, with {epochs} epochs about {learner.steps * (epochs + 1):.1g} steps, forwards "
            f"and backwards; the budget is {LARGEST_STEPS} an epoch and {MOST_STEPS:.0e} in all. Give a shorter "
            "duration or fewer epochs (activities rest after some relaxation times), or steps= an epoch."
        )
    run = _Run(learner, start, weights0, y0, resume, None if steps is not None else rtol)
    return run.learn(epochs, progress)


class _Run:
    """The epochs of one training."""

    def __init__(self, learner: Learner, start: str, weights0: Any, y0: Any, resume: Any, rtol: float | None) -> None:
        self.learner, self.start, self.rtol = learner, start, rtol
        net = learner.network
        shape = (net.neurons, net.columns)
        self.before = Training.load(resume) if isinstance(resume, (str, Path)) else resume
        if self.before is not None and not isinstance(self.before, Training):
            raise InputError(f"resume={resume!r} is no training; give what train returned, or the path of its file.")
        if self.before is not None:
            if weights0 is not None:
                raise InputError("Weights are given twice, by weights0 and by resume; leave one of them out.")
            if self.before.weights.shape[1:] != shape or self.before.y.shape != (learner.patterns, net.neurons):
                raise InputError(
                    f"The training to be resumed has weights {self.before.weights.shape[1:]} and activities "
                    f"{self.before.y.shape}; this network needs {shape} and {(learner.patterns, net.neurons)}."
                )
            if (self.before.coefficients is None) != (learner.modes == 0):
                raise InputError("The training to be resumed had weights of the other kind; say weights= as it did.")
            if self.before.settings.get("duration") != learner.duration:
                raise InputError(
                    f"The training to be resumed had duration={self.before.settings.get('duration')}; keep it."
                )
            weights0 = self.before.weights[-1] if self.before.coefficients is None else self.before.coefficients
        self.weights = self._start_weights(weights0, shape)
        self.y0 = activities(y0, learner)
        self.rest = self.y0.copy() if self.before is None else self.before.carried.copy()
        if self.before is not None and rtol is not None:
            learner.steps = int(self.before.settings["steps"])
        self.first = 0 if self.before is None else len(self.before.momenta)
        self.diagnostics: dict[str, float] = {"rises": 0.0}
        self.warnings: list[str] = []

    def _start_weights(self, given: Any, shape: tuple[int, int]) -> np.ndarray:
        net = self.learner.network
        mask = np.ones(shape) if net.mask is None else net.mask
        if given is None:
            return mask * np.random.default_rng(0).normal(size=shape) / np.sqrt(net.columns)
        w = np.array(given, float) if isinstance(given, np.ndarray) and given.ndim == 3 else None
        if w is None:
            w = finite_array(given, shape, "The array weights0").copy()
        if (w[..., mask == 0] != 0).any():
            raise InputError("A missing synapse has a weight; set weights0 to zero where the mask is zero.")
        return w

    def _of(self, epoch: int, end: np.ndarray | None) -> tuple[np.ndarray, float]:
        """Activities at an epoch's start, and its time."""
        t = epoch * self.learner.duration
        if self.start == "reset" or (self.start == "continue" and end is None):
            return self.y0, t
        if self.start == "continue":
            assert end is not None
            return end, t
        self.rest = self.learner.at_rest(self.at_start(self.weights), self.rest, t)
        return self.rest, t

    @staticmethod
    def at_start(weights: np.ndarray) -> np.ndarray:
        return weights if weights.ndim == 2 else legendre.legval(-1.0, weights)

    @staticmethod
    def at_end(weights: np.ndarray) -> np.ndarray:
        return weights if weights.ndim == 2 else legendre.legval(1.0, weights)

    def _swept(self, number: int, start: np.ndarray, t: float) -> Epoch:
        """The sweeps of an epoch; now and then with half the step, which is kept where it changes the result."""
        learner = self.learner
        found = learner.epoch(self.weights, start, t)
        while self.rtol is not None and (number & (number - 1)) == 0 and np.isfinite(found.cost):
            learner.steps *= 2
            finer = learner.epoch(self.weights, start, t)
            gap = _gap(found, finer)
            self.diagnostics["step_error"] = gap
            if gap <= self.rtol:
                learner.steps //= 2
                break
            found = finer
            if learner.steps > LARGEST_STEPS:
                raise SolverError(
                    f"{learner.steps} steps in an epoch do not reach rtol = {self.rtol:g} (they change the sweeps by "
                    f"{gap:.2g}); give steps=..., a larger rtol, or smoother inputs."
                )
        return found

    def learn(self, epochs: int, progress: bool | None) -> Training:
        weights, costs, errors, momenta = [self.at_end(self.weights)], [], [], []
        end = self.before.carried if self.first and self.before is not None else None
        carried = self.rest
        coefficients = None
        with Progress("learning", progress) as bar:
            for n in range(epochs + 1):
                carried = self.rest if self.start == "relaxed" or end is None else end
                start, t = self._of(self.first + n, end)
                with np.errstate(over="ignore", invalid="ignore"):
                    epoch = self._swept(self.first + n, start, t)
                costs.append(epoch.cost)
                errors.append(epoch.error)
                self._watch(costs, weights, epoch)
                end = epoch.end
                if self.learner.modes:
                    self._resolved(epoch.change)
                if n < epochs:
                    self.weights = _added(self.weights, epoch.change)
                    weights.append(self.at_end(self.weights))
                    momenta.append(epoch.momenta)
                    bar.update((n + 1) / epochs)
        coefficients = self.weights if self.weights.ndim == 3 else None
        if self.learner.modes and coefficients is None:
            coefficients = self.weights[None].copy()
        net = self.learner.network
        self._judge(costs, weights, end)
        assert end is not None
        done = np.array(momenta).reshape(-1, net.neurons, net.columns)
        settings = {
            "start": self.start, "weights": "dynamical" if self.learner.modes else "parametric",
            "duration": self.learner.duration, "relaxation": self.learner.relaxation, "inertia": self.learner.inertia,
            "method": self.learner.method, "steps": self.learner.steps, "patterns": self.learner.patterns,
        }  # fmt: skip
        result = Training(
            np.array(weights), np.array(costs), np.array(errors), done, end, carried, coefficients, settings,
            self.diagnostics, self.warnings,
        )  # fmt: skip
        return result if self.before is None else _joined(self.before, result)

    def _resolved(self, change: np.ndarray) -> None:
        """Keep the largest share of the last Legendre modes in a change: what the series does not resolve."""
        sizes = np.abs(change).max(axis=(1, 2))
        tail = float(sizes[-6:-2].max() / max(sizes.max(), 1e-300))
        self.diagnostics["mode_tail"] = max(tail, self.diagnostics.get("mode_tail", 0.0))

    def _comparable(self) -> bool:
        return self.learner.steady and self.start != "continue"

    def _watch(self, costs: list[float], weights: list[np.ndarray], epoch: Epoch) -> None:
        """Stop learning that diverges, saying how slow it has to be."""
        cost = costs[-1]
        finite = np.isfinite(cost) and np.isfinite(epoch.change).all()
        # With other signals in every epoch a cost may grow for reasons of its own.
        if finite and not (self._comparable() and cost > GROWTH * max(abs(costs[0]), 1e-12)):
            if len(costs) > 1 and cost > costs[-2] + RISE * abs(costs[-2]):
                self.diagnostics["rises"] += 1
            return
        grown = f"{cost:.3g}" if np.isfinite(cost) else "no finite number"
        self._refuse(f"the cost grew from {costs[0]:.3g} to {grown} by epoch {len(costs) - 1}", weights)

    def _judge(self, costs: list[float], weights: list[np.ndarray], end: Any) -> None:
        """A cost that rose on the way: an edge of stability, or beyond it."""
        tail = self.diagnostics.get("mode_tail", 0.0)
        if tail > UNRESOLVED:
            self.warnings.append(
                f"The weights vary within an epoch faster than {self.learner.modes} Legendre modes resolve (the last "
                f"ones have {tail:.1g} of the largest); give more modes or fewer epochs."
            )
        if not self.diagnostics["rises"] or not self._comparable():
            return
        curvature = self._curvature(weights[-1])
        self.diagnostics["curvature"] = curvature
        worse = costs[-1] > costs[0] + RISE * abs(costs[0]) and len(costs) > LEAST_EPOCHS
        if worse and curvature > 2:
            self._refuse(f"the cost went from {costs[0]:.3g} to {costs[-1]:.3g} in {len(costs) - 1} epochs", weights)
        if not curvature > 1e-9:
            flat = "the activations are saturated and the cost hardly depends on the weights"
            where = "the activities do not come to rest" if np.isnan(curvature) else flat
            self.warnings.append(
                f"The cost rose in {int(self.diagnostics['rises'])} of {len(costs) - 1} epochs: inertia = "
                f"{self.learner.inertia:g} is a fast learning, which ended where {where}; no bound of stability "
                "is known there. Take a larger inertia and begin again."
            )
            return
        rises, bound = int(self.diagnostics["rises"]), self.learner.inertia * curvature / 2
        said = "beyond the edge of stability" if curvature > 2 else "which ended inside the region of stability"
        self.warnings.append(
            f"The cost rose in {rises} of {len(costs) - 1} epochs: inertia = {self.learner.inertia:g} is a fast "
            f"learning, {said} (at the last weights stable for inertia > {bound:.3g}). Results near the edge are not "
            "reproducible; a larger inertia lets the cost fall monotonically."
        )

    def _curvature(self, weights: np.ndarray) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                return self.learner.stability(weights, self.start == "relaxed", self.y0)
            except SolverError:
                return float("nan")

    def _refuse(self, what: str, weights: list[np.ndarray]) -> None:
        learner = self.learner
        # Where learning began, and the way it took as long as it was finite.
        places = [w for w in (weights[0], weights[len(weights) // 2], weights[-1]) if np.abs(w).max() < 1e3]
        found = [c for c in map(self._curvature, places) if np.isfinite(c)]
        bound = learner.inertia * max(found, default=float("nan")) / 2
        if bound > learner.inertia:
            advice = (
                f"Steps of length T^2/(2 omega) are stable while inertia > {bound:.4g} (half the largest eigenvalue of "
                f"dDeltaW/dw is 1 there); give inertia={_rounded_up(1.5 * bound):g} or more"
            )
        else:
            advice = (
                f"The bound of stability at the first weights, inertia > {bound:.4g}, holds there only; the cost is "
                f"steeper on the way, so give inertia={_rounded_up(4 * learner.inertia):g} or more"
            )
        raise InputError(
            f"Learning with inertia = {learner.inertia:g} and duration = {learner.duration:g} diverges: {what}. "
            f"{advice}, or a shorter duration. Nothing was kept."
        )


def _added(weights: np.ndarray, change: np.ndarray) -> np.ndarray:
    if change.ndim == 2:
        return weights + change
    old = weights[None] if weights.ndim == 2 else weights
    total = change.copy()
    if len(old) > len(total):
        raise InputError(f"The training to be resumed has {len(old) - 2} modes; give modes={len(old) - 2} or more.")
    total[: len(old)] += old
    return total


def _joined(before: Training, after: Training) -> Training:
    """One training from the two: the last weights of the first are the first of the second."""
    return Training(
        np.concatenate([before.weights, after.weights[1:]]), np.concatenate([before.costs[:-1], after.costs]),
        np.concatenate([before.errors[:-1], after.errors]), np.concatenate([before.momenta, after.momenta]), after.y,
        after.carried, after.coefficients, after.settings, after.diagnostics, [*before.warnings, *after.warnings],
    )  # fmt: skip


def _gap(coarse: Epoch, fine: Epoch) -> float:
    """Largest relative difference of cost, momenta and change."""
    gaps = [abs(coarse.cost - fine.cost) / max(abs(fine.cost), 1e-300)]
    for a, b in ((coarse.momenta, fine.momenta), (coarse.change, fine.change)):
        size = float(np.max(np.abs(b)))
        # A gradient that vanishes has no digits to agree in.
        gaps.append(float(np.max(np.abs(a - b))) / max(size, 1e-6 * abs(fine.cost), 1e-300))
    if abs(fine.cost) < 1e-12:
        gaps[0] = abs(coarse.cost - fine.cost)
    return float(np.max(gaps)) if np.isfinite(gaps).all() else 0.0


def _rounded_up(value: float) -> float:
    digits = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / digits) * digits)

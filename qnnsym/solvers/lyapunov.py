"""Lyapunov exponents of any flow with tangent equations: directions carried along and made orthonormal again.

Source: G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, Meccanica 15 (1980) 9; I. Shimada, T. Nagashima, Prog.
Theor. Phys. 61 (1979) 1605.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.linalg import norm

from qnnsym.errors import InputError, SolverError
from qnnsym.solvers.progress import Progress

Rates = Callable[[float, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
# Blocks of whose means the uncertainty is the standard error.
BLOCKS = 16
# Largest error of a pair of steps, relative to each direction and to 1 + |y|.
TOLERANCE = 4e-5
# F is a tangent vector of its own flow: so much may it differ from what the directions' equations make of it.
CROSSING = 1e-3
# Evaluations of the rates that a run may take, those between two looks at how far it came, and the shortest step as a
# share of the longest.
MOST, LOOK, SHORTEST = 2_000_000, 40_000, 1e-9
# Two RK4 steps and the one of twice their length share the rates at their start; two more for the flow's direction.
EVALUATIONS = 13


@dataclass(frozen=True)
class Exponents:
    """Lyapunov exponents, largest first.

    Attributes:
        exponents: (number,) in units of 1/time.
        uncertainty: (number,) standard errors, from means over blocks of time, and the error of the integrator's steps.
        running: (number of renormalisations, number) growth rates between two of them.
        times: end of each.
        state: where the trajectory ended.
    """

    exponents: np.ndarray
    uncertainty: np.ndarray
    running: np.ndarray
    times: np.ndarray
    state: np.ndarray

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.exponents, dtype=dtype)

    def __len__(self) -> int:
        return len(self.exponents)

    def __getitem__(self, at):
        return self.exponents[at]

    def __iter__(self):
        return iter(self.exponents)

    @property
    def entropy(self) -> float:
        """Sum of the positive exponents found (Pesin's bound of the entropy)."""
        return float(self.exponents[self.exponents > 0].sum())

    def __str__(self) -> str:
        return ", ".join(f"{a:.4f} +- {b:.4f}" for a, b in zip(self.exponents, self.uncertainty, strict=True))


def lyapunov_spectrum(
    rates: Rates,
    state: np.ndarray,
    number: int,
    *,
    duration: float,
    step: float,
    transient: float = 0.0,
    every: int = 1,
    seed: int = 0,
    progress: bool | None = None,
    autonomous: bool = True,
) -> Exponents:
    """Exponents of y' = F(y) from the growth of orthonormal directions, with RK4 steps of both together.

    Steps go in pairs, which are compared with one step of twice their length: where the difference is above the
    tolerance the pair is repeated with half the step. What error remains is part of the uncertainty. One direction more
    is F(y) itself, which the tangent equations carry to F(y) at the pair's end: a steep place that all stages stepped
    over, where y may be right and the growth is not, shows there.

    Arguments:
        rates: (t, y (n,), V (rows, n)) -> (F, the derivative of F along each row of V).
        state: y at t = 0.
        number: of exponents, at most n.
        duration: time over which they are averaged, after `transient`, in which directions align and none is counted.
        step: the longest of the integrator.  every: steps of this length between two records of the growth.
        seed: of the first directions.
        autonomous: False where F depends on t, and is then no tangent vector of its own flow.

    Raises:
        InputError: for numbers that are not positive. SolverError: when the trajectory leaves all bounds, and where
            steps short enough would be more than the budget.
    """
    n = state.size
    if not 1 <= number <= n:
        raise InputError(f"number={number} exponents were asked for; give 1 to {n}, the dimension of the flow.")
    if not (step > 0 and duration > 0 and transient >= 0 and every >= 1):
        raise InputError("step, duration and every have to be positive, and transient not negative.")
    y = np.array(state, float)
    v = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, number)))[0].T.copy()
    before, rounds = (int(np.ceil(x / (step * every))) for x in (transient, duration))
    if rounds < BLOCKS:
        raise InputError(
            f"A duration of {duration:g} holds {rounds} orthonormalisations, fewer than {BLOCKS}; take a longer one."
        )
    length = step * every
    pairs = _Pairs(rates, y, v, step, (before + rounds) * length, autonomous)
    growth, errors = np.empty((rounds, number)), np.zeros((rounds, number))
    with Progress("Lyapunov exponents", progress) as bar:
        for k in range(-before, rounds):
            grown, error = pairs.advance((k + before + 1) * length)
            if k >= 0:
                growth[k], errors[k] = grown / length, error / length
            bar.update((k + before + 1) / (before + rounds))
    means = np.array([block.mean(axis=0) for block in np.array_split(growth, BLOCKS)])
    order = np.argsort(-growth.mean(axis=0), kind="stable")
    uncertainty = np.hypot(means.std(axis=0, ddof=1) / np.sqrt(BLOCKS), errors.mean(axis=0))
    times = pairs.t - length * np.arange(rounds)[::-1]
    return Exponents(growth.mean(axis=0)[order], uncertainty[order], growth[:, order], times, pairs.y)


class _Pairs:
    """State and directions, carried along by pairs of RK4 steps whose length follows their error."""

    def __init__(
        self, rates: Rates, y: np.ndarray, v: np.ndarray, step: float, end: float, autonomous: bool = True
    ) -> None:
        self.autonomous = autonomous
        self.rates, self.y, self.v, self.t = rates, y, v, 0.0
        self.step = self.longest = step
        self.end, self.evaluations = end, 0
        self.budget = max(MOST, 8 * EVALUATIONS * end / (2 * step))
        self.looked = (0.0, 0)

    def advance(self, stop: float) -> tuple[np.ndarray, np.ndarray]:
        """Go on to a time: (growth of the logarithms, sum of the pairs' errors), each (number,)."""
        grown, errors = np.zeros(len(self.v)), np.zeros(len(self.v))
        while self.t < stop - 1e-12 * self.longest:
            left = stop - self.t
            # The last two pairs share what is left, so that none is a splinter.
            whole = left if left <= 2 * self.step else min(2 * self.step, left / 2)
            y, v, error = self._pair(whole / 2)
            worst = error.max()
            if not worst <= TOLERANCE:
                self.step = whole / 4
            self._afford()
            if not worst <= TOLERANCE:
                continue
            self.y, self.v = y, v
            self.t = stop if whole == left else self.t + whole
            errors += error[1:]
            sizes = norm(v, axis=1)
            # Within a record directions are made orthonormal again where they grew or shrank much.
            if self.t == stop or sizes.max() > 2 or sizes.min() < 0.5:
                q, r = np.linalg.qr(v.T)
                # A direction that is annihilated altogether grows by the smallest number there is.
                grown += np.log(np.maximum(np.abs(np.diag(r)), 1e-300))
                self.v = q.T.copy()
            if worst < TOLERANCE / 40:
                self.step = min(2 * self.step, self.longest)
        return grown, errors

    def _pair(self, h: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """y and V after two steps, and their errors: that of y first, then one of each direction."""
        self.evaluations += EVALUATIONS
        with np.errstate(over="ignore", invalid="ignore"):
            rate, along = self.rates(self.t, self.y, self.v)
            flow, (further,) = self.rates(self.t, self.y, rate[None])
            first, v = (rate, np.vstack([along, further])), np.vstack([self.v, flow])
            coarse, rough = _rk4(self.rates, self.t, self.y, v, 2 * h, first)
            y, v = _rk4(self.rates, self.t, self.y, v, h, first)
            y, v = _rk4(self.rates, self.t + h, y, v, h, self.rates(self.t + h, y, v))
            off = np.max(np.abs(y - coarse) / (1 + np.abs(y)))
            end = self.rates(self.t + 2 * h, y, self.v[:1])[0]
            size = max(norm(rate), norm(end)) + 1e-9 * (1 + norm(y)) / self.longest
            if self.autonomous:
                off = max(off, 15 * norm(v[-1] - end) / size * (TOLERANCE / CROSSING))
            v, rough = v[:-1], rough[:-1]
            sizes = np.maximum(norm(v, axis=1), 1e-300)
            # The method is of fourth order: the error of the pair is a fifteenth of the difference.
            return y, v, np.concatenate([[off], norm(v - rough, axis=1) / sizes]) / 15

    def _afford(self) -> None:
        """Refuse steps that are too short, and too many of them.

        Raises:
            SolverError: at once where the last stretch shows that the whole is beyond the budget.
        """
        if self.step < SHORTEST * self.longest:
            raise SolverError(
                f"The trajectory is not finite much beyond t = {self.t:.6g}, or its rates jump there: steps below "
                f"{self.step:.2g} are needed. Take smaller weights, or a smooth flow."
            )
        t, evaluations = self.looked
        if self.evaluations - evaluations < LOOK:
            return
        self.looked = (self.t, self.evaluations)
        expected = self.evaluations + (self.end - self.t) / max(self.t - t, 1e-300) * (self.evaluations - evaluations)
        if self.evaluations > self.budget or expected > 2 * self.budget:
            raise SolverError(
                f"The flow is fast: at t = {self.t:.4g} of {self.end:.4g} steps of {self.step:.2g} are needed, about "
                f"{expected:.1g} evaluations in all, and {self.budget:.1g} are the budget. Take a duration and a "
                "transient that are shorter, or smaller weights."
            )


def _rk4(
    rates: Rates, t: float, y: np.ndarray, v: np.ndarray, h: float, first: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    a, p = first
    b, q = rates(t + h / 2, y + h / 2 * a, v + h / 2 * p)
    c, r = rates(t + h / 2, y + h / 2 * b, v + h / 2 * q)
    d, s = rates(t + h, y + h * c, v + h * r)
    return y + h / 6 * (a + 2 * b + 2 * c + d), v + h / 6 * (p + 2 * q + 2 * r + s)

"""Lyapunov exponents of any flow with tangent equations: directions carried along and made orthonormal again.

Source: G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, Meccanica 15 (1980) 9; I. Shimada, T. Nagashima, Prog.
Theor. Phys. 61 (1979) 1605.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qnnsym.errors import InputError, SolverError
from qnnsym.solvers.progress import Progress

Rates = Callable[[float, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
# Blocks of whose means the uncertainty is the standard error.
BLOCKS = 16


@dataclass(frozen=True)
class Exponents:
    """Lyapunov exponents, largest first.

    Attributes:
        exponents: (number,) in units of 1/time.
        uncertainty: (number,) standard errors, from means over blocks of time.
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
) -> Exponents:
    """Exponents of y' = F(y) from the growth of orthonormal directions, with RK4 steps of both together.

    Arguments:
        rates: (t, y (n,), V (number, n)) -> (F, the derivative of F along each row of V).
        state: y at t = 0.
        number: of exponents, at most n.
        duration: time over which they are averaged, after `transient`, in which directions align and none is counted.
        step: of the integrator.  every: steps between two orthonormalisations.
        seed: of the first directions.

    Raises:
        InputError: for numbers that are not positive. SolverError: when the trajectory leaves all bounds.
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
    growth, t = np.empty((rounds, number)), 0.0
    with Progress("Lyapunov exponents", progress) as bar:
        for k in range(-before, rounds):
            for _ in range(every):
                y, v = _rk4(rates, t, y, v, step)
                t += step
            q, r = np.linalg.qr(v.T)
            diagonal = np.abs(np.diag(r))
            if not np.isfinite(y).all() or not np.isfinite(diagonal).all():
                raise SolverError(f"The trajectory is not finite at t = {t:.6g}; take a smaller step.")
            v = q.T.copy()
            if k >= 0:
                # A direction that is annihilated altogether grows by the smallest number there is.
                growth[k] = np.log(np.maximum(diagonal, 1e-300)) / (step * every)
            bar.update((k + before + 1) / (before + rounds))
    means = np.array([block.mean(axis=0) for block in np.array_split(growth, BLOCKS)])
    order = np.argsort(-growth.mean(axis=0), kind="stable")
    uncertainty = means.std(axis=0, ddof=1) / np.sqrt(BLOCKS)
    times = t - step * every * np.arange(rounds)[::-1]
    return Exponents(growth.mean(axis=0)[order], uncertainty[order], growth[:, order], times, y)


def _rk4(rates: Rates, t: float, y: np.ndarray, v: np.ndarray, h: float) -> tuple[np.ndarray, np.ndarray]:
    a, p = rates(t, y, v)
    b, q = rates(t + h / 2, y + h / 2 * a, v + h / 2 * p)
    c, r = rates(t + h / 2, y + h / 2 * b, v + h / 2 * q)
    d, s = rates(t + h, y + h * c, v + h * r)
    return y + h / 6 * (a + 2 * b + 2 * c + d), v + h / 6 * (p + 2 * q + 2 * r + s)

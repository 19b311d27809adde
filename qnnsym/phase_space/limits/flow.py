"""The classical flow of T(p) + U(x) by characteristics: no grid and no step in common with the propagators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.errors import SolverError
from qnnsym.phase_space.limits.subject import Subject, array_function
from qnnsym.phase_space.states import GaussianState
from qnnsym.solvers.tableaus import DOP853

# Change of W under halved steps, relative to its largest value, on a sample of the points.
ACCURACY = 1e-10
SAMPLE = 24
FIRST, LAST = 6, 3072
NODES = 48

Points = tuple[np.ndarray, np.ndarray]


class Flow:
    """Hamilton's equations by an eighth-order Runge-Kutta method on arrays of points.

    Arguments:
        subject: gives T and U.
        numbers: values of all parameters.
        time: of the flow.

    Source: E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I (1993), section II.10.
    """

    def __init__(self, subject: Subject, numbers: dict[sp.Symbol, float], time: float) -> None:
        (x,), (p,) = subject.space.x, subject.space.p
        self.velocity = array_function(sp.diff(subject.kinetic, p), (p,), numbers)
        self.force = array_function(-sp.diff(subject.potential, x), (x,), numbers)
        self.subject, self.numbers, self.time = subject, numbers, time

    def move(self, x: np.ndarray, p: np.ndarray, t: float, steps: int) -> Points:
        """Points after time t (negative: before)."""
        h = t / steps
        for _ in range(steps):
            dx: list[np.ndarray] = []
            dp: list[np.ndarray] = []
            for row in DOP853.a[: DOP853.stages]:
                at_x, at_p = x.copy(), p.copy()
                for a, vx, vp in zip(row, dx, dp, strict=False):
                    if a:
                        at_x += h * a * vx
                        at_p += h * a * vp
                dx.append(self.velocity(at_p))
                dp.append(self.force(at_x))
            x, p = x.copy(), p.copy()
            for b, vx, vp in zip(DOP853.b, dx, dp, strict=True):
                if b:
                    x += h * b * vx
                    p += h * b * vp
        return x, p

    def transported(self, w0: Callable[..., np.ndarray], grid: Points) -> np.ndarray:
        """W_cl(z, t) = W_0(flow_{-t} z) on the grid.

        Raises:
            SolverError: when no number of steps reaches the accuracy.
        """
        x, p = np.meshgrid(*grid, indexing="ij")
        thin = tuple(slice(None, None, max(1, n // SAMPLE)) for n in x.shape)
        steps = self._steps(lambda n: self._at(w0, x[thin], p[thin], n))
        return self._at(w0, x, p, steps)

    def _at(self, w0: Callable[..., np.ndarray], x: np.ndarray, p: np.ndarray, steps: int) -> np.ndarray:
        with np.errstate(all="ignore"):
            w = w0(*self.move(x, p, -self.time, steps))
        return np.where(np.isfinite(w), w, 0.0)  # points that came from infinity bring nothing

    def mean_position(self, state: GaussianState) -> float:
        """<x> of the transported density, by Gauss-Hermite quadrature over the Gaussian it starts as."""
        x0, a, p0, w = (float(sp.sympify(v).subs(self.numbers)) for v in state.extent(self.subject.space)[0])
        nodes, weights = np.polynomial.hermite.hermgauss(NODES)
        x, p = np.meshgrid(x0 + a * nodes, p0 + w * nodes, indexing="ij")
        share = weights[:, None] * weights[None, :] / np.pi
        means: dict[int, float] = {}

        def mean(steps: int) -> np.ndarray:
            means[steps] = float(np.sum(share * self.move(x, p, self.time, steps)[0]))
            return np.array([means[steps]])

        return means[self._steps(mean, abs(x0) + a)]

    def _steps(self, value: Callable[[int], np.ndarray], scale: Any = None) -> int:
        """The smallest number of steps, doubled from the first, that half the step confirms."""
        steps, before = FIRST, value(FIRST)
        while steps < LAST:
            after = value(2 * steps)
            size = scale if scale is not None else max(float(np.max(np.abs(after))), 1e-300)
            if np.max(np.abs(after - before)) <= ACCURACY * size:
                return steps
            steps, before = 2 * steps, after
        raise SolverError(
            f"The classical flow over t = {self.time:g} is not accurate to {ACCURACY:g} with {LAST} steps; "
            "give a shorter time."
        )

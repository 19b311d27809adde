"""The right-hand side of Moyal's equation on a grid, for any H: rows of coefficients times spectral derivatives of W.

    dW/dt = -i K(p, k) W^ + i V(x, theta) W^ + sum over rows c(x, p) d^alpha W

What H = T(p) + U(x) + M(x, p) has of T and U multiplies in its own representation; the table of M is left as rows. The
operator is skew on phase space, and so is what is evaluated: half of c d^alpha W + d^alpha (c W). Without that the
coefficients' jumps across the periodic edges would make modes at the edges grow.

On the grid x +- hbar theta/2 and p +- hbar k/2 reach twice as far as x and p do, and there H, and with it the rate of
the fastest modes, is much larger than where the state is. A density matrix has nothing so far outside: its elements
between such points are taken out, before and after, by a window, and fewer steps are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from qnnsym.errors import InputError
from qnnsym.solvers.axes import Axes
from qnnsym.solvers.split_grid import JointField, JointPropagator
from qnnsym.solvers.tableaus import Tableau

# Lanczos steps from which the largest rate is found, and what is added to it, for its error.
LANCZOS, MARGIN = 40, 1.05
# Windows that are tried, in lengths of the grid (no point of it reaches beyond twice its length), and their outermost
# part, which is watched.
WINDOWS, WIDEST, SHELL = (1.0, 1.1, 1.2, 1.3, 1.45, 1.6, 1.8), 2.0, 1 / 16
# Where the region of stability of a Runge-Kutta method ends on the imaginary axis.
STABILITY = {"rk4": 2.8, "dop853": 5.5}


@dataclass(frozen=True)
class Rows:
    """Rows of the table: coefficients on the grid and the derivatives that they multiply.

    Arguments:
        derivatives: orders over (x_1, ..., p_1, ...) of each row, their sum odd.
        coefficients: function of the grid's coordinates, arrays that broadcast, and of t; one array for each row.
        driven: whether the coefficients depend on time.
    """

    derivatives: Sequence[tuple[int, ...]]
    coefficients: Callable[[tuple[np.ndarray, ...], float], Sequence[np.ndarray]]
    driven: bool = False


class TableOperator:
    """L of dW/dt = L W on a grid, real and skew.

    Arguments:
        axes: the grid.
        kinetic, potential: K(k, p) and V(x, theta) of the separable part, as `JointPropagator` takes them.
        rows: of the rest.
        driven: whether K, and whether V, depends on time.
        workers: threads of the transforms.
        start: the first time.
        hbar: number; with it a window is had, see `open_window`.

    Attributes:
        evaluations: how often L was applied.
    """

    def __init__(
        self,
        axes: Axes,
        kinetic: JointField,
        potential: JointField,
        rows: Rows,
        *,
        driven: tuple[bool, bool] = (False, False),
        workers: int = 1,
        start: float = 0.0,
        hbar: float | None = None,
    ) -> None:
        self.axes, self.workers, self.rows, self._hbar = axes, workers, rows, hbar
        self.driven = (*driven, rows.driven)
        self._split = JointPropagator(axes, kinetic, potential, driven=driven, workers=workers, start=start)
        self._multipliers = [self._multiplier(orders) for orders in rows.derivatives]
        self._coordinates = axes.coordinates()
        self._coefficients = self._on_grid(start)
        self._at = start
        self._window: tuple[np.ndarray, ...] | None = None
        self._shells: tuple[np.ndarray, ...] = ()
        self.evaluations = 0

    @property
    def limited(self) -> np.ndarray | None:
        """Where the potential is not finite, in (x, theta)."""
        return self._split.limited

    def share_limited(self, w: np.ndarray) -> float:
        """The share of W, in the L2 norm, where the potential is not finite."""
        return self._split.share_limited(w)

    def _multiplier(self, orders: tuple[int, ...]) -> np.ndarray:
        """(i k)^alpha on the transformed grid, without the factor i^|alpha|, which only gives a sign and an i."""
        axes, last = self.axes, len(self.axes.shape) - 1
        product = np.ones((1,) * (last + 1))
        for axis, order in enumerate(orders):
            if not order:
                continue
            factor = axes.waves(axis, axis == last) ** order
            place = axes.nyquist(axis)
            if place is not None and order % 2:
                # k and -k at once: an odd derivative of the mode vanishes on the grid.
                factor[place] = 0.0
            product = product * axes.along(axis, factor)
        return product * (1.0 if sum(orders) % 4 == 1 else -1.0)

    def _on_grid(self, t: float) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            found = [np.asarray(c, dtype=float) for c in self.rows.coefficients(self._coordinates, t)]
        for coefficient, orders in zip(found, self.rows.derivatives, strict=True):
            if not np.isfinite(coefficient).all():
                raise InputError(
                    f"The coefficient of the row with the derivatives {orders} is not finite on the whole grid: H is "
                    "singular or overflows there. Give a grid without such points."
                )
        return found

    def open_window(self, w: np.ndarray, share: float, least: float = 1.0) -> float:
        """Confine the evolution to density matrices between points close to the grid, if W is one.

        Arguments:
            w: the initial Wigner function.
            share: what may be in the outermost part of the window and beyond, relative to W in the L2 norm.
            least: smallest window, in lengths of the grid.

        Returns:
            The window in lengths of the grid; 2 where there is none.
        """
        self._window = None
        if self._hbar is None:
            return WIDEST
        reaches = [self._split.reach(flow, self._hbar) for flow in (0, 1)]
        for size in WINDOWS:
            if size < least:
                continue
            shells = tuple(reach > (1 - SHELL) * size for reach in reaches)
            if self._outside(w, shells) <= share:
                self._window = tuple(reach <= size for reach in reaches)
                self._shells = shells
                return size
        return WIDEST

    def share_at_window(self, w: np.ndarray) -> float:
        """The share of W, in the L2 norm, in the outermost part of the window."""
        return 0.0 if self._window is None else self._outside(w, self._shells)

    def _outside(self, w: np.ndarray, shells: tuple[np.ndarray, ...]) -> float:
        found = 0.0
        for flow, shell in enumerate(shells):
            hat = self._split.transform(w, flow)
            power = hat.real**2 + hat.imag**2
            found = max(found, float(np.sqrt(power[shell].sum() / power.sum())))
        return found

    def apply(self, w: np.ndarray, t: float = 0.0) -> np.ndarray:
        """L W at a time, a new array."""
        self.evaluations += 1
        split, window = self._split, self._window
        kinetic, potential = split.rate(0, t), split.rate(1, t)
        if window is not None:
            hat = split.transform(w, 1)
            hat *= window[1]
            hat = split.transform(split.back(hat, 1), 0)
            hat *= window[0]
            moved = None if kinetic is None else hat * kinetic
            w = split.back(hat, 0)
        else:
            moved = None if kinetic is None else split.transform(w, 0) * kinetic
        total = self._from_rows(w, t)
        if potential is not None:
            hat = split.transform(w, 1)
            hat *= potential
            hat *= 1j
            total += split.back(hat, 1)
        if window is None:
            return total if moved is None else total + split.back(1j * moved, 0)
        hat = split.transform(total, 0)
        if moved is not None:
            hat += 1j * moved
        hat *= window[0]
        hat = split.transform(split.back(hat, 0), 1)
        hat *= window[1]
        return split.back(hat, 1)

    def _from_rows(self, w: np.ndarray, t: float) -> np.ndarray:
        total = np.zeros(w.shape)
        if not self._multipliers:
            return total
        if self.driven[2] and t != self._at:
            self._coefficients, self._at = self._on_grid(t), t
        shape, workers = w.shape, self.workers
        # i^|alpha| is i times the sign in the multiplier: applied once, to the transform.
        hat = 0.5j * fft.rfftn(w, workers=workers)
        adjoint: np.ndarray | float = 0.0
        for multiplier, coefficient in zip(self._multipliers, self._coefficients, strict=True):
            total += coefficient * fft.irfftn(multiplier * hat, shape, overwrite_x=True, workers=workers)
            adjoint = adjoint + multiplier * fft.rfftn(coefficient * w, workers=workers)
        total += fft.irfftn(0.5j * adjoint, shape, overwrite_x=True, workers=workers)
        return total

    def longest(self, composition: Tableau) -> float:
        """The longest step as far as open terms are concerned, of which there are none: any."""
        return float("inf")

    def advance(self, w: np.ndarray, tableau: Tableau, h: float, steps: int, t: float = 0.0) -> np.ndarray:
        """`steps` steps of length h of an explicit Runge-Kutta method from time t."""
        for n in range(steps):
            slopes: list[np.ndarray] = []
            for row, c in zip(tableau.a[: tableau.stages], tableau.c[: tableau.stages], strict=True):
                at = w.copy()
                for weight, slope in zip(row, slopes, strict=False):
                    if weight:
                        at += (h * weight) * slope
                slopes.append(self.apply(at, t + (n + c) * h))
            w = w + h * sum(weight * slope for weight, slope in zip(tableau.b, slopes, strict=True) if weight)
        return w

    @property
    def transforms(self) -> int:
        """Evaluations, under the name by which steps know the work done."""
        return self.evaluations

    def largest_rate(self, t: float = 0.0, seed: int = 0) -> float:
        """An upper bound of the largest |eigenvalue| of L, by Lanczos' method on a random W.

        Source: Y. Zhou, R.-C. Li, Linear Algebra Appl. 435, 480 (2011): the largest Ritz value plus its residual.
        """
        v = np.random.default_rng(seed).standard_normal(self.axes.shape)
        v /= np.linalg.norm(v)
        before, betas = np.zeros(1), []
        for _ in range(min(LANCZOS, v.size)):
            w = self.apply(v, t)
            if betas:
                # For a skew operator the three-term recurrence has the other sign and no diagonal.
                w += betas[-1] * before
            beta = float(np.linalg.norm(w))
            betas.append(beta)
            if beta <= 1e-14 * max(betas):
                break
            before, v = v, w / beta
        inner = np.diag(betas[:-1], 1)
        values, vectors = np.linalg.eigh(inner + inner.T)
        return MARGIN * float(values[-1] + betas[-1] * abs(vectors[-1, -1]))

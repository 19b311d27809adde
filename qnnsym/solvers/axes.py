"""A periodic grid of several degrees of freedom, and what is measured of a Wigner function that lives on it.

The axes are ordered (x_1, ..., x_n, p_1, ..., p_n); wave numbers are k_i beside x_i and theta_i beside p_i.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import fft

from qnnsym.errors import InputError

# Share of the points of an axis that counts as its edge, on each side.
EDGE = 1 / 32
# An observable on the grid: pieces that broadcast to it and are added up, or a function of time that gives them.
Pieces = Sequence[np.ndarray]
Operators = Mapping[str, "Pieces | Callable[[float], Pieces]"]


class Axes:
    """A grid over phase space.

    Arguments:
        grid: (x_1, ..., x_n, p_1, ..., p_n), uniform, ascending, endpoints excluded.
        names: of the axes, in this order.
        conjugates: names of their wave numbers.

    Attributes:
        dimension: the number n of degrees of freedom.
        shape, cell: points of every axis, volume of a cell.

    Raises:
        InputError: for an odd number of axes, or an axis that is not uniform.
    """

    def __init__(self, grid: Sequence[np.ndarray], names: Sequence[str], conjugates: Sequence[str]) -> None:
        self.grid = tuple(np.asarray(axis, dtype=float) for axis in grid)
        self.names, self.conjugates = tuple(names), tuple(conjugates)
        if len(self.grid) % 2 or not len(self.grid) == len(self.names) == len(self.conjugates):
            raise InputError(
                f"The grid has {len(self.grid)} axes and {len(self.names)} names; give one array per coordinate, the "
                "positions first and then their momenta."
            )
        for axis, name in zip(self.grid, self.names, strict=True):
            steps = np.diff(axis)
            if axis.ndim != 1 or steps.size < 3 or not (steps > 0).all() or np.ptp(steps) > 1e-8 * steps.mean():
                raise InputError(f"The grid in {name} is not a uniform, ascending array of at least four points.")
        self.dimension = len(self.grid) // 2
        self.shape = tuple(axis.size for axis in self.grid)
        self.steps = tuple(float(axis[1] - axis[0]) for axis in self.grid)
        self.cell = math.prod(self.steps)

    def along(self, axis: int, values: np.ndarray) -> np.ndarray:
        """An array over one axis, shaped so that it broadcasts over the grid."""
        shape = [1] * len(self.shape)
        shape[axis] = values.size
        return values.reshape(shape)

    def coordinates(self) -> tuple[np.ndarray, ...]:
        """The coordinates of all axes, each shaped so that they broadcast over the grid."""
        return tuple(self.along(a, values) for a, values in enumerate(self.grid))

    def waves(self, axis: int, half: bool) -> np.ndarray:
        """Wave numbers along an axis as transforms order them; those from zero on where only these are kept."""
        frequencies = fft.rfftfreq if half else fft.fftfreq
        return 2 * np.pi * frequencies(self.shape[axis], self.steps[axis])

    def nyquist(self, axis: int) -> int | None:
        """Place of the wave number that stands for k and -k at once, if there is one."""
        return self.shape[axis] // 2 if self.shape[axis] % 2 == 0 else None


class Watch:
    """Expectation values and watched qualities at the output times.

    Arguments:
        axes: the grid.
        hbar: number, for the purities alone.
        e_ops: {name: pieces, or function of t that gives them}, integrated against W.
        count: number of output times.
        workers: threads of the transforms.

    Attributes:
        values: {name: (count,)}: norm, purity (2 pi hbar)^n int W^2, negativity, the purity of every reduced state
            (purity_x of the degree of freedom x, for more than one), and e_ops.
        edges: {name: largest share so far} at the edges of every axis (edge_x of |W|; edge_k_x of the highest wave
            numbers, in the L2 norm).
        aliasing: largest share, in the L2 norm, of the upper third of the wave numbers of an axis.
    """

    def __init__(self, axes: Axes, hbar: float, e_ops: Operators, count: int, workers: int = 1) -> None:
        self.axes, self.hbar, self.workers, self.e_ops = axes, hbar, workers, e_ops
        n = axes.dimension
        self.reduced = [f"purity_{name}" for name in axes.names[:n]] if n > 1 else []
        names = ("norm", "purity", "negativity", *self.reduced, *e_ops)
        self.values = {name: np.full(count, np.nan) for name in names}
        self.edges = {f"edge_{name}": 0.0 for pair in zip(axes.names, axes.conjugates, strict=True) for name in pair}
        self.aliasing = 0.0

    def measure(self, at: int, w: np.ndarray, t: float) -> None:
        """Record everything for the output time number `at`."""
        axes, values = self.axes, self.values
        size = np.abs(w)
        total = float(size.sum())
        values["norm"][at] = w.sum() * axes.cell
        values["purity"][at] = (2 * np.pi * self.hbar) ** axes.dimension * float(np.vdot(w, w)) * axes.cell
        values["negativity"][at] = (total * axes.cell - 1) / 2
        for degree, name in enumerate(self.reduced):
            values[name][at] = self._reduced_purity(w, degree)
        for name, operator in self.e_ops.items():
            values[name][at] = self.integral(operator(t) if callable(operator) else operator, w)
        for axis, (plain, spectral) in enumerate(zip(axes.names, axes.conjugates, strict=True)):
            others = tuple(a for a in range(w.ndim) if a != axis)
            across, width = size.sum(axis=others), edge_points(axes.shape[axis])
            self._raise(f"edge_{plain}", (across[:width].sum() + across[-width:].sum()) / total)
            hat = fft.rfft(w, axis=axis, workers=self.workers)
            # Each mode but the constant one stands for two, so that shares can be taken of the halves as they are.
            weight = (hat.real**2 + hat.imag**2).sum(axis=others)
            self._raise(f"edge_{spectral}", math.sqrt(float(weight[-width:].sum() / weight.sum())))
            self.aliasing = max(self.aliasing, math.sqrt(float(weight[-(len(weight) // 3) :].sum() / weight.sum())))

    def integral(self, pieces: Pieces, w: np.ndarray) -> float:
        """int A W over the grid; pieces that do not depend on a coordinate meet W integrated over it."""
        found = 0.0
        for piece in pieces:
            flat = tuple(axis for axis, points in enumerate(piece.shape) if points == 1)
            found += float(np.sum(piece * w.sum(axis=flat, keepdims=True))) * self.axes.cell
        return found

    def _reduced_purity(self, w: np.ndarray, degree: int) -> float:
        n, steps = self.axes.dimension, self.axes.steps
        kept = (degree, n + degree)
        marginal = w.sum(axis=tuple(a for a in range(2 * n) if a not in kept))
        own = steps[kept[0]] * steps[kept[1]]
        marginal *= self.axes.cell / own
        return 2 * np.pi * self.hbar * float(np.vdot(marginal, marginal)) * own

    def _raise(self, name: str, value: float) -> None:
        self.edges[name] = max(self.edges[name], float(value))

    def diagnostics(self, done: int) -> dict[str, float]:
        """What was measured over the first `done` output times."""
        drifts = {
            f"{name}_drift": float(np.max(np.abs(self.values[name][:done] / self.values[name][0] - 1)))
            for name in ("norm", "purity")
        }
        boundary = max(self.edges[f"edge_{name}"] for name in self.axes.names)
        return {"boundary_mass": boundary, "aliasing": self.aliasing, **self.edges, **drifts}


def edge_points(points: int) -> int:
    """How many points of an axis count as one of its edges."""
    return max(1, round(points * EDGE))


def filled(values: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """A real array of the shape.

    Raises:
        InputError: when the values do not broadcast to it.
    """
    try:
        return np.array(np.broadcast_to(np.asarray(values, dtype=float), shape))
    except (TypeError, ValueError):
        raise InputError(
            f"{what} has the shape {np.shape(values)} or is not real; it has to broadcast to {shape}."
        ) from None

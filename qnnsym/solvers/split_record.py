"""What is measured at the output times: expectation values, and the qualities that say whether the grid holds W."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import fft

from qnnsym.solvers.solution import finite_array
from qnnsym.solvers.split_flows import SplitPropagator
from qnnsym.solvers.split_steps import Steps

# Diagnostics of the four edges of the grid, and the share of the points of an axis that counts as its edge.
EDGES = ("edge_x", "edge_k", "edge_p", "edge_theta")
EDGE = 1 / 32


@dataclass(frozen=True)
class DrivenOperator:
    """An observable that depends on time.

    Arguments:
        values: function of t that gives its (nx, np) array.
    """

    values: Callable[[float], np.ndarray]


Operators = Mapping[str, "np.ndarray | DrivenOperator | Callable[[np.ndarray], float]"]


def _edge(points: int) -> int:
    return max(1, round(points * EDGE))


class Record:
    """Expectation values and watched qualities at the output times."""

    def __init__(
        self,
        grid: tuple[np.ndarray, np.ndarray],
        propagator: SplitPropagator,
        hbar: float,
        e_ops: Operators,
        count: int,
        circle: bool = False,
    ) -> None:
        x, p = grid
        self.cell = (x[1] - x[0]) * (p[1] - p[0])
        self.circle, self.p = circle, p
        self.propagator, self.hbar = propagator, hbar
        self.e_ops = {
            name: op
            if callable(op) or isinstance(op, DrivenOperator)
            else finite_array(op, propagator.shape, f"The observable {name}")
            for name, op in e_ops.items()
        }
        self.values = {n: np.full(count, np.nan) for n in ("norm", "purity", "negativity", *e_ops)}
        self.aliasing, self.limited = 0.0, 0.0
        self.edges = dict.fromkeys(EDGES, 0.0)

    def measure(self, n: int, w: np.ndarray, t: float) -> None:
        size = np.abs(w)
        total = size.sum()
        square = float(np.vdot(w, w))
        self.values["norm"][n] = w.sum() * self.cell
        # On a circle W holds everything twice, at x and at x + pi.
        self.values["purity"][n] = (1 if self.circle else 2) * np.pi * self.hbar * square * self.cell
        size_of = self._without_image(w) if self.circle else total
        self.values["negativity"][n] = (size_of * self.cell - 1) / 2
        for name, operator in self.e_ops.items():
            if isinstance(operator, DrivenOperator):
                self.values[name][n] = np.vdot(operator.values(t), w) * self.cell
            else:
                self.values[name][n] = operator(w) if callable(operator) else np.vdot(operator, w) * self.cell
        self.outside(w)
        for axis, spectral in enumerate(("edge_k", "edge_theta")):
            if self.circle and axis == 1:
                continue  # the ladder of momenta is exact, and the longest chords are the image's short ones
            hat = fft.rfft(w, axis=axis, workers=self.propagator.workers)
            power = hat.real**2 + hat.imag**2
            if axis == 1 and self.propagator.limited is not None:
                lost = power[self.propagator.limited].sum() / power.sum()
                self.limited = max(self.limited, math.sqrt(float(lost)))
            # Each mode but the constant one stands for two, so that shares can be taken of the halves as they are.
            weight = power.sum(axis=1 - axis)
            self._raise(spectral, math.sqrt(weight[-_edge(self.propagator.shape[axis]) :].sum() / weight.sum()))
            self.aliasing = max(self.aliasing, math.sqrt(float(weight[-(len(weight) // 3) :].sum() / weight.sum())))

    def outside(self, w: np.ndarray) -> float:
        """The share of |W| at the edges in x and in p, the larger one; kept if it is the largest so far."""
        size, found = np.abs(w), 0.0
        for axis, name in enumerate(("edge_x", "edge_p")):
            if self.circle and axis == 0:
                continue
            across = size.sum(axis=1 - axis)
            width = _edge(len(across))
            share = float((across[:width].sum() + across[-width:].sum()) / across.sum())
            self._raise(name, share)
            found = max(found, share)
        return found

    def _without_image(self, w: np.ndarray) -> float:
        """sum |W| of the Wigner function over whole momenta, made of the chords |hbar theta| < pi alone.

        Source: A. Rigas, L. L. Sanchez-Soto, A. B. Klimov, J. Rehacek, Z. Hradil, Ann. Phys. 326, 426 (2011).
        """
        hat = fft.rfft(w, axis=1)
        chords = np.abs(self.hbar * self.propagator.theta)
        hat *= np.where(np.isclose(chords, np.pi), 0.5, chords < np.pi)
        whole = round(float(self.p[0] / (self.p[1] - self.p[0]))) % 2
        return 2 * float(np.abs(fft.irfft(hat, w.shape[1], axis=1)[:, whole::2]).sum())

    def _raise(self, name: str, value: float) -> None:
        self.edges[name] = max(self.edges[name], float(value))

    def diagnostics(self, done: int) -> dict[str, float]:
        drifts = {}
        for name in ("norm", "purity"):
            values = self.values[name][:done]
            drifts[f"{name}_drift"] = float(np.max(np.abs(values / values[0] - 1)))
        boundary = max(self.edges["edge_x"], self.edges["edge_p"])
        found = {"boundary_mass": boundary, "aliasing": self.aliasing, **self.edges, **drifts}
        return found if self.propagator.limited is None else {**found, "limited": self.limited}


def warnings(diagnostics: Mapping[str, float], tolerance: float, run: Steps) -> list[str]:
    """Sentences about what should not be overlooked."""
    found = []
    is_open = bool(getattr(getattr(run, "propagator", None), "relaxation", None))
    error = diagnostics["estimated_error"]
    if not error <= tolerance:
        remedy = (
            "no shorter step lowers it: it comes from the grid (give a finer or larger one) or from rounding"
            if run.floor
            else "give a smaller step, or none"
        )
        found.append(f"The estimated error {error:.1e} exceeds the tolerance {tolerance:g}; {remedy}.")
    if not diagnostics["boundary_mass"] <= tolerance:
        found.append(
            f"A share {diagnostics['boundary_mass']:.1e} of |W| reached the edge of the grid, where it enters again on "
            "the other side; give a larger grid."
        )
    sharp = max(diagnostics["edge_k"], diagnostics["edge_theta"])
    if not sharp <= tolerance:
        found.append(
            f"The grid's highest wave numbers hold the share {sharp:.1e} of W, so that it has finer structure than the "
            "grid; give a finer grid."
        )
    for name in ("norm",) if is_open else ("norm", "purity"):
        if not diagnostics[f"{name}_drift"] <= max(tolerance, 1e-12):
            found.append(
                f"The {name} drifted by {diagnostics[f'{name}_drift']:.1e}, although every step keeps it; the grid "
                "does not hold the state."
            )
    if diagnostics.get("limited", 0.0) > tolerance:
        found.append(
            f"A share {diagnostics['limited']:.1e} of W lies where the potential overflows, and is not moved by it; "
            "give a smaller grid."
        )
    return found

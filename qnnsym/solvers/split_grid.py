"""Split operators for several degrees of freedom: both exact factors of H = T(p) + U(x) on one grid.

    kinetic     W^(k, p)     <- exp(-i K(p, k) h) W^(k, p),         transforms over all positions
    potential   W^(x, theta) <- exp(+i V(x, theta) h) W^(x, theta), transforms over all momenta

The steps are those of one degree of freedom; time is carried by the kinetic flow in the same way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

from qnnsym.errors import InputError
from qnnsym.solvers.axes import Axes, filled
from qnnsym.solvers.compositions import Composition

# K or V at a time, on arrays of all positions (or their wave numbers) and of all momenta (or theirs) that broadcast.
JointField = Callable[[tuple[np.ndarray, ...], float], np.ndarray]
# Factors kept; each is as large as W itself, so that only those of the composition in use stay.
KEPT_BYTES = 2**30
# Gauss's rule for the integral of a driven kinetic field over a stage, of order 8: nodes and weights on (0, 1).
NODES, WEIGHTS = (np.polynomial.legendre.leggauss(4)[0] + 1) / 2, np.polynomial.legendre.leggauss(4)[1] / 2


class JointPropagator:
    """The two exact flows on a grid of any number of degrees of freedom.

    Arguments:
        axes: the grid.
        kinetic: K on (k_1, ..., p_1, ...), called with these and the time.
        potential: V on (x_1, ..., theta_1, ...), called with these and the time.
        driven: whether K, and whether V, depends on time.
        workers: threads of the transforms.
        start: the first time.

    Attributes:
        transforms: how many real transforms of the whole grid, over half of its axes, were done.
        limited: (share of) the grid where V is not finite, or None; the factor is one there.
    """

    def __init__(
        self,
        axes: Axes,
        kinetic: JointField,
        potential: JointField,
        *,
        driven: tuple[bool, bool] = (False, False),
        workers: int = 1,
        start: float = 0.0,
    ) -> None:
        self.axes, self.workers, self.driven = axes, workers, driven
        self._fields = (kinetic, potential)
        n = axes.dimension
        self._over = (tuple(range(n)), tuple(range(n, 2 * n)))
        self._coordinates = tuple(self._mixed(over) for over in self._over)
        self.limited: np.ndarray | None = None
        self._rates = tuple(self._rate(flow, start) for flow in (0, 1))
        self._idle = tuple(not (moving or rate.any()) for moving, rate in zip(driven, self._rates, strict=True))
        self._factors: dict[tuple[int, float], np.ndarray] = {}
        self.transforms = 0

    def _mixed(self, over: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """All coordinates, those that are transformed replaced by their wave numbers."""
        axes, last = self.axes, over[-1]
        return tuple(
            axes.along(a, axes.waves(a, a == last) if a in over else values) for a, values in enumerate(axes.grid)
        )

    def _rate(self, flow: int, t: float) -> np.ndarray:
        """-K or V at a time, on the grid."""
        coordinates = self._coordinates[flow]
        shape = np.broadcast_shapes(*(c.shape for c in coordinates))
        name = ("kinetic", "potential")[flow]
        with np.errstate(all="ignore"):
            rate = filled(self._fields[flow](coordinates, t), shape, f"The {name} field")
        finite = np.isfinite(rate)
        if flow == 0:
            if not finite.all():
                raise InputError(
                    "The kinetic factor K(p, k) is not finite on the whole grid: the kinetic energy is singular or "
                    "overflows within reach of p +- hbar k/2. Give a grid that is narrower in p or coarser in x."
                )
            np.negative(rate, out=rate)
        elif not finite.all():
            self.limited = ~finite if self.limited is None else self.limited | ~finite
            rate[~finite] = 0.0
        # A Nyquist mode stands for k and -k at once, where an odd symbol takes opposite values: its factor is one.
        for axis in self._over[flow]:
            place = self.axes.nyquist(axis)
            if place is not None:
                rate[(slice(None),) * axis + (place,)] = 0.0
        return rate

    def share_limited(self, w: np.ndarray) -> float:
        """The share of W, in the L2 norm, where the potential is not finite."""
        if self.limited is None:
            return 0.0
        hat = fft.rfftn(w, axes=self._over[1], workers=self.workers)
        power = hat.real**2 + hat.imag**2
        return float(np.sqrt(power[self.limited].sum() / power.sum()))

    def factor(self, flow: int, duration: float, t: float = 0.0) -> np.ndarray:
        """exp(i rate duration) of the kinetic (0) or potential (1) flow from time t; kept if it holds at all times."""
        found = None if self.driven[flow] else self._factors.get((flow, duration))
        if found is not None:
            return found
        if not self.driven[flow]:
            phase = self._rates[flow] * duration
        elif flow == 1:
            phase = self._rate(flow, t) * duration
        else:
            phase = sum(w * self._rate(flow, t + c * duration) for c, w in zip(NODES, WEIGHTS, strict=True)) * duration
        found = np.empty(phase.shape, complex)
        np.cos(phase, out=found.real)
        np.sin(phase, out=found.imag)
        if not self.driven[flow]:
            if (len(self._factors) + 1) * found.nbytes > KEPT_BYTES:
                self._factors.clear()
            self._factors[flow, duration] = found
        return found

    def flow(self, w: np.ndarray, flow: int, duration: float, t: float = 0.0) -> np.ndarray:
        """Apply one exact factor, from time t; w may be overwritten, so use what is returned."""
        if self._idle[flow]:
            return w
        hat = self.transform(w, flow)
        hat *= self.factor(flow, duration, t)
        return self.back(hat, flow)

    def transform(self, w: np.ndarray, flow: int) -> np.ndarray:
        """W^ in the representation of the kinetic (0) or potential (1) flow."""
        self.transforms += 1
        return fft.rfftn(w, axes=self._over[flow], workers=self.workers)

    def back(self, hat: np.ndarray, flow: int) -> np.ndarray:
        """W of what stands in the representation of a flow; hat may be overwritten."""
        self.transforms += 1
        over = self._over[flow]
        lengths = [self.axes.shape[a] for a in over]
        return fft.irfftn(hat, lengths, axes=over, overwrite_x=True, workers=self.workers)

    def rate(self, flow: int, t: float) -> np.ndarray | None:
        """-K or V at a time; None where it is zero."""
        if self._idle[flow]:
            return None
        return self._rate(flow, t) if self.driven[flow] else self._rates[flow]

    def reach(self, flow: int, hbar: float) -> np.ndarray:
        """How far p +- hbar k/2 (flow 0) or x +- hbar theta/2 (flow 1) are from the grid's middle, in halves of it.

        The largest over both signs and all degrees of freedom, in the representation of the flow.
        """
        n, axes, coordinates = self.axes.dimension, self.axes, self._coordinates[flow]
        found = np.zeros(1)
        for i in range(n):
            plain, wave = (n + i, i) if flow == 0 else (i, n + i)
            half = axes.steps[plain] * axes.shape[plain] / 2
            middle = axes.grid[plain][0] + half
            one = np.abs(coordinates[plain] - middle) + hbar / 2 * np.abs(coordinates[wave])
            found = np.maximum(found, one / half)
        return found

    def longest(self, composition: Composition) -> float:
        """The longest step that a composition may take: any."""
        return float("inf")

    def advance(self, w: np.ndarray, composition: Composition, h: float, steps: int, t: float = 0.0) -> np.ndarray:
        """`steps` steps of length h from time t; the last flow of each step is merged with the first of the next."""
        a, b = composition.a, composition.b
        w, now = self.flow(w, 0, a[0] * h, t), t + a[0] * h
        for n in range(steps):
            for stage, coefficient in enumerate(b):
                w = self.flow(w, 1, coefficient * h, now)
                inside = stage + 1 < len(b) or n + 1 == steps
                share = a[stage + 1] if inside else a[-1] + a[0]
                w, now = self.flow(w, 0, share * h, now), now + share * h
        return w

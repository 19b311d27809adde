"""The two exact flows of a Wigner function on a grid, and how a composition strings them together.

    kinetic     W^(k, p)     <- exp(-i K(p, k) h) W^(k, p),       W^(k, p) = int e^{-ikx} W dx
    potential   W^(x, theta) <- exp(+i V(x, theta) h) W^(x, theta), W^(x, theta) = int e^{-ip theta} W dp

Both factors have modulus one, so that every step keeps the L2 norm (the purity), and local errors add up at most
linearly: the sum of the measured ones bounds the error of the whole.

Where a field depends on time, time is one more coordinate that the kinetic flow carries along: the potential flow finds
it standing still, and every composition keeps its order without commutators (S. Blanes, F. Casas, J. Phys. A 39, 5405
(2006)). A kinetic field commutes with itself at all times, so that its flow is exp(-i int K dt), by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from qnnsym.errors import InputError
from qnnsym.solvers.compositions import Composition

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Driven:
    """A field that depends on time.

    Arguments:
        field: called as (first, second, t), the arrays as those of a field that does not.
    """

    field: Callable[[np.ndarray, np.ndarray, float], np.ndarray]


# Columns transformed at once: 128 columns of 512 points stay in the second-level cache.
BLOCK = 128
# Factors kept: those of a step and of the one twice as long, for the longest composition, with room to spare.
KEPT_FACTORS = 64
# Gauss's rule for the integral of a driven kinetic field over a stage, of order 8: nodes and weights on (0, 1).
NODES, WEIGHTS = (np.polynomial.legendre.leggauss(4)[0] + 1) / 2, np.polynomial.legendre.leggauss(4)[1] / 2


class SplitPropagator:
    """The two exact flows on one grid.

    Arguments:
        grid: (x, p), uniform, endpoints excluded.
        kinetic: K(p, k) on broadcast arrays p[None, :], k[:, None].
        potential: V(x, theta) on broadcast arrays x[:, None], theta[None, :].
        workers: threads of the transforms.

    Attributes:
        limited: (nx, ntheta) where V is not finite, or None; the factor is one there.
        transforms: how many real transforms of the whole grid were done, forward or back.
    """

    def __init__(
        self,
        grid: tuple[np.ndarray, np.ndarray],
        kinetic: Field | Driven,
        potential: Field | Driven,
        workers: int = 1,
        start: float = 0.0,
    ) -> None:
        x, p = grid
        self.shape = (x.size, p.size)
        self.workers = workers
        self.k = 2 * np.pi * fft.rfftfreq(x.size, x[1] - x[0])
        self.theta = 2 * np.pi * fft.rfftfreq(p.size, p[1] - p[0])
        self._axes = ((p[None, :], self.k[:, None]), (x[:, None], self.theta[None, :]))
        self._fields = (kinetic, potential)
        self.driven = tuple(isinstance(f, Driven) for f in self._fields)
        self.limited: np.ndarray | None = None
        self._rates = tuple(self._rate(flow, start) for flow in (0, 1))
        self._idle = tuple(not (driven or r.any()) for driven, r in zip(self.driven, self._rates, strict=True))
        self._factors: dict[tuple[int, float], np.ndarray] = {}
        self.transforms = 0

    def _rate(self, flow: int, t: float) -> np.ndarray:
        """-K or V at a time, on the grid."""
        field, axes = self._fields[flow], self._axes[flow]
        shape = (self.k.size, self.shape[1]) if flow == 0 else (self.shape[0], self.theta.size)
        with np.errstate(all="ignore"):
            values = field.field(*axes, t) if isinstance(field, Driven) else field(*axes)
        rate = _filled(values, shape, ("kinetic", "potential")[flow])
        finite = np.isfinite(rate)
        if flow == 0:
            if not finite.all():
                raise InputError(
                    "The kinetic factor K(p, k) is not finite on the whole grid: the kinetic energy is singular or "
                    "overflows within reach of p +- hbar k/2. Give a grid that is narrower in p or coarser in x."
                )
            rate = -rate
        elif not finite.all():
            # V takes the potential at x +- hbar theta/2, far outside the grid; where it overflows a state has no
            # amplitude, and any factor of modulus one will do. `Record` measures that the amplitude is indeed absent.
            self.limited = ~finite if self.limited is None else self.limited | ~finite
            rate[~finite] = 0.0
        # The Nyquist mode cos(pi n) stands for k and -k at once, where an odd symbol takes opposite values: a factor
        # other than a real one would make W complex, and of these only one keeps the norm and is continuous in time.
        if self.shape[flow] % 2 == 0:
            rate[(-1, slice(None)) if flow == 0 else (slice(None), -1)] = 0.0
        return rate

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
            if len(self._factors) >= KEPT_FACTORS:
                self._factors.clear()
            self._factors[flow, duration] = found
        return found

    def flow(self, w: np.ndarray, flow: int, duration: float, t: float = 0.0) -> np.ndarray:
        """Apply one exact factor, from time t; w may be overwritten, so use what is returned."""
        if self._idle[flow]:
            return w
        factor, length, workers = self.factor(flow, duration, t), self.shape[flow], self.workers
        self.transforms += 2
        if flow == 1 or workers != 1:
            hat = fft.rfft(w, axis=flow, workers=workers)
            hat *= factor
            return fft.irfft(hat, length, axis=flow, overwrite_x=True, workers=workers)
        # The transform along the strided axis is the dear one; in blocks of columns it stays in the cache.
        for start in range(0, self.shape[1], BLOCK):
            columns = slice(start, start + BLOCK)
            hat = fft.rfft(w[:, columns], axis=0)
            hat *= factor[:, columns]
            w[:, columns] = fft.irfft(hat, length, axis=0, overwrite_x=True)
        return w

    def advance(self, w: np.ndarray, composition: Composition, h: float, steps: int, t: float = 0.0) -> np.ndarray:
        """`steps` steps of length h from time t; w may be overwritten.

        The last flow of each step is merged with the first of the next.
        """
        a, b = composition.a, composition.b
        w, now = self.flow(w, 0, a[0] * h, t), t + a[0] * h
        for n in range(steps):
            for stage, coefficient in enumerate(b):
                w = self.flow(w, 1, coefficient * h, now)
                inside = stage + 1 < len(b) or n + 1 == steps
                share = a[stage + 1] if inside else a[-1] + a[0]
                w, now = self.flow(w, 0, share * h, now), now + share * h
        return w


def _filled(values: Any, shape: tuple[int, int], name: str) -> np.ndarray:
    try:
        return np.array(np.broadcast_to(np.asarray(values, dtype=float), shape))
    except (TypeError, ValueError):
        raise InputError(
            f"The {name} field has the shape {np.shape(values)} or is not real; it has to broadcast to {shape}."
        ) from None

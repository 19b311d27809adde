"""The two exact flows of a Wigner function on a grid, and how a composition strings them together.

    kinetic     W^(k, p)     <- exp(-i K(p, k) h) W^(k, p),       W^(k, p) = int e^{-ikx} W dx
    potential   W^(x, theta) <- exp(+i V(x, theta) h) W^(x, theta), W^(x, theta) = int e^{-ip theta} W dp

Both factors have modulus one, so that every step keeps the L2 norm (the purity), and local errors add up at most
linearly: the sum of the measured ones bounds the error of the whole.

Where a field depends on time, time is one more coordinate that the kinetic flow carries along: the potential flow finds
it standing still, and every composition keeps its order without commutators (S. Blanes, F. Casas, J. Phys. A 39, 5405
(2006)). A kinetic field commutes with itself at all times, so that its flow is exp(-i int K dt), by quadrature.

Open terms (`relaxation`) are diffusion, which adds a decay to both factors, and a drift, in whose moving coordinates a
step is taken. A composition then runs diffusion backwards in its negative stages; this multiplies rounding, which the
measured errors show, and Strang's composition has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from qnnsym.errors import InputError
from qnnsym.solvers.compositions import Composition
from qnnsym.solvers.relaxation import Relaxation, scaling

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
# Diffusion run backwards may multiply by no more than e to this: enough to be seen as an error, and no overflow.
MOST_GROWTH = 50.0
BACKWARDS = 1e3


@dataclass(frozen=True)
class Kick:
    """A factor that is applied at once, at all multiples of a period.

    Arguments:
        field: V(x, theta), or K(p, k) where `kinetic`; the factor is exp(i V) or exp(-i K).
        period: time between kicks, positive.
        kinetic: whether it acts on the momenta.
    """

    field: Field | Driven
    period: float
    kinetic: bool = False


KINETIC, POTENTIAL, KICK = 0, 1, 2


class SplitPropagator:
    """The exact flows on one grid: kinetic (0), potential (1) and kick (2).

    Arguments:
        grid: (x, p), uniform, endpoints excluded.
        kinetic: K(p, k) on broadcast arrays p[None, :], k[:, None].
        potential: V(x, theta) on broadcast arrays x[:, None], theta[None, :].
        workers: threads of the transforms.
        start: the first time.
        kick: a factor that is applied at once, or None.
        relaxation: open terms, or None.

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
        kick: Kick | None = None,
        relaxation: Relaxation | None = None,
    ) -> None:
        x, p = grid
        self.shape = (x.size, p.size)
        self.workers = workers
        self.relaxation = relaxation or Relaxation()
        self.k = 2 * np.pi * fft.rfftfreq(x.size, x[1] - x[0])
        self.theta = 2 * np.pi * fft.rfftfreq(p.size, p[1] - p[0])
        self._grid = (x, p)
        self._fields = (kinetic, potential, *([kick.field] if kick else []))
        # The axis along which a flow transforms.
        self._axis = (0, 1, *([0 if kick.kinetic else 1] if kick else []))
        # Where time enters otherwise than by the duration: by a drive, or by coordinates that move.
        self.driven = tuple(isinstance(f, Driven) for f in self._fields)
        self.limited: np.ndarray | None = None
        self._rates = tuple(self._rate(flow, start) for flow in range(len(self._fields)))
        decays = (*map(bool, self.relaxation.diffusions), False)
        self._idle = tuple(
            not (driven or r.any() or decays[flow])
            for flow, (driven, r) in enumerate(zip(self.driven, self._rates, strict=True))
        )
        self._factors: dict[tuple[int, float, float], np.ndarray] = {}
        self._scalings: dict[tuple[int, float], np.ndarray] = {}
        self.transforms = 0

    def _axes(self, axis: int, s: float) -> tuple[np.ndarray, np.ndarray]:
        """(p, k) or (x, theta), of coordinates that have moved with the drift for a time s."""
        (x, p), (a, b) = self._grid, self.relaxation.drifts
        if axis == 0:
            return (p * math.exp(-b * s))[None, :], (self.k * math.exp(a * s))[:, None]
        return (x * math.exp(-a * s))[:, None], (self.theta * math.exp(b * s))[None, :]

    def _rate(self, flow: int, t: float, s: float = 0.0) -> np.ndarray:
        """-K or V at a time, on the grid."""
        field, axis = self._fields[flow], self._axis[flow]
        axes = self._axes(axis, s)
        shape = (self.k.size, self.shape[1]) if axis == 0 else (self.shape[0], self.theta.size)
        with np.errstate(all="ignore"):
            values = field.field(*axes, t) if isinstance(field, Driven) else field(*axes)
        rate = _filled(values, shape, ("kinetic", "potential", "kick")[flow])
        finite = np.isfinite(rate)
        if axis == 0:
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
        if self.shape[axis] % 2 == 0:
            rate[(-1, slice(None)) if axis == 0 else (slice(None), -1)] = 0.0
        return rate

    def factor(self, flow: int, duration: float, t: float = 0.0, s: float = 0.0) -> np.ndarray:
        """The factor of a flow from time t, in coordinates moved for a time s; kept if it holds at all times."""
        key = (flow, duration, s)
        found = None if self.driven[flow] else self._factors.get(key)
        if found is not None:
            return found
        if flow != KINETIC:
            rate = self._rate(flow, t, s) if self.driven[flow] or s else self._rates[flow]
            phase, decay = rate * duration, self._decay(flow, s)
        elif not (self.driven[flow] or self.relaxation.moves):
            phase, decay = self._rates[flow] * duration, self._decay(flow, s)
        else:
            # The kinetic flow carries the time along.
            at = [(w, c * duration) for c, w in zip(NODES, WEIGHTS, strict=True)]
            phase = sum(w * self._rate(flow, t + c, s + c) for w, c in at) * duration
            decay = sum(w * self._decay(flow, s + c) for w, c in at)
        found = np.empty(np.shape(phase), complex)
        np.cos(phase, out=found.real)
        np.sin(phase, out=found.imag)
        if np.ndim(decay):
            found *= np.exp(np.minimum(-duration * decay, MOST_GROWTH))
        if not self.driven[flow]:
            if len(self._factors) >= KEPT_FACTORS:
                self._factors.clear()
            self._factors[key] = found
        return found

    def _decay(self, flow: int, s: float) -> Any:
        """D k^2 or D theta^2, where a flow has it."""
        if flow == KICK or not self.relaxation.diffusions[flow]:
            return 0.0
        return self.relaxation.diffusions[flow] * self._axes(flow, s)[1] ** 2

    def longest(self, composition: Composition) -> float:
        """The longest step whose negative stages, which run diffusion backwards, multiply rounding by no more than
        BACKWARDS."""
        growth = 0.0
        for flow, row in enumerate((composition.a, composition.b)):
            negative = -sum(c for c in row if c < 0)
            growth = max(growth, negative * float(np.max(self._decay(flow, 0.0))))
        return math.log(BACKWARDS) / growth if growth else math.inf

    def flow(self, w: np.ndarray, flow: int, duration: float, t: float = 0.0, s: float = 0.0) -> np.ndarray:
        """Apply one exact factor, from time t; w may be overwritten, so use what is returned."""
        if self._idle[flow]:
            return w
        axis, workers = self._axis[flow], self.workers
        factor, length = self.factor(flow, duration, t, s), self.shape[axis]
        self.transforms += 2
        if axis == 1 or workers != 1:
            hat = fft.rfft(w, axis=axis, workers=workers)
            hat *= factor
            return fft.irfft(hat, length, axis=axis, overwrite_x=True, workers=workers)
        # The transform along the strided axis is the dear one; in blocks of columns it stays in the cache.
        for start in range(0, self.shape[1], BLOCK):
            columns = slice(start, start + BLOCK)
            hat = fft.rfft(w[:, columns], axis=0)
            hat *= factor[:, columns]
            w[:, columns] = fft.irfft(hat, length, axis=0, overwrite_x=True)
        return w

    def kicked(self, w: np.ndarray, t: float) -> np.ndarray:
        """W after the kick at time t; w may be overwritten."""
        return self.flow(w, KICK, 1.0, t)

    def drifted(self, w: np.ndarray, duration: float) -> np.ndarray:
        """W after the drift alone."""
        for axis, rate in enumerate(self.relaxation.drifts):
            if rate:
                matrix = self._scalings.get((axis, duration))
                if matrix is None:
                    if len(self._scalings) >= KEPT_FACTORS:
                        self._scalings.clear()
                    matrix = self._scalings[axis, duration] = scaling(self._grid[axis], rate * duration)
                w = matrix @ w if axis == 0 else w @ matrix.T
        return w

    def advance(self, w: np.ndarray, composition: Composition, h: float, steps: int, t: float = 0.0) -> np.ndarray:
        """`steps` steps of length h from time t; w may be overwritten.

        Without a drift the last flow of each step is merged with the first of the next.
        """
        if self.relaxation.moves:
            return self._advance_moving(w, composition, h, steps, t)
        a, b = composition.a, composition.b
        w, now = self.flow(w, 0, a[0] * h, t), t + a[0] * h
        for n in range(steps):
            for stage, coefficient in enumerate(b):
                w = self.flow(w, 1, coefficient * h, now)
                inside = stage + 1 < len(b) or n + 1 == steps
                share = a[stage + 1] if inside else a[-1] + a[0]
                w, now = self.flow(w, 0, share * h, now), now + share * h
        return w

    def _advance_moving(self, w: np.ndarray, composition: Composition, h: float, steps: int, t: float) -> np.ndarray:
        """The same in coordinates that move with the drift; neighbouring scalings are merged."""
        w = self.drifted(w, h / 2)
        for n in range(steps):
            s = -h / 2
            middle = t + n * h - s
            for stage, share in enumerate(composition.a):
                w, s = self.flow(w, 0, share * h, middle + s, s), s + share * h
                if stage < len(composition.b):
                    w = self.flow(w, 1, composition.b[stage] * h, middle + s, s)
            w = self.drifted(w, h if n + 1 < steps else h / 2)
        return w


def _filled(values: Any, shape: tuple[int, int], name: str) -> np.ndarray:
    try:
        return np.array(np.broadcast_to(np.asarray(values, dtype=float), shape))
    except (TypeError, ValueError):
        raise InputError(
            f"The {name} field has the shape {np.shape(values)} or is not real; it has to broadcast to {shape}."
        ) from None

"""External signals as piecewise polynomials, which the compiled driver evaluates at its stage times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from qnnsym.errors import InputError

DEGREE = 7
MAX_PIECES = 20_000


@dataclass(frozen=True)
class PiecewisePolynomial:
    """Values of several channels over time.

    Arguments:
        breaks: (pieces + 1,) ascending; outside them the first and last piece go on.
        pieces: (pieces, degree + 1, channels), coefficients of powers of t minus the piece's left break.
        jumps: breaks at which a value or derivative jumps: the integrator has to restart there.
        error: the largest error of the tabulation found, relative to the channel's largest value.
    """

    breaks: np.ndarray
    pieces: np.ndarray
    jumps: tuple[float, ...] = ()
    error: float = 0.0

    def __call__(self, t: float) -> np.ndarray:
        """The values at one time."""
        at = int(np.clip(np.searchsorted(self.breaks, t, side="right") - 1, 0, len(self.pieces) - 1))
        return np.polynomial.polynomial.polyval(t - self.breaks[at], self.pieces[at])

    @property
    def channels(self) -> int:
        return self.pieces.shape[2]

    @classmethod
    def constant(cls, values: Sequence[float]) -> PiecewisePolynomial:
        """Values that do not depend on time."""
        values = np.asarray(values, dtype=float)
        return cls(np.array([0.0, 1.0]), np.ascontiguousarray(values.reshape(1, 1, -1)))


def tabulate(
    function: Callable[[float], Sequence[float]],
    start: float,
    stop: float,
    tolerance: float = 1e-12,
    breakpoints: Sequence[float] = (),
) -> PiecewisePolynomial:
    """Tabulate a function of time by polynomials on pieces that are halved until the error is met.

    Arguments:
        function: f(t) -> values of all channels.
        start, stop: the interval, in either order.
        tolerance: largest error between the nodes, relative to each channel's largest value.
        breakpoints: times at which the function may jump.

    Raises:
        InputError: where a value is not finite, or the function is not smooth enough to be met; declare its jumps.
    """
    low, high = min(start, stop), max(start, stop)
    inner = sorted(b for b in breakpoints if low < b < high)
    edges = [low, *inner, high]
    nodes = 0.5 - 0.5 * np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    tests = np.linspace(0.02, 0.98, 9)
    to_powers = np.linalg.inv(np.vander(nodes, increasing=True))
    waiting = list(pairwise(edges))[::-1]
    breaks, pieces, scale, worst = [low], [], np.zeros(0), 0.0
    while waiting:
        a, b = waiting.pop()
        values = _values(function, a + (b - a) * nodes)
        check = _values(function, a + (b - a) * tests)
        scale = np.maximum(scale if scale.size else 0.0, np.abs(check).max(axis=0))
        coefficients = to_powers @ values
        gap = np.abs(np.vander(tests, DEGREE + 1, increasing=True) @ coefficients - check).max(axis=0)
        error = float(np.max(gap / np.where(scale > 0, scale, 1.0), initial=0.0))
        if error > tolerance:
            if len(pieces) + len(waiting) > MAX_PIECES or b - a < 1e-13 * max(1.0, high - low):
                channel = int(np.argmax(gap))
                raise InputError(
                    f"Channel {channel} of a signal cannot be tabulated to {tolerance:g} near t = {a:.6g}: it is not "
                    "smooth there. Give the times of its jumps as breakpoints."
                )
            middle = 0.5 * (a + b)
            waiting += [(middle, b), (a, middle)]
            continue
        worst = max(worst, error)
        breaks.append(b)
        pieces.append(coefficients / (b - a) ** np.arange(DEGREE + 1)[:, None])
    return PiecewisePolynomial(np.array(breaks), np.ascontiguousarray(pieces), tuple(inner), worst)


def _values(function: Callable[[float], Sequence[float]], times: np.ndarray) -> np.ndarray:
    rows = [np.atleast_1d(np.asarray(function(float(t)), dtype=float)).ravel() for t in times]
    if len({row.size for row in rows}) != 1:
        raise InputError("A signal returns arrays of different lengths at different times; make them equal.")
    values = np.array(rows)
    if not np.isfinite(values).all():
        bad = times[~np.isfinite(values).all(axis=1)][0]
        raise InputError(f"A signal is not finite at t = {bad:.6g}; it has to be finite on the whole interval.")
    return values

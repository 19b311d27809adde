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
    nodes, to_chebyshev, to_powers = interpolation_matrices()
    tests = np.linspace(0.02, 0.98, 9)
    narrow = max(1e-13 * max(1.0, high - low), 16 * np.finfo(float).eps * max(abs(low), abs(high)))
    waiting = list(pairwise(edges))[::-1]
    breaks, pieces, scale, worst = [low], [], np.zeros(0), 0.0
    while waiting:
        a, b = waiting.pop()
        at, between = a + (b - a) * nodes, a + (b - a) * tests
        values, check = _values(function, at), _values(function, between)
        scale = np.maximum(scale if scale.size else 0.0, np.abs(check).max(axis=0))
        coefficients = to_powers @ (to_chebyshev @ values)
        # Far from t = 0 the times are rounded: the polynomial is moved to where the values were taken.
        coefficients += to_powers @ (to_chebyshev @ (values - _powers((at - a) / (b - a)) @ coefficients))
        gap = np.abs(_powers((between - a) / (b - a)) @ coefficients - check).max(axis=0)
        gap = gap / np.where(scale > 0, scale, 1.0)
        error = float(np.max(gap, initial=0.0))
        if error > tolerance:
            if len(pieces) + len(waiting) > MAX_PIECES or b - a < narrow:
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


def _powers(x: np.ndarray) -> np.ndarray:
    return np.vander(x, DEGREE + 1, increasing=True)


def interpolation_matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes in [0, 1], the matrix from values there to Chebyshev coefficients, and from these to powers.

    The inverse Vandermonde matrix in one piece would amplify rounding to 1e-12. Chebyshev coefficients come without
    such loss, and the large entries of the second matrix, whole numbers, meet only the small high ones.
    """
    n = DEGREE + 1
    angles = np.pi * (np.arange(n) + 0.5) / n
    to_chebyshev = (-1.0) ** np.arange(n)[:, None] * np.cos(np.outer(np.arange(n), angles)) * 2 / n
    to_chebyshev[0] /= 2
    to_powers = np.zeros((n, n))
    to_powers[0, 0], to_powers[:2, 1] = 1, (-1, 2)
    for k in range(2, n):
        previous = to_powers[:, k - 1]
        to_powers[:, k] = 4 * np.roll(previous, 1) - 2 * previous - to_powers[:, k - 2]
    return 0.5 - 0.5 * np.cos(angles), to_chebyshev, to_powers


def _values(function: Callable[[float], Sequence[float]], times: np.ndarray) -> np.ndarray:
    rows = [np.atleast_1d(np.asarray(function(float(t)), dtype=float)).ravel() for t in times]
    if len({row.size for row in rows}) != 1:
        raise InputError("A signal returns arrays of different lengths at different times; make them equal.")
    values = np.array(rows)
    if not np.isfinite(values).all():
        bad = times[~np.isfinite(values).all(axis=1)][0]
        raise InputError(f"A signal is not finite at t = {bad:.6g}; it has to be finite on the whole interval.")
    return values

"""exp(L t) W of a skew operator L by Chebyshev polynomials: one application of L for each unit of (largest rate) t.

    exp(L t) = J_0(z) + 2 sum_k J_k(z) F_k(L/R),   z = R t,   F_(k+1)(A) = 2 A F_k(A) + F_(k-1)(A)

An explicit Runge-Kutta step is bound to the same rate R by stability and needs two to four times as many applications;
here the error falls faster than any power once k exceeds z.

Source: H. Tal-Ezer, R. Kosloff, J. Chem. Phys. 81, 3967 (1984).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import jv

from qnnsym.errors import InputError
from qnnsym.solvers.table_operator import TableOperator

# Longest expansion; a longer one saves little, and its rounding would be seen late.
LONGEST = 500.0
# More applications than this are refused.
MOST = 20_000_000


class Chebyshev:
    """Advances W over output intervals; offers what `Steps` offers to the loop that drives either.

    Arguments:
        operator: L, not driven.
        tolerance: of the whole evolution, relative in L2.
        times: output times.

    Attributes:
        rate: bound R of the largest rate.
        steps, longest, order: number of expansions, the longest in time, 0 for their order in the step has no end.

    Raises:
        InputError: for an operator that depends on time, and for evolutions that would never end.
    """

    name, order = "chebyshev", 0

    def __init__(self, operator: TableOperator, tolerance: float, times: np.ndarray) -> None:
        if any(operator.driven):
            raise InputError(
                "The Chebyshev expansion holds for an H that does not depend on time; use method='dop853' or 'rk4'."
            )
        self.operator, self.tolerance = operator, tolerance
        self.rate = operator.largest_rate(float(times[0]))
        self.span = abs(float(times[-1] - times[0]))
        check_work(self.rate, self.span, 1.0)
        self.sum, self.steps, self.longest = 0.0, 0, 0.0
        self.floor, self.exhausted, self.back = 0.0, False, None

    def total_error(self) -> float:
        """The sum of what the expansions left out, and of rounding, relative to the norm of W."""
        return self.sum + np.finfo(float).eps / 4 * self.operator.evaluations

    def interval(
        self, w: np.ndarray, n: int, start: float, duration: float, done: float = 0.0
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Advance by output interval n from a time on; yields (share done, W), the last with 1."""
        whole = (1 - done) * duration
        count = max(1, math.ceil(abs(whole) * self.rate / LONGEST))
        for part in range(count):
            w = self._expand(w, whole / count)
            self.steps += 1
            self.longest = max(self.longest, abs(whole) / count)
            yield (1.0 if part + 1 == count else done + (1 - done) * (part + 1) / count), w

    def _expand(self, w: np.ndarray, h: float) -> np.ndarray:
        z = h * self.rate
        if z == 0:
            return w
        share = 0.1 * self.tolerance * abs(h) / self.span
        coefficients = _coefficients(z, max(share, 1e-16))
        self.sum += share
        before, now = w, self.operator.apply(w) / self.rate
        total = coefficients[0] * before + coefficients[1] * now
        for c in coefficients[2:]:
            after = self.operator.apply(now)
            after *= 2 / self.rate
            after += before
            before, now = now, after
            total += c * now
        return total


def _coefficients(z: float, rest: float) -> np.ndarray:
    """J_0(z), 2 J_1(z), ... up to where all that follow add up to less than the rest."""
    top = math.ceil(abs(z) + 12 * max(abs(z), 1.0) ** (1 / 3) + 20)
    values = 2 * jv(np.arange(top + 1), z)
    values[0] /= 2
    tails = np.cumsum(np.abs(values[::-1]))[::-1]
    return values[: max(2, int(np.searchsorted(-tails, -rest)))]


def check_work(rate: float, span: float, applications: float) -> None:
    """Refuse what would never end.

    Arguments:
        rate: the largest rate of change.
        span: length of time.
        applications: of the operator, for each unit of rate times time.
    """
    needed = applications * rate * span
    if not needed <= MOST:
        raise InputError(
            f"The fastest modes of the grid turn at the rate {rate:.3g}, so that t = {span:g} takes about {needed:.1e} "
            f"evaluations of the right-hand side, over {MOST:.0e}; give a coarser or smaller grid, or shorter times."
        )

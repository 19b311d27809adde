"""Orders of convergence fitted in the asymptotic range only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qnnsym.checks.check import FAIL, PASS, Check

# A window of points is asymptotic when its local slopes differ by no more than this.
STEADY = 0.25
LEAST = 4


@dataclass(frozen=True)
class Order:
    """A fitted power of a small parameter.

    Attributes:
        slope: fitted exponent.
        uncertainty: its standard error.
        local: slopes between neighbouring points, over all points.
        used: indices of the points fitted.
    """

    slope: float
    uncertainty: float
    local: tuple[float, ...]
    used: tuple[int, ...]


def fit_order(h: Sequence[float], errors: Sequence[float], floor: float = 0.0) -> Order | None:
    """Fit errors ~ h^slope over the longest steady window at the small end.

    Arguments:
        h: the small parameter, positive.
        errors: positive errors.
        floor: errors at or below it are rounding or tolerance and are left out.

    Returns:
        The order, or None when fewer than four points are steady.
    """
    order = np.argsort(h)[::-1]
    x, y = np.log(np.asarray(h, float)[order]), np.asarray(errors, float)[order]
    valid = np.flatnonzero(np.isfinite(y) & (y > floor))
    if valid.size < LEAST:
        return None
    x, y, index = x[valid], np.log(y[valid]), order[valid]
    local = np.diff(y) / np.diff(x)
    # The smallest parameters are the most asymptotic: the window ends there and grows towards the large ones.
    for start in range(0, len(x) - LEAST + 1):
        window = local[start:]
        if np.ptp(window) <= STEADY:
            (slope, _), covariance = np.polyfit(x[start:], y[start:], 1, cov=True)
            used = tuple(int(i) for i in index[start:])
            return Order(float(slope), float(np.sqrt(covariance[0, 0])), tuple(map(float, local)), used)
    return None


def order_check(
    name: str,
    quantity: str,
    h: Sequence[float],
    errors: Sequence[float],
    expected: float,
    source: str,
    tolerance: float = 0.2,
    floor: float = 0.0,
) -> Check:
    """The fitted order against theory; fewer than four steady points fail, with what to do, and so does a NaN.

    Errors that are all at or below the floor are reported as zero, not as an order.
    """
    values = np.asarray(errors, float)
    listed = ", ".join(f"{a:.3g}: {b:.2e}" for a, b in zip(h, values, strict=True))
    if not np.isfinite(values).all():
        detail = f"an error is not finite: the solution blew up or was not measured ({listed})"
        return Check(name, quantity, float(expected), "not finite", tolerance, FAIL, source, detail)
    if values.size and (values <= floor).all():
        return Check(
            name, quantity, float(expected), "identically zero", None, PASS, source,
            f"all {values.size} differences lie below {floor:.1e}",
        )  # fmt: skip
    fit = fit_order(h, errors, floor)
    if fit is None:
        advice = "take smaller parameters or a tighter tolerance"
        detail = f"fewer than {LEAST} points with steady slopes; {advice} ({listed})"
        return Check(name, quantity, float(expected), "no steady slope", tolerance, FAIL, source, detail)
    detail = f"{len(fit.used)} points, slope {fit.slope:.3f} +- {fit.uncertainty:.3f} ({listed})"
    return Check.close(name, quantity, expected, fit.slope, tolerance, source, detail)

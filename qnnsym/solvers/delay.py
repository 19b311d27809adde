"""Delay equations y'(t) = f(t, y(t), y(t - lag_1), ...) by the method of steps.

The right-hand side is an ordinary kernel that finds the lagged values in `ext`, after the signals; the compiled driver
reads them from its own dense output (order 8 with an interpolant of degree 7). Steps end where derivatives jump: at the
start plus sums of lags, as far as the jump's order matters.

Source: A. Bellen, M. Zennaro, Numerical Methods for Delay Differential Equations (2003), chapters 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import factorial
from typing import Any

import numpy as np
from scipy.interpolate import make_interp_spline

from qnnsym.errors import InputError
from qnnsym.solvers.memory import Memory
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.solution import Solution, finite_array
from qnnsym.solvers.tables import DEGREE, PiecewisePolynomial, tabulate

# A jump in the derivative of order 9 is below what a method of order 8 notices.
SMOOTH = 9
# Histories are tabulated to this, relative to each component's largest value.
HISTORY_TOLERANCE = 2e-14
MOST_BREAKPOINTS = 100_000


class DelayProblem(Problem):
    """An initial-value problem with constant delays.

    Arguments:
        kernel, state, times: as for `Problem`; times ascend, and the history ends at the first of them.
        lags: positive delays.
        lagged: (lag's number, component) of every lagged value, in the order in which the kernel reads them.
        history: the state before the first time: an array (n,), constant; a function t -> (n,); or (times, values) with
            values (m, n), joined by a spline of degree 7 (less where there are fewer than 8 values); or a
            PiecewisePolynomial.
        sums: {component: lag's number} of components whose lagged value is the sum over all lags that have passed,
            S(t - lag) with S(t) = y(t) + S(t - lag) and S = history before; then jumps do not smooth out.
        jumps: further times before or after the start at which the history or the signals jump.
        options: the further arguments of `Problem`.

    Raises:
        InputError: for delays that are not positive numbers (among them functions of the state), times that descend,
            and histories that do not cover the longest lag.
    """

    def __init__(
        self,
        kernel: Any,
        state: Any,
        times: Any,
        *,
        lags: Sequence[float],
        lagged: Sequence[tuple[int, int]],
        history: Any,
        sums: Mapping[int, int] | None = None,
        jumps: Sequence[float] = (),
        **options: Any,
    ) -> None:
        super().__init__(kernel, state, times, **options)
        self.lags = np.array([checked_lag(lag) for lag in lags])
        start, stop = self.times[0], self.times[-1]
        if stop < start:
            raise InputError("The times descend; a delay equation is integrated forwards only, give ascending times.")
        sums = dict(sums or {})
        self._channels, self._kept = _channels(lagged, sums, self.lags.size, self.state.size)
        reach = start - self.lags.max()
        self.history = history_table(history, reach, start, self.state.size, "The history", jumps)
        sources = [start, *self.history.jumps, *self.breakpoints, *jumps]
        inside = propagated(sources, self.lags, start, stop, None if sums else SMOOTH)
        self.breakpoints = tuple(inside)

    def memory(self) -> Memory:
        """A new memory that begins with the history."""
        pieces = np.ascontiguousarray(self.history.pieces[:, :, self._kept[:, 0]])
        table = PiecewisePolynomial(self.history.breaks, pieces)
        return Memory(self.lags, self._channels, self._kept, table)

    def solve(self, method: str = "auto", *arguments: Any, **options: Any) -> Solution:
        """Integrate; see `Problem.solve`. The method is dop853: it alone has a dense output to read lags from."""
        if method not in ("auto", "dop853"):
            raise InputError(f"The method {method!r} keeps no dense output for delayed values; use 'dop853'.")
        return super().solve("dop853", *arguments, **options)


def checked_lag(lag: Any) -> float:
    """A delay as a positive number.

    Raises:
        InputError: for anything else; a delay that depends on the state says so.
    """
    if callable(lag) or (hasattr(lag, "free_symbols") and lag.free_symbols):
        raise InputError(
            f"The delay {lag!r} depends on time or state; delays are constant here, for the times at which derivatives "
            "jump have to be known beforehand. Give a positive number."
        )
    try:
        value = float(lag)
    except (TypeError, ValueError):
        value = float("nan")
    if isinstance(lag, bool) or not (np.isfinite(value) and value > 0):
        raise InputError(f"The delay is {lag!r}; give a positive number.")
    return value


def _channels(
    lagged: Sequence[tuple[int, int]], sums: Mapping[int, int], lags: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Tables of lagged values and of stored channels: a component is stored once, its sum once more."""
    for lag, component in lagged:
        if not (0 <= lag < lags and 0 <= component < size):
            raise InputError(
                f"The lagged value ({lag}, {component}) does not exist; there are {lags} lags and {size} components."
            )
    stored: dict[tuple[int, int], int] = {}
    table = []
    for lag, component in lagged:
        key = (component, sums.get(component, -1))
        table.append((lag, stored.setdefault(key, len(stored))))
    kept = np.array(list(stored), np.int64).reshape(-1, 2)
    return np.array(table, np.int64).reshape(-1, 2), kept


def history_table(
    history: Any, reach: float, start: float, size: int, what: str, jumps: Sequence[float] = ()
) -> PiecewisePolynomial:
    """A history on [reach, start] as piecewise polynomials.

    Arguments:
        history: array (size,), function of t, (times, values (m, size)), or a table, which is returned as it is.
        reach, start: where it has to begin, and where it ends.
        size: components.
        what: its name in messages.
        jumps: times at which a function may jump.

    Raises:
        InputError: for histories of a wrong shape, and such that do not cover the interval.
    """
    if isinstance(history, PiecewisePolynomial):
        return history
    if callable(history):
        return _tabulated(history, reach, start, size, what, jumps)
    if isinstance(history, tuple) and len(history) == 2:
        return _spline(*history, reach, start, size, what)
    values = finite_array(history, (size,), what)
    return PiecewisePolynomial(np.array([reach, start]), values.reshape(1, 1, size).copy())


def _tabulated(history: Callable, reach: float, start: float, size: int, what: str, jumps: Any) -> PiecewisePolynomial:
    def value(t: float) -> np.ndarray:
        try:
            given = history(t)
        except Exception as error:  # the user's function raises whatever it likes
            raise InputError(
                f"{what} cannot be evaluated at t = {t:.6g} ({error}); it has to be given on the whole of "
                f"[{reach:g}, {start:g}]."
            ) from error
        return finite_array(given, (size,), f"{what} at t = {t:.6g}, within [{reach:g}, {start:g}],")

    return tabulate(value, reach, start, HISTORY_TOLERANCE, [j for j in jumps if reach < j < start])


def _spline(times: Any, values: Any, reach: float, start: float, size: int, what: str) -> PiecewisePolynomial:
    times = finite_array(times, (np.size(times),), f"{what}: its times")
    values = finite_array(values, (times.size, size), f"{what}: its values")
    if times.size < 2 or not (np.diff(times) > 0).all():
        raise InputError(f"{what} has the times {times}; give at least two that ascend.")
    slack = 1e-12 * max(1.0, abs(reach), abs(start))
    if times[0] > reach + slack or times[-1] < start - slack:
        raise InputError(
            f"{what} covers [{times[0]:g}, {times[-1]:g}], and [{reach:g}, {start:g}] is needed: it is shorter than "
            "the delay. Give it on the whole interval."
        )
    degree = min(DEGREE, times.size - 1)
    degree = max(1, degree - 1 + degree % 2)
    spline = make_interp_spline(times, values, k=degree)
    breaks = np.unique(spline.t)
    inner = breaks[(breaks > reach + slack) & (breaks < start - slack)]
    edges = np.concatenate([[reach], inner, [start]])
    lefts = np.clip(edges[:-1], times[0], times[-1])
    # Taylor coefficients at the left edge of each piece.
    rows = [spline(lefts, nu=power) / factorial(power) for power in range(degree + 1)]
    pieces = np.stack(rows, axis=1)
    return PiecewisePolynomial(edges, np.ascontiguousarray(pieces))


def propagated(
    sources: Sequence[float], lags: np.ndarray, start: float, stop: float, levels: int | None
) -> list[float]:
    """Times within (start, stop) to which jumps travel: sources plus sums of at most `levels` lags (None: any number).

    Raises:
        InputError: where there are more than 100,000 of them.
    """
    scale = 1e-11 * max(abs(start), abs(stop), float(lags.max()))
    found: list[float] = []
    seen: set[int] = set()
    front = np.unique(np.asarray(sources, float))
    level = 0
    while front.size and (levels is None or level <= levels):
        waiting = []
        for time in front.tolist():
            # A time already known has sent its own successors on; those before the start are met once.
            key = round(time / scale)
            if time >= stop - scale or not seen.isdisjoint((key - 1, key, key + 1)):
                continue
            seen.add(key)
            waiting.append(time)
            if time > start + scale:
                found.append(time)
        if len(found) > MOST_BREAKPOINTS:
            raise InputError(
                f"The delays {', '.join(f'{lag:g}' for lag in lags)} make more than {MOST_BREAKPOINTS} times at which "
                f"derivatives jump up to t = {stop:g}; shorten the times, or take larger delays."
            )
        front = np.unique((np.array(waiting)[:, None] + lags).ravel())
        level += 1
    return sorted(found)

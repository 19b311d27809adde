"""Evolution on a grid of any number of degrees of freedom: one loop over the output times, whatever advances W.

    split_grid      H = T(p) + U(x): exact factors, composed
    table_operator  any H: the table of terms, by Chebyshev polynomials or an explicit Runge-Kutta method
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from qnnsym.errors import InputError
from qnnsym.solvers.axes import Axes, Operators, Watch
from qnnsym.solvers.chebyshev import Chebyshev, check_work
from qnnsym.solvers.compositions import COMPOSITIONS
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array, positive_number
from qnnsym.solvers.split_grid import JointPropagator
from qnnsym.solvers.split_record import warnings
from qnnsym.solvers.split_steps import MAX_STEPS, Steps
from qnnsym.solvers.table_operator import STABILITY, TableOperator
from qnnsym.solvers.tableaus import METHODS

# States above this size are refused before memory runs out half-way, and grids of more points.
LARGEST_RESULT = 8 * 2**30
MOST_POINTS = 2**25
# What a window may cut off an initial state, in tolerances.
WINDOW = 0.1
# Methods by what they advance.
SPLIT_METHODS = tuple(COMPOSITIONS)
TABLE_METHODS = ("chebyshev", *METHODS)


def propagate_joint(
    W0: Any,
    axes: Axes,
    times: Any,
    right: JointPropagator | TableOperator,
    *,
    hbar: float,
    method: str | None = None,
    step: float | None = None,
    tolerance: float = 1e-8,
    e_ops: Operators | None = None,
    store_states: bool = True,
    progress: bool | None = None,
    label: str = "propagating",
    give_up: float | None = None,
    window: float = 1.0,
) -> Solution:
    """Propagate a Wigner function on a grid of several degrees of freedom, or under an H that does not split.

    Arguments:
        W0: on the grid at the first time, int W = 1.
        axes: the grid.
        times: output times, or (start, stop, number); descending times run backwards.
        right: the exact flows of T(p) + U(x), or the operator of the table of terms.
        hbar: in the units of x p; used for the purities alone.
        method: of a propagator the name of a composition, of an operator "chebyshev", "rk4" or "dop853"; None takes
            the cheapest (of an operator: Chebyshev's, or dop853 where it depends on time).
        step: longest step; None chooses it from the measured local error, for Runge-Kutta methods also from the
            largest rate of the operator, beyond which they are not stable.
        tolerance: wanted bound of the error in time of the last state, relative to its L2 norm.
        e_ops: {name: pieces that broadcast to the grid, or function of t that gives them}.
        store_states: keep the states at the output times; False keeps expectation values only.
        progress: show a bar; None: on a terminal, after a second.
        label: what the bar calls the work.
        give_up: share; end at the first output time at which more than this is at an edge of the grid.
        window: smallest window of an operator, in lengths of the grid (see `TableOperator.open_window`).

    Returns:
        Solution with states (times, *grid), grid (x_1, ..., p_1, ...) and the axes' names; expect as `Watch` records
        it; statistics steps, transforms or evaluations, and seconds; diagnostics (largest values over the output
        times) estimated_error, boundary_mass, aliasing, edge_NAME of every axis and wave number, norm_drift,
        purity_drift, limited where V overflows, and of an operator largest_rate (of the fastest mode, to which the
        number of evaluations is bound by stability), window and edge_window (its size, and the share of W in its
        outermost part, in the L2 norm).

    Raises:
        InputError: for a method that does not belong to `right`, numbers that are not positive, a W0 that does not
            fit, and grids, results or evolutions that are too large.
    """
    times = as_times(times)
    w = finite_array(W0, axes.shape, "The initial Wigner function")
    for name, value in (("hbar", hbar), ("tolerance", tolerance), ("step", 1.0 if step is None else step)):
        positive_number(value, name)
    if not w.any():
        raise InputError("The initial Wigner function is zero on the whole grid; give a grid that covers the state.")
    check_points(axes.shape)
    if store_states and times.size * w.nbytes > LARGEST_RESULT:
        raise InputError(
            f"{times.size} states of {' x '.join(map(str, axes.shape))} points take "
            f"{times.size * w.nbytes / 2**30:.0f} GiB; give store_states=False, fewer times or a coarser grid."
        )
    span = abs(float(times[-1] - times[0]))
    if step is not None and span / step > MAX_STEPS:
        raise InputError(
            f"A step of {step:g} over t = {span:g} makes more than {MAX_STEPS} steps; give a longer step, or none to "
            "have it chosen."
        )
    lost, shell = right.share_limited(w), 0.0
    if lost > tolerance:
        raise InputError(
            f"The potential is not finite at x +- hbar theta/2, where the initial state has the share {lost:.1e} of "
            "its coherences: it is singular, or overflows. Give a smaller grid, or a potential that is finite there."
        )
    watch = Watch(axes, hbar, e_ops or {}, times.size, right.workers)
    kept = np.empty((times.size, *w.shape)) if store_states else None
    began, status, done = time.perf_counter(), Status.SUCCESS, 1
    watch.measure(0, w, times[0])
    if kept is not None:
        kept[0] = w
    opened = right.open_window(w, WINDOW * tolerance, window) if isinstance(right, TableOperator) else None
    run = _stepper(right, method, step, tolerance, times)
    with Progress(label, progress) as bar:
        try:
            n, share = 1, 0.0
            while n < times.size:
                for fraction, part in run.interval(w, n, times[n - 1], times[n] - times[n - 1], share):
                    w = part
                    bar.update((n - 1 + fraction) / (times.size - 1))
                if run.exhausted:
                    status = Status.STEP_TOO_SMALL
                    break
                if run.back is not None:
                    # What was recorded since is not good enough, and is recorded anew.
                    (w, n, share), done, run.back = run.back, run.back[1], None
                    continue
                share = 0.0
                watch.measure(n, w, times[n])
                lost = max(lost, right.share_limited(w))
                if opened is not None:
                    shell = max(shell, right.share_at_window(w))
                if kept is not None:
                    kept[n] = w
                done = n + 1
                if not np.isfinite(watch.values["norm"][n]):
                    status = Status.NON_FINITE
                outside = give_up is not None and max(watch.edges.values()) > give_up
                if outside or status is Status.NON_FINITE:
                    break
                n += 1
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    found = {"limited": lost} if right.limited is not None else {}
    if opened is not None:
        found |= {"window": opened, "edge_window": shell}
    return _solution(times[:done], None if kept is None else kept[:done], status, watch, run, right, found,
                     hbar=hbar, tolerance=tolerance, seconds=time.perf_counter() - began)  # fmt: skip


def check_points(shape: tuple[int, ...]) -> None:
    """Refuse grids that would take the memory or the day.

    Raises:
        InputError: above MOST_POINTS points.
    """
    points = int(np.prod(shape, dtype=float))
    if points > MOST_POINTS:
        raise InputError(
            f"A grid of {' x '.join(map(str, shape))} = {points:.1e} points is over {MOST_POINTS:.1e} (each of several "
            f"arrays would take {8 * points / 2**30:.1f} GiB); give a coarser or smaller grid, raise hbar, loosen the "
            "tolerance, or shorten the times."
        )


def _stepper(
    right: JointPropagator | TableOperator, method: str | None, step: float | None, tolerance: float, times: np.ndarray
) -> Steps | Chebyshev:
    """What chooses the steps."""
    if isinstance(right, JointPropagator):
        if method is not None and method not in COMPOSITIONS:
            raise InputError(f"The method {method!r} is not known; use one of {', '.join(COMPOSITIONS)}, or None.")
        return Steps(right, COMPOSITIONS[method] if method else None, step, tolerance, times)
    if method is not None and method not in TABLE_METHODS:
        raise InputError(
            f"The method {method!r} does not solve an H that mixes x and p; use one of {', '.join(TABLE_METHODS)}, or "
            "None."
        )
    if method is None:
        method = "dop853" if any(right.driven) or step is not None else "chebyshev"
    if method == "chebyshev":
        return Chebyshev(right, tolerance, times)
    tableau, rate = METHODS[method], right.largest_rate(float(times[0]))
    span, limit = abs(float(times[-1] - times[0])), STABILITY[method]
    check_work(rate, span, tableau.stages / limit)
    if step is not None and step * rate > limit:
        raise InputError(
            f"A step of {step:g} is not stable: the fastest modes of the grid turn at the rate {rate:.3g}, and "
            f"{method} needs steps below {limit / rate:.2g}. Give such a step, none, or method='chebyshev'."
        )
    run = Steps(right, tableau, step, tolerance, times)
    run.ceiling = limit / rate if rate > 0 else float("inf")
    return run


def _solution(
    times: np.ndarray, states: np.ndarray | None, status: Status, watch: Watch, run: Any, right: Any, found: dict,
    *, hbar: float, tolerance: float, seconds: float,
) -> Solution:  # fmt: skip
    axes, done, table = watch.axes, times.size, isinstance(right, TableOperator)
    statistics = {"steps": float(run.steps), "seconds": seconds}
    statistics["evaluations" if table else "transforms"] = float(right.transforms)
    solution = Solution(times, states, status, statistics, grid=axes.grid, names=axes.names)
    solution.expect = {name: values[:done] for name, values in watch.values.items()}
    solution.diagnostics = {"estimated_error": run.total_error(), **watch.diagnostics(done)}
    solution.diagnostics |= found
    if table:
        solution.diagnostics["largest_rate"] = run.rate if isinstance(run, Chebyshev) else _rate_of(run)
    sharp = max(solution.diagnostics[f"edge_{name}"] for name in axes.conjugates)
    solution.warnings = warnings({**solution.diagnostics, "edge_k": sharp, "edge_theta": sharp}, tolerance, run)
    if found.get("edge_window", 0.0) > tolerance:
        solution.warnings.append(
            f"A share {found['edge_window']:.1e} of W is between points so far outside the grid that they are left "
            "out; give a larger grid."
        )
    if status is not Status.SUCCESS:
        solution.warnings.insert(0, f"Reached t = {times[-1]:.6g}. {status.value}")
    rule = run if isinstance(run, Chebyshev) else run.composition
    solution.provenance = {
        "method": rule.name,
        "order_in_time": rule.order,
        "hbar": float(hbar),
        "tolerance": float(tolerance),
        "longest_step": run.longest,
    }
    return solution


def _rate_of(run: Steps) -> float:
    return STABILITY[run.composition.name] / run.ceiling

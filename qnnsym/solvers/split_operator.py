"""Split-operator propagation of a Wigner function on a grid: two exact factors, composed to any of several orders.

    split_flows     the two flows and their compositions
    split_steps     the choice of the composition and its steps from measured local errors
    split_record    what is recorded at the output times

The factors and the sense in which they are exact stand in `split_flows`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from qnnsym.errors import InputError
from qnnsym.solvers.compositions import COMPOSITIONS
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.relaxation import Relaxation
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array, positive_number
from qnnsym.solvers.split_flows import Driven, Field, Kick, SplitPropagator
from qnnsym.solvers.split_record import Operators, Record, warnings
from qnnsym.solvers.split_steps import MAX_STEPS, Steps

# States above this size are refused before memory runs out half-way.
LARGEST_RESULT = 8 * 2**30
MOST_KICKS = 1_000_000
# Between outputs a drifting W is given up when so many times more than what is allowed at an output is at an edge.
MUCH = 1e3


def propagate_split(
    W0: Any,
    grid: tuple[np.ndarray, np.ndarray],
    times: Any,
    kinetic: Field | Driven,
    potential: Field | Driven,
    *,
    hbar: float,
    method: str | None = None,
    step: float | None = None,
    tolerance: float = 1e-8,
    e_ops: Operators | None = None,
    store_states: bool = True,
    progress: bool | None = None,
    workers: int = 1,
    label: str = "propagating",
    give_up: float | None = None,
    kick: Kick | None = None,
    relaxation: Relaxation | None = None,
    circle: bool = False,
) -> Solution:
    """Propagate a Wigner function by split operators.

    Arguments:
        W0: (nx, np) at the first time, iint W dx dp = 1.
        grid: (x, p) arrays, uniform, ascending, endpoints excluded (the grid is periodic).
        times: output times, or (start, stop, number); descending times run backwards.
        kinetic: K(p, k), called with p[None, :] and k[:, None]; rate of change -i K of W^(k, p).
        potential: V(x, theta), called with x[:, None] and theta[None, :]; rate of change +i V of W^(x, theta).
            Either may be `Driven`, and is then also given the time.
        hbar: in the units of x p; used for the purity 2 pi hbar iint W^2 alone.
        method: name of a composition; None takes the one that reaches the tolerance with the least work.
        step: longest step; None chooses it from the measured local error.
        tolerance: wanted bound of the error in time of the last state, relative to its L2 norm.
        e_ops: {name: (nx, np) array or DrivenOperator, integrated against W dx dp, or function of W}.
        store_states: keep the states at the output times; False keeps expectation values only.
        progress: show a bar; None: on a terminal, after a second.
        workers: threads of the transforms.
        label: what the bar calls the work.
        give_up: share; end at the first output time at which more than this is at an edge of the grid.
        kick: a factor applied at once at all multiples of its period; outputs at these times are just before it.
        relaxation: open terms; times have to ascend then.
        circle: x is an angle, and the grid one turn of it with p in steps of hbar/2 (see `phase_space.circle`).

    Returns:
        Solution with states (times, nx, np); expect norm, purity, negativity and e_ops; statistics steps, transforms
        and seconds; diagnostics (largest values over the output times)
            estimated_error  sum of the measured local errors in time, each relative to the L2 norm of W at its time (a
                             bound where nothing is open),
            boundary_mass    share of iint |W| in the outermost 1/32 of the grid on each side, in x or p (the larger of
                             edge_x and edge_p),
            aliasing         share, in the L2 norm, of the upper third of the wave numbers k or theta,
            edge_k, edge_theta  the same of the highest 1/16 of them,
            norm_drift, purity_drift  relative to the first value (open terms change the purity),
            limited          share, in the L2 norm, of W where V overflows (present only if it does).

    Raises:
        InputError: for an unknown method; a step, tolerance or hbar that is not positive; a grid that is not
            uniform; a W0 that does not fit the grid or has amplitude where the potential is infinite.

    Source: M. D. Feit, J. A. Fleck, A. Steiger, J. Comput. Phys. 47, 412 (1982), in the representations of W. B. Case,
        Am. J. Phys. 76, 937 (2008); step choice by step doubling.
    """
    times = as_times(times)
    _check_uniform(grid)
    x, p = (np.asarray(axis, dtype=float) for axis in grid)
    w = finite_array(W0, (x.size, p.size), "The initial Wigner function")
    for name, value in (("hbar", hbar), ("tolerance", tolerance), ("step", 1.0 if step is None else step)):
        positive_number(value, name)
    if not w.any():
        raise InputError("The initial Wigner function is zero on the whole grid; give a grid that covers the state.")
    if method is not None and method not in COMPOSITIONS:
        raise InputError(f"The method {method!r} is not known; use one of {', '.join(COMPOSITIONS)}, or None.")
    if store_states and times.size * w.nbytes > LARGEST_RESULT:
        raise InputError(
            f"{times.size} states of {x.size} x {p.size} points take {times.size * w.nbytes / 2**30:.0f} GiB; give "
            "store_states=False, fewer times or a coarser grid."
        )
    if step is not None and abs(times[-1] - times[0]) / step > MAX_STEPS:
        raise InputError(
            f"A step of {step:g} over t = {abs(times[-1] - times[0]):g} makes more than {MAX_STEPS} steps; give a "
            "longer step, or none to have it chosen."
        )
    if times[-1] < times[0] and (relaxation or kick):
        what = "Open terms cannot be undone" if relaxation else "Kicks are not taken back"
        raise InputError(f"{what}, and the times descend from {times[0]:g} to {times[-1]:g}; give ascending times.")
    stretches = _stretches(times, kick.period if kick else None)
    propagator = SplitPropagator((x, p), kinetic, potential, workers, float(times[0]), kick, relaxation)
    record = Record((x, p), propagator, hbar, e_ops or {}, times.size, circle)
    kept = np.empty((times.size, *w.shape)) if store_states else None
    began, status, done = time.perf_counter(), Status.SUCCESS, 1
    record.measure(0, w, times[0])
    if record.limited > tolerance:
        raise InputError(
            f"The potential is not finite at x +- hbar theta/2, where the initial state has the share "
            f"{record.limited:.1e} of its coherences: it is singular, or overflows. Give a smaller grid, or a "
            "potential that is finite there."
        )
    if kept is not None:
        kept[0] = w
    edges = np.array([times[0], *(stretch.stop for stretch in stretches)])
    run = Steps(propagator, COMPOSITIONS[method] if method else None, step, tolerance, edges)
    at, share, lost = 0, 0.0, False
    with Progress(label, progress) as bar:
        try:
            while at < len(stretches):
                stretch = stretches[at]
                if stretch.kicked and not share:
                    w = propagator.kicked(w, stretch.start)
                for fraction, part in run.interval(w, at, stretch.start, stretch.stop - stretch.start, share):
                    w = part
                    bar.update((at + fraction) / len(stretches))
                    # Under a drift no step is short enough once W has reached the edge: no waiting for the output.
                    if give_up is not None and fraction < 1 and propagator.relaxation.moves:
                        lost = record.outside(w) > MUCH * give_up
                    if lost:
                        break
                if lost:
                    break
                if run.exhausted:
                    status = Status.STEP_TOO_SMALL
                    break
                if run.back is not None:
                    # What was recorded since is not good enough, and is recorded anew.
                    (w, at, share), run.back = run.back, None
                    done = sum(s.last for s in stretches[:at]) + 1
                    continue
                share = 0.0
                at += 1
                if not stretch.last:
                    continue
                n = done
                record.measure(n, w, times[n])
                if kept is not None:
                    kept[n] = w
                done = n + 1
                if not np.isfinite(record.values["norm"][n]):
                    status = Status.NON_FINITE
                lost = give_up is not None and max(record.edges.values()) > give_up
                if lost or status is Status.NON_FINITE:
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    statistics = {
        "steps": float(run.steps),
        "transforms": float(propagator.transforms),
        "seconds": time.perf_counter() - began,
    }
    if kick:
        statistics["kicks"] = float(sum(stretch.kicked for stretch in stretches[:at]))
    solution = Solution(times[:done], None if kept is None else kept[:done], status, statistics, grid=(x, p))
    solution.expect = {name: values[:done] for name, values in record.values.items()}
    solution.diagnostics = {"estimated_error": run.total_error(), **record.diagnostics(done)}
    solution.warnings = warnings(solution.diagnostics, tolerance, run)
    if status is not Status.SUCCESS:
        solution.warnings.insert(0, f"Reached t = {times[done - 1]:.6g}. {status.value}")
    solution.provenance = {
        "method": run.composition.name,
        "order_in_time": run.composition.order,
        "hbar": float(hbar),
        "tolerance": float(tolerance),
        "longest_step": run.longest,
    }
    return solution


def _check_uniform(grid: tuple[np.ndarray, np.ndarray]) -> None:
    for axis in grid:
        steps = np.diff(np.asarray(axis, dtype=float))
        if np.ndim(axis) != 1 or steps.size < 3 or not (steps > 0).all() or np.ptp(steps) > 1e-8 * steps.mean():
            raise InputError("The grid is not a pair of uniform, ascending arrays (x, p) of at least four points each.")


@dataclass(frozen=True)
class _Stretch:
    """What is evolved without interruption: from an output or a kick to the next of either."""

    start: float
    stop: float
    kicked: bool  # at its start
    last: bool  # an output stands at its end


def _stretches(times: np.ndarray, period: float | None) -> list[_Stretch]:
    """The stretches between outputs and kicks; kicks closer to an output than rounding are at it."""
    outputs = [float(t) for t in times]
    if period is None:
        return [_Stretch(a, b, False, True) for a, b in pairwise(outputs)]
    if not (math.isfinite(period) and period > 0):
        raise InputError(f"The period of the kicks is {period!r}; give a positive number.")
    number = (outputs[-1] - outputs[0]) / period
    if number > MOST_KICKS:
        raise InputError(
            f"Kicks every {period:g} up to t = {outputs[-1]:g} are more than {MOST_KICKS}; give a longer period or "
            "shorter times."
        )
    near = 1e-9 * period
    first = math.ceil((outputs[0] - near) / period)
    kicks = deque(n * period for n in range(first, first + int(number) + 2) if n * period < outputs[-1] - near)

    def kicked_at(t: float) -> bool:
        return bool(kicks and abs(kicks[0] - t) <= near and (kicks.popleft() or True))

    found, here, kicked = [], outputs[0], kicked_at(outputs[0])
    for output in outputs[1:]:
        while kicks and kicks[0] < output - near:
            found.append(_Stretch(here, kicks[0], kicked, False))
            here, kicked = kicks.popleft(), True
        found.append(_Stretch(here, output, kicked, True))
        here, kicked = output, kicked_at(output)
    return found

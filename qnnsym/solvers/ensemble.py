"""Many trajectories of one kernel: whole integrations in compiled code, spread over threads."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qnnsym.errors import InputError
from qnnsym.solvers.lanes import METHOD, Lanes
from qnnsym.solvers.problem import AUTO, MAX_STEPS, Problem, Run
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.solution import Status

# Trajectories that a thread takes at once: few enough for Ctrl-C and the bar, many enough not to notice the call.
SHARE = 32
# And side by side, where lanes stand idle at the end of a share and an interruption is heard within it.
SHARE_OF_LANES = 250
# How the compiled driver says that a trajectory has ended; see `stepping`.
CODES = {Status.SUCCESS: 1, Status.STEP_TOO_SMALL: 2, Status.NON_FINITE: 3}


@dataclass(frozen=True)
class Ensemble:
    """Trajectories from many initial states.

    Attributes:
        times: (m,) the output times.
        states: (trajectories, m, n); NaN from where a trajectory ended early.
        statuses: how each ended.
        reached: (trajectories,) the time each reached.
        statistics: steps, rejected and evaluations over all trajectories, seconds, threads.
        warnings: sentences about trajectories that ended early.
    """

    times: np.ndarray
    states: np.ndarray
    statuses: tuple[Status, ...]
    reached: np.ndarray
    statistics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether all trajectories reached the last time."""
        return all(status is Status.SUCCESS for status in self.statuses)


def solve_ensemble(
    problem: Problem,
    states: Sequence[Sequence[float]] | np.ndarray,
    *,
    method: str = "dop853",
    rtol: float = 1e-10,
    atol: float = 1e-12,
    step: float | None = None,
    max_steps: int = MAX_STEPS,
    threads: int | None = None,
    progress: bool | None = None,
    lanes: Any = None,
) -> Ensemble:
    """Integrate a problem from many initial states.

    Arguments:
        problem: kernel, parameters, signals and output times; its own state is not used.
        states: (trajectories, n) initial states.
        method, rtol, atol, step: as for `Problem.solve`.
        max_steps: accepted and rejected steps of a trajectory after which it ends.
        threads: number of threads; None takes all processors that this process may use.
        progress: show a bar; None: on a terminal, after a second.
        lanes: compiled kernel of eight states side by side (see `lockstep`), for dop853; None integrates one trajectory
            after the other, as do the other methods.

    Returns:
        Ensemble. Each trajectory has its own steps: without lanes it equals that of `Problem.solve` bit for bit, with
        them up to rounding.

    Raises:
        InputError: for states that do not fit the problem or are not finite.
    """
    states = checked_states(states, problem.state.size)
    count = len(states)
    if threads is not None and not (isinstance(threads, int) and threads > 0):
        raise InputError(f"threads={threads!r} is no number of threads; give a positive integer, or None.")
    share = SHARE if lanes is None else SHARE_OF_LANES
    threads = min(threads or len(os.sched_getaffinity(0)), -(-count // share))
    outputs = np.full((count, problem.times.size, states.shape[1]), np.nan)
    codes, tallies = np.zeros(count, np.int64), np.zeros((count, 3), np.int64)
    reached = np.full(count, problem.times[0])
    halt = np.zeros(1, np.int64)
    runs: list[Any] = [Run(problem, method, rtol, atol, step, problem.times) for _ in range(threads)]
    if lanes is not None and method == METHOD:
        runs = [Lanes(problem, lanes, rtol, atol, step, halt) for _ in runs]
    waiting = list(range(0, count, share))[::-1]

    def work(run: Any) -> None:
        while waiting and not halt[0]:
            first = waiting.pop()
            run.march(states, outputs, codes, reached, tallies, first, min(first + share, count), max_steps)

    began = time.perf_counter()
    with Progress("solving an ensemble", progress) as bar, ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, run) for run in runs]
        try:
            while not all(f.done() for f in futures):
                bar.update(1 - len(waiting) * share / count)
                time.sleep(0.0005)
        except KeyboardInterrupt:
            halt[0] = 1
    for f in futures:
        f.result()
    if method in AUTO:
        options = (method, rtol, atol, step, max_steps)
        halt[0] |= _finish_stiff(problem, states, outputs, codes, reached, tallies, options)
    statuses = tuple(_status(int(code), bool(halt[0])) for code in codes)
    accepted, rejected, evaluations = (float(n) for n in tallies.sum(axis=0))
    statistics = {"steps": accepted, "rejected": rejected, "evaluations": evaluations}
    statistics |= {"seconds": time.perf_counter() - began, "threads": float(threads)}
    return Ensemble(problem.times, outputs, statuses, reached, statistics, _warnings(statuses, reached))


def _finish_stiff(
    problem: Problem, states: np.ndarray, outputs: np.ndarray, codes: np.ndarray, reached: np.ndarray,
    tallies: np.ndarray, options: tuple,
) -> bool:  # fmt: skip
    """Solve the trajectories that turned out to be stiff by themselves, anew; returns whether the user interrupts."""
    waiting = np.flatnonzero(codes == problem.driver.STIFF)
    codes[waiting] = 0
    for n in waiting:
        alone = copy(problem)
        alone.state = states[n]
        found = alone.solve(*options, progress=False)
        assert found.states is not None
        outputs[n, : len(found.times)] = found.states
        reached[n] = found.times[-1]
        codes[n] = CODES.get(found.status, 0)
        tallies[n] = [found.statistics[k] for k in ("steps", "rejected", "evaluations")]
        if found.status is Status.INTERRUPTED:
            return True
    return False


def checked_states(states: Sequence[Sequence[float]] | np.ndarray, size: int) -> np.ndarray:
    """(trajectories, size) finite states as an array; anything else is an InputError."""
    try:
        array = np.ascontiguousarray(states, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"The states are no array of numbers; give one of shape (trajectories, {size}).") from None
    if array.ndim != 2 or array.shape[1] != size or not len(array):
        raise InputError(f"The states have the shape {array.shape}; give (trajectories, {size}).")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise InputError(f"The state of trajectory {bad[0]} holds NaN or infinite entries; give finite numbers.")
    return array


def _status(code: int, interrupted: bool) -> Status:
    if code == 0:
        return Status.INTERRUPTED if interrupted else Status.MAX_STEPS
    return next(status for status, number in CODES.items() if number == code)


def _warnings(statuses: Sequence[Status], reached: np.ndarray) -> list[str]:
    found = []
    for status in Status:
        which = [n for n, s in enumerate(statuses) if s is status]
        if status is not Status.SUCCESS and which:
            found.append(
                f"{len(which)} of {len(statuses)} trajectories ended early, the first of them number {which[0]} at "
                f"t = {reached[which[0]]:.6g}. {status.value}"
            )
    return found

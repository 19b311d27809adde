"""A kernel with its data, and its solution by the compiled driver."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qnnsym.errors import InputError, SolverError
from qnnsym.solvers import stiff
from qnnsym.solvers.cache import edition, numba_cache
from qnnsym.solvers.events import UNWATCHED, Crossings, Event, Watch
from qnnsym.solvers.memory import Memory
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array
from qnnsym.solvers.tableaus import METHODS, Tableau
from qnnsym.solvers.tables import PiecewisePolynomial

MAX_STEPS = 10_000_000
# Methods that the compiled driver begins and another may finish.
AUTO = {"auto": "dop853"}
# Where the driver says which component is not finite: see `stepping`, whose import would compile it.
CULPRIT = 9
# Position of the outputs among the arguments of `stepping.advance`.
OUTPUTS = 15
# And of what is kept of the past.
MEMORY = 28
# What problems without lags remember; nobody writes to it.
NOTHING = Memory()
# Seconds between two returns to Python: a bar moves, Ctrl-C is heard.
BREATH = 0.05


@cache
def driver(cache_dir: Path | None, name: str = "stepping") -> Any:
    """The compiled driver's module, or its counterpart for lanes or sweeps, from numba's cache in this folder."""
    from numba.core.errors import NumbaExperimentalFeatureWarning

    folder = None if cache_dir is None else cache_dir / f"driver-{edition(Path(__file__).parent)}"
    with numba_cache(folder), warnings.catch_warnings():
        # Kernels are called as first-class functions on purpose: see the top of `stepping`.
        warnings.simplefilter("ignore", NumbaExperimentalFeatureWarning)
        return importlib.import_module(f"qnnsym.solvers.{name}")


@cache
def _combinations(name: str) -> tuple[Any, ...]:
    """What the driver takes of a tableau: its combinations of slopes, nodes, and numbers of slopes."""
    tableau = METHODS[name]
    return (*tableau.combinations(), np.array(tableau.c), tableau.stages, len(tableau.c))


def entry(kernel: Any, signature: Any) -> int:
    """The address of a kernel's machine code, of any kind that numba takes as a first-class function."""
    from numba.experimental.function_type import _get_wrapper_address

    return _get_wrapper_address(kernel, signature)


class Problem:
    """An initial-value problem y' = f(t, y) with a compiled kernel f.

    Arguments:
        kernel: compiled f(t, state, ext, par, dims, work, rates), see design of the kernels.
        state: (n,) initial state at the first time.
        times: output times, or (start, stop, number); descending times integrate backwards.
        par: parameters.  dims: sizes.  work_size: length of the kernel's work array.
        table: external signals; None where the kernel has none.
        breakpoints: times at which a step has to end (the right-hand side jumps).
        names: names of the state's components.  provenance: carried into the solution.
        tangent: compiled kernel of (state, direction), for the Jacobian of implicit methods.
        events: planes whose crossings are recorded, see `Event`.
        cache_dir: where the driver's machine code is kept.

    Raises:
        InputError: for states that are not finite and times that do not ascend or descend.
    """

    def __init__(
        self,
        kernel: Any,
        state: Any,
        times: Any,
        *,
        par: Sequence[float] | np.ndarray = (),
        dims: Sequence[int] = (),
        work_size: int = 0,
        table: PiecewisePolynomial | None = None,
        breakpoints: Sequence[float] = (),
        names: Sequence[str] = (),
        provenance: Mapping[str, Any] | None = None,
        tangent: Any = None,
        events: Sequence[Event] = (),
        cache_dir: Path | None = None,
    ) -> None:
        self.kernel = kernel  # of any kind that the compiled driver takes as a first-class function
        self.times = as_times(times)
        self.state = finite_array(state, (np.size(state),), "The initial state")
        if not self.state.size:
            raise InputError("The initial state is empty; give at least one component.")
        self.par = np.array(par, dtype=float)
        if np.isnan(self.par).any():
            raise InputError("A parameter is NaN; give every parameter a number.")
        self.dims = np.array(dims, dtype=np.int64)
        self.work_size = int(work_size)
        self.table = table or PiecewisePolynomial.constant(())
        self.breakpoints = tuple(breakpoints) + self.table.jumps
        self.names, self.provenance = tuple(names), dict(provenance or {})
        self.tangent, self.events = tangent, tuple(events)
        self.cache_dir = cache_dir

    def memory(self) -> Memory:
        """What the driver keeps of the past; delay equations alone keep anything."""
        return NOTHING

    @cached_property
    def driver(self) -> Any:
        """The compiled driver's module."""
        return driver(self.cache_dir)

    @cached_property
    def entry(self) -> int:
        """Where the kernel's machine code begins; `kernel` keeps it alive."""
        return entry(self.kernel, self.driver.KERNEL.signature)

    def solve(
        self,
        method: str = "auto",
        rtol: float = 1e-10,
        atol: float = 1e-12,
        step: float | None = None,
        max_steps: int = MAX_STEPS,
        progress: bool | None = None,
    ) -> Solution:
        """Integrate and return the states at the output times.

        Arguments:
            method: "dop853" (adaptive, order 8, dense output), "rk4" (fixed step), "radau", "bdf" or "lsoda" (SciPy's
                implicit methods with the generated Jacobian), or "auto": dop853, and from where 15 of its steps are
                limited by stability (without 6 in a row that are not) radau, up to 500 unknowns.
            rtol, atol: tolerances of the adaptive methods, per component.
            step: largest step of rk4 (needed there); first step of dop853.
            max_steps: accepted and rejected steps after which the run ends.
            progress: show a bar; None: on a terminal, after a second.

        Returns:
            Solution; one that ended early says so in its status and warnings, and keeps what was reached.

        Raises:
            InputError: for an unknown method, tolerances that are not positive, a missing step, or events with a method
                that has no dense output to find them.

        Source: E. Hairer, G. Wanner, Solving Ordinary Differential Equations II (1996), section IV.2, for the test of
            stiffness.
        """
        began = time.perf_counter()
        notes: list[str] = []
        with Progress(f"solving {self.provenance.get('model', '')}".strip(), progress) as bar:
            if method in stiff.METHODS:
                run: Any = self._implicit(method, rtol, atol)
                status = run.drive(max_steps, bar)
            else:
                run = Run(self, method, rtol, atol, step, self.times)
                status = run.drive(max_steps, bar)
            if status is Status.STIFF:
                successor = self._implicit(stiff.SUCCESSOR, rtol, atol, run)
                notes.append(
                    f"From t = {successor.t:.6g} on the steps of dop853 were limited by stability, not accuracy; "
                    f"{stiff.SUCCESSOR} took over."
                )
                status = successor.drive(max_steps, bar)
                successor.steps, successor.evaluations = (
                    successor.steps + run.steps, successor.evaluations + run.evaluations
                )  # fmt: skip
                run = successor
        statistics = {
            "steps": float(run.steps),
            "rejected": float(run.rejected),
            "evaluations": float(run.evaluations),
            "seconds": time.perf_counter() - began,
        }
        diagnostics = {"table_error": self.table.error} if self.table.error else {}
        if status not in (Status.SUCCESS, Status.EVENT):
            notes.insert(0, f"Reached t = {run.t:.6g}. {run.reason(status)}")
        return Solution(
            self.times[: run.position], run.outputs[: run.position], status, statistics, diagnostics, notes,
            self.provenance, names=self.names, crossings=run.crossings(),
        )  # fmt: skip

    def _implicit(self, method: str, rtol: float, atol: float, before: Run | None = None) -> stiff.ImplicitRun:
        _check_tolerances(rtol, atol)
        stiff.check_size(method, self.state.size)
        if self.events:
            raise InputError(f"Events are found by dop853 only, and the method is {method}; leave one of them out.")
        if before is None:
            outputs = np.empty((self.times.size, self.state.size))
            outputs[0] = self.state
            return stiff.ImplicitRun(self, method, rtol, atol, self.times, outputs, 1, self.times[0], self.state)
        return stiff.ImplicitRun(
            self, method, rtol, atol, self.times, before.outputs, before.position, before.t, before.y
        )

    def integrate(
        self,
        method: str = "dop853",
        rtol: float = 1e-10,
        atol: float = 1e-12,
        step: float | None = None,
        once: bool = False,
    ) -> np.ndarray:
        """The state at the last time by the compiled driver alone (dop853 or rk4), without outputs on the way.

        Arguments:
            method, rtol, atol, step: as for `solve`.
            once: the problem is not used again: its own state is advanced, which saves the memory of a copy.

        Raises:
            InputError: as for `solve`. SolverError: when the last time cannot be reached.
        """
        run = Run(self, method, rtol, atol, step, self.times[[0, -1]], stored=False, once=once)
        status = run.drive(MAX_STEPS, None)
        if status is not Status.SUCCESS:
            raise SolverError(f"The integration stops at t = {run.scalars[0]:.6g}. {run.reason(status)}")
        return run.y


class Run:
    """The arrays of one integration, so that it can be left and taken up again.

    Arguments:
        stored: keep the states at the output times; False keeps the last state alone, as `y`.
        once: advance the problem's own state and no copy of it.
    """

    def __init__(
        self, problem: Problem, method: str, rtol: float, atol: float, step: Any, times: np.ndarray,
        stored: bool = True, once: bool = False,
    ) -> None:  # fmt: skip
        name = AUTO.get(method, method)
        if name not in METHODS:
            known = ", ".join((*AUTO, *METHODS, *stiff.METHODS))
            raise InputError(f"The method {method!r} is not known; use one of {known}.")
        tableau: Tableau = METHODS[name]
        _check_tolerances(rtol, atol)
        if step is not None and not (np.isfinite(step) and step > 0):
            raise InputError(f"The step is {step!r}; give a positive number.")
        if not tableau.adaptive and step is None:
            raise InputError(f"The method {method} has a fixed step; give step=... .")
        if problem.events and not tableau.adaptive:
            raise InputError(f"Events need the dense output of dop853, and the method is {method}; use dop853.")
        self.compiled = problem.driver
        self.kernel = problem.kernel  # keeps alive the machine code whose address the driver has
        self.names = problem.names
        self.y = problem.state if once else problem.state.copy()
        n, adaptive = self.y.size, tableau.adaptive
        self.times = times
        self.outputs = np.empty((times.size if stored else 0, n))
        if stored:
            self.outputs[0] = self.y
        self.scalars = np.array([times[0], step or 0.0 if adaptive else 0.0])
        self.counts = np.zeros(self.compiled.COUNTS, np.int64)
        self.counts[5] = 1
        stops, recorded = _stops(times, problem.breakpoints, everywhere=not adaptive)
        # Without outputs between the stops nothing is interpolated, and the memory for it is not taken.
        self.memory = problem.memory()
        outputs_inside = times.size - 1 > np.count_nonzero(recorded >= 0)
        if not stored:
            recorded[:] = -1
        between = adaptive and (outputs_inside or bool(problem.events) or self.memory.active)
        slopes = len(tableau.c) if between else tableau.stages + adaptive
        self.watch = Watch(problem.events, problem.names, self.y) if problem.events else UNWATCHED
        explicit = problem.events or self.memory.active or n > stiff.LARGEST or method not in AUTO
        limit = 0.0 if explicit else tableau.stability
        self.counts[self.compiled.USED] = self.memory.used
        ext = np.zeros(problem.table.channels + len(self.memory.channels))
        self._arguments = (
            problem.entry, self.y,
            np.empty((slopes, n)), np.empty(n), np.empty((2 * adaptive, n)),
            np.empty((self.compiled.DENSE_VECTORS * between, n)),
            problem.table.breaks, problem.table.pieces, ext, problem.par, problem.dims,
            np.zeros(problem.work_size), stops, recorded, self.times, self.outputs,
            *_combinations(name), *self.watch.arrays, *self.memory.arrays, rtol, atol, step or 0.0, limit,
        )  # fmt: skip

    def march(
        self, states: np.ndarray, outputs: np.ndarray, statuses: np.ndarray, reached: np.ndarray, tallies: np.ndarray,
        first: int, beyond: int, max_steps: int,
    ) -> None:  # fmt: skip
        """Integrate some trajectories of an ensemble with the arrays of this run; see `stepping.march`."""
        before, after = self._arguments[:OUTPUTS], self._arguments[OUTPUTS + 1 :]
        self.compiled.march(
            states, outputs, statuses, reached, tallies, first, beyond, *before, *after, max_steps
        )

    @property
    def t(self) -> float:
        """The time reached."""
        return float(self.scalars[0])

    @property
    def position(self) -> int:
        """Number of outputs reached."""
        return int(self.counts[5])

    @property
    def steps(self) -> int:
        """Accepted steps."""
        return int(self.counts[1])

    @property
    def rejected(self) -> int:
        """Rejected steps."""
        return int(self.counts[2])

    @property
    def evaluations(self) -> int:
        """Evaluations of the right-hand side."""
        return int(self.counts[3])

    def crossings(self) -> tuple[Crossings, ...]:
        """What the events recorded."""
        return self.watch.crossings()

    def reason(self, status: Status) -> str:
        """Why the run ended, with the component that is not finite."""
        if status is not Status.NON_FINITE:
            return status.value
        culprit = int(self.counts[CULPRIT])
        name = self.names[culprit] if self.names else f"number {culprit}"
        return f"The component {name} is the first that is not finite. {status.value}"

    def drive(self, max_steps: int, bar: Progress | None) -> Status:
        """Advance until the last stop, a failure, or the user's interruption."""
        budget = max_steps if bar is None else 64
        start, stop = self.times[0], self.times[-1]
        compiled, hits = self.compiled, self.compiled.HITS
        endings = {
            compiled.DONE: Status.SUCCESS, compiled.STEP_TOO_SMALL: Status.STEP_TOO_SMALL,
            compiled.NON_FINITE: Status.NON_FINITE, compiled.STIFF: Status.STIFF, compiled.EVENT: Status.EVENT,
        }  # fmt: skip
        try:
            while True:
                taken = self.steps + self.rejected
                if taken >= max_steps:
                    return Status.MAX_STEPS
                began = time.perf_counter()
                compiled.advance(*self._arguments, min(budget, max_steps - taken), self.scalars, self.counts)
                if self.counts[hits]:
                    self.watch.take(int(self.counts[hits]))
                    self.counts[hits] = 0
                if self.counts[0] == compiled.FULL:
                    self.counts[0] = 0
                elif self.counts[0] == compiled.CROWDED:
                    self.counts[0] = 0
                    self.counts[compiled.USED] = self.memory.make_room(self.t)
                    self._arguments = (*self._arguments[:MEMORY], *self.memory.arrays, *self._arguments[MEMORY + 6 :])
                elif self.counts[0]:
                    return endings[int(self.counts[0])]
                if bar is not None:
                    bar.update((self.scalars[0] - start) / (stop - start))
                    budget = budget * 2 if time.perf_counter() - began < BREATH else max(1, budget // 2)
        except KeyboardInterrupt:
            return Status.INTERRUPTED


def _check_tolerances(rtol: float, atol: float) -> None:
    for name, value in (("rtol", rtol), ("atol", atol)):
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not number or not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value!r}; give a positive number.")


def _stops(times: np.ndarray, breakpoints: Sequence[float], everywhere: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where steps have to end (breakpoints inside, the last time, every output for a fixed step), and which output
    each of these is, -1 for none."""
    if not (everywhere or breakpoints):
        return times[-1:].copy(), np.array([times.size - 1])
    low, high = sorted((times[0], times[-1]))
    inner = [b for b in breakpoints if low < b < high]
    stops = np.array(sorted({*inner, *(times[1:] if everywhere else ()), times[-1]}), dtype=float)
    if times[-1] < times[0]:
        stops = stops[::-1].copy()
    sign = 1.0 if times[-1] > times[0] else -1.0
    at = np.searchsorted(sign * times, sign * stops)
    return stops, np.where(times[at] == stops, at, -1)

"""The arrays with which `lockstep` integrates trajectories of an ensemble, eight at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from qnnsym.solvers.problem import Problem, _combinations, _stops, driver, entry
from qnnsym.solvers.tableaus import METHODS
from qnnsym.solvers.vectors import LANES

METHOD = "dop853"
# Compiling the kernel of eight lanes takes some seconds once for a model; fewer trajectories are over before.
FEWEST = 64
# Unknowns beyond which thirteen slopes of eight states leave the second cache, while one state by itself fills the
# registers: three times faster at 42 unknowns, 1.4 times at 570, no faster at 960.
LARGEST = 700
# Bytes of a line of the cache and of the widest register.
LINE = 64


def worthwhile(trajectories: int, unknowns: int) -> bool:
    """Whether so many trajectories of so many unknowns are faster side by side."""
    return trajectories >= FEWEST and unknowns <= LARGEST


def aligned(*shape: int) -> np.ndarray:
    """Zeros that begin with a line of the cache; a vector across two of them takes twice as long to read."""
    size = int(np.prod(shape))
    room = np.zeros(size + LINE // 8)
    start = -room.ctypes.data % LINE // 8
    return room[start : start + size].reshape(shape)


class Lanes:
    """The arrays of eight integrations side by side.

    Arguments:
        problem: parameters, signals and output times.
        kernel: compiled kernel of eight lanes, see `codegen.lanes`.
        rtol, atol: tolerances, checked.
        step: first step, or None.
        halt: (1,) not zero once the user interrupts.
    """

    def __init__(
        self, problem: Problem, kernel: Any, rtol: float, atol: float, step: float | None, halt: np.ndarray
    ) -> None:
        tableau, n, channels = METHODS[METHOD], problem.state.size, problem.table.channels
        self.compiled = driver(problem.cache_dir, "lockstep")
        stops, recorded = _stops(problem.times, problem.breakpoints, everywhere=False)
        between = problem.times.size - 1 > np.count_nonzero(recorded >= 0)
        slopes = len(tableau.c) if between else tableau.stages + 1
        self._halt = halt
        self.kernel = kernel  # keeps alive the machine code whose address the driver has
        self._arguments = (
            entry(kernel, problem.driver.KERNEL.signature), aligned(n * LANES), aligned(slopes * n * LANES),
            aligned(n * LANES), aligned(2, n * LANES), aligned(problem.driver.DENSE_VECTORS * between * n * LANES),
            problem.table.breaks, problem.table.pieces, np.zeros(channels), aligned((channels + 1) * LANES),
            problem.par, problem.dims, aligned(problem.work_size * LANES), stops, recorded, problem.times,
            *_combinations(METHOD), rtol, atol, step or 0.0,
        )  # fmt: skip

    def march(
        self, states: np.ndarray, outputs: np.ndarray, statuses: np.ndarray, reached: np.ndarray, tallies: np.ndarray,
        first: int, beyond: int, max_steps: int,
    ) -> None:  # fmt: skip
        """Integrate some trajectories of an ensemble; the arguments are those of `stepping.march`."""
        self.compiled.march(
            states, outputs, statuses, reached, tallies, first, beyond, self._halt, *self._arguments, max_steps
        )

"""Stiff problems: SciPy's implicit methods, fed with the compiled kernel and its Jacobian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qnnsym.errors import InputError
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.solution import Status

if TYPE_CHECKING:
    from qnnsym.solvers.problem import Problem

METHODS = {"radau": "Radau", "bdf": "BDF", "lsoda": "LSODA"}
# What takes over where the explicit method is limited by stability, and up to how many unknowns: its dense Jacobian
# needs as many products and the cube of it for each factorisation.
SUCCESSOR, LARGEST = "radau", 500


class ImplicitRun:
    """One integration by an implicit method of SciPy.

    Arguments:
        problem: what is integrated.
        method: a key of METHODS.
        rtol, atol: tolerances per component.
        times: (m,) output times.
        outputs: (m, n), filled in place from `position` on.
        position: index of the first output still wanted.
        t, y: where to start.
    """

    def __init__(
        self, problem: Problem, method: str, rtol: float, atol: float, times: np.ndarray, outputs: np.ndarray,
        position: int, t: float, y: np.ndarray,
    ) -> None:  # fmt: skip
        self.problem, self.method, self.rtol, self.atol = problem, method, rtol, atol
        self.times, self.outputs, self.position = times, outputs, position
        self.t, self.y = float(t), np.array(y, dtype=float)
        self.steps, self.rejected, self.evaluations, self.message = 0, 0, 0, ""
        self._side = self.t
        n = self.y.size
        self._rate, self._work = np.empty(n), np.zeros(problem.work_size)
        self._both, self._rates = np.zeros(2 * n), np.empty(2 * n)

    def drive(self, max_steps: int, bar: Progress | None) -> Status:
        """Integrate to the last time, segment by segment between the breakpoints."""
        from scipy import integrate

        start, stop = float(self.times[0]), float(self.times[-1])
        sign = 1.0 if stop > start else -1.0
        ends = sorted(
            {b for b in (*self.problem.breakpoints, stop) if sign * self.t < sign * b <= sign * stop},
            key=lambda b: sign * b,
        )
        jacobian = self._jacobian if self.problem.tangent is not None else None
        try:
            for end in ends:
                self._side = end
                solver = getattr(integrate, METHODS[self.method])(
                    self._slope, self.t, self.y, end, rtol=max(self.rtol, 1e-13), atol=self.atol, jac=jacobian
                )
                while solver.status == "running":
                    if self.steps >= max_steps:
                        return Status.MAX_STEPS
                    message = solver.step()
                    self.steps += 1
                    if solver.status == "failed":
                        self.message = str(message)
                        return Status.STEP_TOO_SMALL if np.isfinite(solver.y).all() else Status.NON_FINITE
                    self._record(solver, sign)
                    if bar is not None:
                        bar.update((self.t - start) / (stop - start))
        except (ValueError, np.linalg.LinAlgError) as error:
            # SciPy's way of saying that the Jacobian or the state is not finite.
            self.message = str(error)
            return Status.NON_FINITE
        except KeyboardInterrupt:
            return Status.INTERRUPTED
        return Status.SUCCESS

    def reason(self, status: Status) -> str:
        """Why the run ended, with what SciPy says."""
        return f"{self.method}: {self.message.rstrip('.')}. {status.value}" if self.message else status.value

    def crossings(self) -> tuple:
        """None: events are found by the compiled driver only."""
        return ()

    def _record(self, solver: Any, sign: float) -> None:
        self.t, self.y = float(solver.t), solver.y.copy()
        wanted = self.position
        while wanted < self.times.size and sign * (self.t - self.times[wanted]) >= 0:
            wanted += 1
        if wanted > self.position:
            self.outputs[self.position : wanted] = solver.dense_output()(self.times[self.position : wanted]).T
            if self.times[wanted - 1] == self.t:
                self.outputs[wanted - 1] = self.y
            self.position = wanted

    def _slope(self, t: float, y: np.ndarray) -> np.ndarray:
        self.evaluations += 1
        p = self.problem
        p.kernel(t, np.ascontiguousarray(y), self._signals(t), p.par, p.dims, self._work, self._rate)
        return self._rate.copy()

    def _jacobian(self, t: float, y: np.ndarray) -> np.ndarray:
        """Column by column from the product kernel: exact to rounding."""
        p, n = self.problem, y.size
        matrix, ext = np.empty((n, n)), self._signals(t)
        self._both[:n] = y
        for column in range(n):
            self._both[n:] = 0.0
            self._both[n + column] = 1.0
            p.tangent(t, self._both, ext, p.par, p.dims, self._work, self._rates)
            matrix[:, column] = self._rates[n:]
        return matrix

    def _signals(self, t: float) -> np.ndarray:
        """External signals; at a breakpoint those of the segment that is integrated."""
        values = np.empty(self.problem.table.channels)
        self.problem.driver.fill_external(
            self.problem.table.breaks, self.problem.table.pieces, t, self._towards(t), values
        )
        return values

    def _towards(self, t: float) -> float:
        return self._side if t != self._side else self.t


def check_size(method: str, size: int) -> None:
    """Refuse an implicit method whose Jacobian would not fit.

    Raises:
        InputError: for more than ten times LARGEST unknowns.
    """
    if size > 10 * LARGEST:
        raise InputError(
            f"{method} needs a dense Jacobian of {size} x {size} entries; use dop853 or rk4 for this many unknowns."
        )

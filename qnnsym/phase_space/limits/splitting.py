"""The order of every composition in the time step, on the model's own Hamiltonian and state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

import numpy as np

from qnnsym.checks.check import Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.errors import SolverError
from qnnsym.phase_space.limits.subject import Subject, distance, not_separable, order_figure
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.states import State
from qnnsym.solvers.compositions import BLANES_MOAN_6, COMPOSITIONS, Composition
from qnnsym.solvers.solution import Solution

# Error of the longest step by order: small enough for the leading power to rule, large enough to stay above FLOOR.
LARGEST_ERROR = {2: 1e-3, 4: 3e-6, 6: 2e-8}
RATIOS = (1.0, 1.2, 1.45, 1.75, 2.1)
FLOOR = 1e-11
# The reference has so many steps more than the finest of the most accurate composition.
REFINED = 4
MOST_STEPS = 4096


@dataclass(frozen=True)
class splitting_orders:
    """Every composition converges with its order in the time step.

    Arguments:
        time: length of the evolution.
        tolerance: of the fitted orders.
    """

    time: float = 1.0
    tolerance: float = 0.2
    name: str = "order of the splitting"

    def applies(self, model: Any) -> str | None:
        return not_separable(model, driven=True) or ("The model has no state." if model.state is None else None)

    def run(self, context: Context) -> list[Check]:
        model = context.model
        Subject.of(model)

        def evolved(**options: Any) -> Solution:
            return evolve_wigner(
                model.hamiltonian, model.state, (0, self.time, 2), hbar=model.hbar, space=model.space,
                values=model.values, **options,
            )  # fmt: skip

        # What reaches the edges of the run's own grid would hide the errors of the finest steps.
        grid = evolved(tolerance=FLOOR).grid if isinstance(model.state, State) else context.solution.grid

        @cache
        def final(method: str, count: int) -> np.ndarray:
            return evolved(grid=grid, method=method, step=self.time / count).final

        finest = _counts(BLANES_MOAN_6, final)
        reference = final(BLANES_MOAN_6.name, REFINED * finest[-1])
        rows, steps, errors, slopes = [], {}, {}, {}
        for composition in COMPOSITIONS.values():
            name = composition.name
            counts = finest if composition is BLANES_MOAN_6 else _counts(composition, final, reference)
            steps[name] = [self.time / n for n in counts]
            errors[name] = [distance(final(name, n), reference) for n in counts]
            slopes[name] = float(composition.order)
            rows.append(
                order_check(
                    self.name, f"order in the step, {name}", steps[name], errors[name], composition.order,
                    composition.source, self.tolerance, FLOOR,
                )
            )  # fmt: skip
        context.figures += [
            order_figure(
                f"splitting_{name}", steps[name], {name: errors[name]}, {name: slopes[name]}, xlabel="step",
                ylabel="error of W", caption=f"Error of the composition {name} at t = {self.time:g} against its step.",
            )
            for name in steps
        ]  # fmt: skip
        return rows


def _counts(
    composition: Composition, final: Callable[[str, int], np.ndarray], reference: np.ndarray | None = None
) -> list[int]:
    """Numbers of steps whose errors span the range in which the order shows.

    Without a reference the run with twice as many steps takes its place.
    """
    q, count = composition.order, 4
    for _ in range(12):
        against = final(composition.name, 2 * count) if reference is None else reference
        error = distance(final(composition.name, count), against)
        # While the error is large it does not follow its power: short strides then.
        factor = (max(error, FLOOR) / LARGEST_ERROR[q]) ** (1 / q)
        wanted = max(4, ceil(count * min(max(factor, 0.25), 3.0)))
        if 0.8 <= factor <= 1.25 or wanted == count:
            # Even: of an odd number the stepper would halve the last, to measure its error.
            return sorted({2 * ceil(wanted * ratio / 2) for ratio in RATIOS})
        count = wanted
        if count > MOST_STEPS:
            break
    raise SolverError(f"{composition.name} needs more than {MOST_STEPS} steps to converge; check a shorter time.")

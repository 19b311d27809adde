"""The order of every composition in the time step, on the model's own Hamiltonian and state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from math import ceil, inf
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, Check, Context
from qnnsym.checks.orders import LEAST, order_check
from qnnsym.errors import InputError, SolverError
from qnnsym.phase_space.limits.flow import Flow
from qnnsym.phase_space.limits.subject import MARGIN, Subject, beside, distance, not_separable, order_figure
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.states import State
from qnnsym.solvers.compositions import BLANES_MOAN_6, COMPOSITIONS, Composition
from qnnsym.solvers.solution import Solution
from qnnsym.solvers.split_record import EDGES

# Error of the longest step by order: small enough for the leading power to rule, large enough to stay above FLOOR.
LARGEST_ERROR = {2: 1e-3, 4: 3e-6, 6: 2e-8}
RATIOS = (1.0, 1.2, 1.45, 1.75, 2.1)
# How many times the most steps are taken further where the slopes are still on their way.
FURTHER = (1.2, 1.45, 1.75)
# Some twenty times the rounding of the longest evolution.
FLOOR = 1e-12
# Tolerance of the grid: each of its edges holds a tenth of that.
CLEAN = 1e-11
# The reference has so many steps more than the finest of the most accurate composition.
REFINED = 8
FEWEST, MOST_STEPS = 4, 4096


@dataclass(frozen=True)
class splitting_orders:
    """Every composition converges with its order in the time step.

    Arguments:
        time: length of the evolution; doubled, up to the length of the run, where the errors would be too small to
            show an order.
        tolerance: of the fitted orders.
    """

    time: float = 1.0
    tolerance: float = 0.2
    name: str = "order of the splitting"

    def applies(self, model: Any) -> str | None:
        reason = not_separable(model, driven=True, accompanied=True)
        return reason or ("The model has no state." if model.state is None else None)

    def run(self, context: Context) -> list[Check]:
        model = context.model
        span = abs(float(context.solution.times[-1] - context.solution.times[0]))

        @cache
        def grid(time: float) -> tuple[np.ndarray, np.ndarray]:
            # What a grid cuts off, and what lies at its edges, follows no power of the step: less of it than in a run.
            if "grid" not in model.options and isinstance(model.state, State):
                with suppress(InputError):
                    return evolve(time, tolerance=CLEAN).grid
            return context.solution.grid

        def evolve(time: float, **options: Any) -> Solution:
            return evolve_wigner(
                model.hamiltonian, model.state, (0, time, 2), hbar=model.hbar, space=model.space, values=model.values,
                **beside(model), **options,
            )  # fmt: skip

        @cache
        def evolved(method: str, count: int, time: float) -> Solution:
            return evolve(time, grid=grid(time), method=method, step=time / count)

        time, best = self.time, BLANES_MOAN_6.name
        while 2 * time <= span:
            error = distance(evolved(best, FEWEST, time).final, evolved(best, 2 * FEWEST, time).final)
            if error > LARGEST_ERROR[BLANES_MOAN_6.order] / 2:
                break
            time *= 2

        def final(method: str, count: int) -> np.ndarray:
            return evolved(method, count, time).final

        subject = Subject.of(model)
        # Under a drive no two flows commute at all times.
        due = inf if subject.driven or beside(model) else _leapfrog_error(subject, time, 2 * FEWEST)
        finest = _counts(BLANES_MOAN_6, final)
        reference = final(best, REFINED * finest[-1])
        edges = evolved(best, REFINED * finest[-1], time).diagnostics
        floor = max(FLOOR, sum(edges[edge] for edge in EDGES))
        rows, steps, errors, slopes = [], {}, {}, {}
        for composition in COMPOSITIONS.values():
            name = composition.name
            counts = finest if composition is BLANES_MOAN_6 else _counts(composition, final, reference)
            found = [distance(final(name, n), reference) for n in counts]
            row = self._row(composition, time, counts, found, floor, due)
            if row.verdict == FAIL and floor < found[-1] < inf:
                # A slope that has not settled yet does so further down; that of a wrong composition does not.
                counts = [*counts, *(2 * ceil(counts[-1] * ratio / 2) for ratio in FURTHER)]
                found += [distance(final(name, n), reference) for n in counts[len(found) :]]
                row = self._row(composition, time, counts, found, floor, due)
            rows.append(row)
            steps[name], errors[name], slopes[name] = [time / n for n in counts], found, float(composition.order)
        context.figures += [
            order_figure(
                f"splitting_{name}", steps[name], {name: errors[name]}, {name: slopes[name]}, xlabel="step",
                ylabel="error of W", caption=f"Error of the composition {name} at t = {time:g} against its step.",
            )
            for name in steps
        ]  # fmt: skip
        return rows

    def _row(
        self, composition: Composition, time: float, counts: list[int], errors: list[float], floor: float, due: float
    ) -> Check:
        quantity, source = f"order in the step, {composition.name}", composition.source
        if max(errors) <= FLOOR and composition.order == 2 and due > MARGIN * FLOOR:
            detail = f"all differences are below {FLOOR:.0e} where classical points are off by {due:.1e} of a width"
            return Check(self.name, quantity, 2.0, "no difference", self.tolerance, FAIL, source, detail)
        seen = sum(not error <= floor for error in errors)
        if FLOOR < max(errors) < inf and seen < LEAST and (counts[0] == FEWEST or floor > FLOOR):
            reason = (
                f"{counts[0]} steps have the error {errors[0]:.1e}, and more of them fall below {floor:.0e} before the "
                "order shows; a longer time or a grid with more room would show it."
            )
            return Check.not_applicable(self.name, quantity, reason, source)
        return order_check(
            self.name, quantity, [time / n for n in counts], errors, composition.order, source, self.tolerance,
            FLOOR if max(errors) <= FLOOR else floor,
        )  # fmt: skip


def _leapfrog_error(subject: Subject, time: float, steps: int) -> float:
    """How far Strang's splitting carries classical points of a packet astray, in widths of the packet.

    Where T and U make the two flows commute this is zero, and then nothing but this explains an error of zero.
    """
    numbers = subject.numbers(subject.model.hbar)
    x0, a, p0, w = (float(sp.sympify(v).subs(numbers)) for v in subject.coherent().extent(subject.space)[0])
    flow = Flow(subject, numbers, time)
    start = x0 + a * np.array([0.0, 1, -1, 0, 0]), p0 + w * np.array([0.0, 0, 0, 1, -1])
    x, p, h = *start, time / steps
    for _ in range(steps):
        x = x + h / 2 * flow.velocity(p)
        p = p + h * flow.force(x)
        x = x + h / 2 * flow.velocity(p)
    exact_x, exact_p = flow.move(*start, time, 16 * steps)
    return float(max(np.max(np.abs(x - exact_x)) / a, np.max(np.abs(p - exact_p)) / w))


def _counts(
    composition: Composition, final: Callable[[str, int], np.ndarray], reference: np.ndarray | None = None
) -> list[int]:
    """Numbers of steps whose errors span the range in which the order shows.

    Without a reference the run with twice as many steps takes its place.
    """
    q, count = composition.order, FEWEST
    for _ in range(12):
        against = final(composition.name, 2 * count) if reference is None else reference
        error = distance(final(composition.name, count), against)
        # While the error is large it does not follow its power: short strides then.
        factor = (max(error, FLOOR) / LARGEST_ERROR[q]) ** (1 / q)
        wanted = max(FEWEST, ceil(count * min(max(factor, 0.25), 3.0)))
        if 0.8 <= factor <= 1.25 or wanted == count:
            # Even: of an odd number the stepper would halve the last, to measure its error.
            return sorted({2 * ceil(wanted * ratio / 2) for ratio in RATIOS})
        count = wanted
        if count > MOST_STEPS:
            break
    raise SolverError(f"{composition.name} needs more than {MOST_STEPS} steps to converge; check a shorter time.")

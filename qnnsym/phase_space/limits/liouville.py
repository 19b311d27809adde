"""The classical limit: exact Wigner evolution against the Liouville flow as hbar goes to zero.

The first correction is hbar^2/24 U''' d_p^3 W. With widths that do not depend on hbar it is of order hbar^2 relative
to W. A coherent state has the width sqrt(hbar) in p: relative to W it is of order hbar^2/hbar^(3/2) = hbar^(1/2),
pointwise and in L2, although expectation values converge as hbar^2. The powers are those of small hbar:
w^2 = c^2 + hbar^2/a^2 still bends the slopes at hbar = 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

from qnnsym.checks.check import Check, Context, failed
from qnnsym.checks.orders import LEAST
from qnnsym.errors import InputError
from qnnsym.phase_space.limits.flow import Flow
from qnnsym.phase_space.limits.subject import (
    CASE,
    RESOLUTION,
    Subject,
    array_function,
    depends_on_hbar,
    distance,
    not_separable,
    order_figure,
    order_row,
    own_error,
    wigner_figure,
)

FIXED, COHERENT, MEAN = "fixed widths", "coherent", "<x>, coherent"
EXPECTED = {FIXED: 2.0, COHERENT: 0.5, MEAN: 2.0}
QUANTITIES = {
    FIXED: "order in hbar of |W - W_cl|/|W|, widths a = c = 1/2",
    COHERENT: "order in hbar of |W - W_cl|/|W|, coherent state",
    MEAN: "order in hbar of <x> - <x>_cl, coherent state",
}
ZEROS = {label: text.removeprefix("order in hbar of ") for label, text in QUANTITIES.items()}
# Of the evolutions. Differences of fixed widths stay above 1e-5, those of <x> fall to 1e-9.
TOLERANCES = {FIXED: 1e-8, COHERENT: 1e-10}
# By what the smallest hbar is divided where the slopes are still on their way, and in a full run.
FURTHER = (1.6, 2.5)
# H at most quadratic: what both routes may differ by, and the tolerance for it.
ZERO, TIGHT = 1e-8, 1e-10


@dataclass(frozen=True)
class classical:
    """The exact evolution approaches the Liouville flow at the rate that the widths of the state allow.

    Arguments:
        hbars: values of hbar, at least four, all at most 0.05.
        time: at which both are compared.
        tolerance: of the fitted orders.
    """

    hbars: tuple[float, ...] = (0.05, 0.03, 0.018, 0.011, 0.0066, 0.004)
    time: float = 1.0
    tolerance: float = 0.2
    name: str = "classical limit"

    def applies(self, model: Any) -> str | None:
        return not_separable(model) or depends_on_hbar(model)

    def run(self, context: Context) -> list[Check]:
        subject = Subject.of(context.model)
        further = tuple(self.hbars[-1] / factor for factor in FURTHER)
        gaps: dict[str, list[float]] = {label: [] for label in EXPECTED}
        floors = dict.fromkeys(EXPECTED, 0.0)
        refused: dict[str, str] = {}
        for hbar in (*self.hbars, *(further if context.full else ())):
            self._measure(subject, hbar, gaps, floors, refused, context)
        rows = self._rows(subject, gaps, floors, refused)
        if failed(rows) and not context.full:
            # Slopes that have not settled yet do so further down; those of a wrong equation settle elsewhere.
            for hbar in further:
                self._measure(subject, hbar, gaps, floors, refused, context)
            rows = self._rows(subject, gaps, floors, refused)
        longest = max(map(len, gaps.values()))
        context.figures.append(
            order_figure(
                "classical_limit", self._ladder(longest),
                {label: [*found, *[nan] * (longest - len(found))] for label, found in gaps.items()}, EXPECTED,
                xlabel="hbar", ylabel="distance from the classical flow",
                caption=f"Distance between exact and Liouville evolution at t = {self.time:g}.",
            )
        )  # fmt: skip
        return rows

    def _ladder(self, number: int) -> tuple[float, ...]:
        return (*self.hbars, *(self.hbars[-1] / factor for factor in FURTHER))[:number]

    def _measure(
        self, subject: Subject, hbar: float, gaps: dict, floors: dict, refused: dict, context: Context
    ) -> None:
        """The next value of hbar for all states whose grids can be had."""
        numbers, (x,) = subject.numbers(hbar), subject.space.x
        flow = Flow(subject, numbers, self.time)
        quadratic = max(subject.degrees()) <= 2
        for label, state in ((FIXED, subject.fixed_widths()), (COHERENT, subject.coherent())):
            if label in refused:
                continue
            tolerance = TIGHT if quadratic else TOLERANCES[label]
            try:
                solution = subject.evolved(state, self.time, hbar, tolerance=tolerance, e_ops={"x": x})
            except InputError as error:
                refused[label] = str(error)
                continue
            w0 = array_function(state.wigner(subject.space), subject.space.variables, numbers)
            transported = flow.transported(w0, solution.grid)
            gaps[label].append(distance(solution.final, transported))
            floors[label] = max(floors[label], RESOLUTION * own_error(solution))
            if label == COHERENT:
                gaps[MEAN].append(abs(float(solution.expect["x"][-1]) - flow.mean_position(state)))
                floors[MEAN] = floors[COHERENT]
                if hbar == self.hbars[0]:
                    context.figures.append(self._panels(solution.grid, solution.final, transported, hbar))

    def _rows(self, subject: Subject, gaps: dict, floors: dict, refused: dict) -> list[Check]:
        rows = []
        for label in EXPECTED:
            reason = refused.get(COHERENT if label == MEAN else label)
            if reason and len(gaps[label]) < LEAST:
                rows.append(Check.not_applicable(self.name, QUANTITIES[label], reason, CASE))
            else:
                rows.append(self._row(subject, label, self._ladder(len(gaps[label])), gaps[label], floors[label]))
        return rows

    def _row(self, subject: Subject, label: str, hbars: tuple, gaps: list[float], floor: float) -> Check:
        kinetic, potential = subject.degrees()
        x0, p0 = subject.centre()
        note = f"t = {self.time:g}, from (x, p) = ({x0:g}, {p0:g})"
        zero = ""
        if max(kinetic, potential) <= 2:
            zero = "H is at most quadratic, so that Moyal = Poisson: identically zero"
        elif label == MEAN and min(kinetic, potential) <= 1:
            zero = "T or U is at most linear, so that <x> moves classically: identically zero"
        if zero:
            return Check.below(self.name, ZEROS[label], max(gaps), ZERO, CASE, f"{zero}; {note}")
        state = subject.fixed_widths() if label == FIXED else subject.coherent()
        # The effect on <x> is not bounded by the size of the term: what is not seen of it is not held against it.
        predicted = 0.0 if label == MEAN else subject.predicted(1, hbars[0], state, self.time)
        return order_row(
            self.name, QUANTITIES[label], hbars, gaps, EXPECTED[label], CASE,
            tolerance=self.tolerance, floor=floor, predicted=predicted, note=note,
        )  # fmt: skip

    def _panels(self, grid: Any, exact: Any, transported: Any, hbar: float) -> dict[str, Any]:
        return wigner_figure(
            "exact_and_classical", grid, [(f"exact, hbar = {hbar:g}", exact), ("classical", transported)],
            caption=f"Exact and classical evolution of the coherent state at t = {self.time:g}.",
            alt="Two panels: the exact Wigner function with negative fringes, and the classical density without.",
        )  # fmt: skip

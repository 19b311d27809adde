"""The Moyal series, cut: exact where it ends, else wrong by the next power of hbar for states of fixed widths."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf
from typing import Any

from qnnsym.checks.check import Check, Context
from qnnsym.checks.orders import LEAST
from qnnsym.errors import InputError
from qnnsym.phase_space.limits.subject import (
    RESOLUTION,
    Subject,
    depends_on_hbar,
    distance,
    not_separable,
    order_figure,
    order_row,
    own_error,
)

SOURCE = "J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949)"
TOLERANCE = 1e-10
# Highest powers of hbar kept that are measured, with the tolerance that their errors ask for.
CUTS = {0: 1e-8, 2: TOLERANCE}


def last_power(subject: Subject) -> int | None:
    """The power of hbar with which the series ends: the largest 2s with 2s + 1 <= degree; None if it does not end."""
    degree = max(subject.degrees())
    return None if isinf(degree) else 2 * max(0, (int(degree) - 1) // 2)


@dataclass(frozen=True)
class truncated:
    """Cut at hbar^n, the series is wrong by hbar^(n+2) for fixed widths, and exact from its last power on.

    Arguments:
        hbars: values of hbar, at least four, all at most 0.05.
        time: of the comparison.
        tolerance: of the fitted orders.
    """

    hbars: tuple[float, ...] = (0.05, 0.035, 0.025, 0.0175, 0.0125)
    time: float = 1.0
    tolerance: float = 0.2
    name: str = "truncation in hbar"

    def applies(self, model: Any) -> str | None:
        return not_separable(model) or depends_on_hbar(model)

    def run(self, context: Context) -> list[Check]:
        subject = Subject.of(context.model)
        last = last_power(subject)
        cuts = [n for n in CUTS if last is None or n < last]
        gaps: dict[int, list[float]] = {n: [] for n in cuts}
        floors = dict.fromkeys(cuts, 0.0)
        rows: list[Check] = []
        if last is not None:
            rows.append(self._ends(subject, last, float(context.model.hbar)))
        refused = ""
        for hbar in self.hbars if cuts else ():
            try:
                self._measure(subject, hbar, gaps, floors)
            except InputError as error:
                refused = str(error)
                break
        note = f"widths a = c = 1/2, t = {self.time:g}"
        for n in cuts:
            quantity, found = f"order in hbar of |W_{n} - W|/|W|, cut at hbar^{n}", gaps[n]
            if refused and len(found) < LEAST:
                rows.append(Check.not_applicable(self.name, quantity, refused, SOURCE))
                continue
            rows.append(
                order_row(
                    self.name, quantity, self.hbars[: len(found)], found, n + 2.0,
                    SOURCE, tolerance=self.tolerance, floor=floors[n], note=note,
                    predicted=subject.predicted(n // 2 + 1, self.hbars[0], subject.fixed_widths(), self.time),
                )
            )  # fmt: skip
        if cuts and all(gaps.values()):
            labels = {n: f"cut at hbar^{n}" for n in cuts}
            number = min(map(len, gaps.values()))
            context.figures.append(
                order_figure(
                    "truncation", self.hbars[:number], {labels[n]: gaps[n][:number] for n in cuts},
                    {labels[n]: n + 2.0 for n in cuts}, xlabel="hbar", ylabel="distance from the exact evolution",
                    caption=f"Truncated against exact evolution at t = {self.time:g}, {note}.",
                )
            )  # fmt: skip
        return rows

    def _ends(self, subject: Subject, last: int, hbar: float) -> Check:
        """The model's own hbar, where the terms are large."""
        quantity, state = f"|W_{last} - W|/|W|, cut at hbar^{last}", subject.fixed_widths()
        try:
            exact = subject.evolved(state, self.time, hbar, tolerance=TOLERANCE)
            cut = subject.evolved(state, self.time, hbar, tolerance=TOLERANCE, grid=exact.grid, order=last)
        except InputError as error:
            return Check.not_applicable(self.name, quantity, str(error), SOURCE)
        gap, bound = distance(cut.final, exact.final), RESOLUTION * TOLERANCE
        degree = int(max(subject.degrees()))
        detail = f"H is a polynomial of degree {degree}: the series ends at hbar^{last}; hbar = {hbar:g}"
        return Check.below(self.name, quantity, gap, bound, SOURCE, detail)

    def _measure(self, subject: Subject, hbar: float, gaps: dict, floors: dict) -> None:
        state, tolerance = subject.fixed_widths(), CUTS[max(gaps)]
        exact = subject.evolved(state, self.time, hbar, tolerance=tolerance)
        for n in gaps:
            cut = subject.evolved(state, self.time, hbar, tolerance=tolerance, grid=exact.grid, order=n)
            gaps[n].append(distance(cut.final, exact.final))
            floors[n] = max(floors[n], RESOLUTION * (own_error(exact) + own_error(cut)))

"""When the classical description ends: t* of the first correction along the flow, and break times of <x>."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.errors import InputError
from qnnsym.phase_space.classical.breaking import break_time
from qnnsym.phase_space.classical.dynamics import LOGARITHMIC, correction_time
from qnnsym.phase_space.limits.subject import CASE, Subject, array_function, depends_on_hbar, not_separable
from qnnsym.phase_space.states import GaussianState
from qnnsym.solvers.solution import as_times

SOURCE = "G. P. Berman, G. M. Zaslavsky, Physica A 91, 450 (1978)"
COHERENT, FIXED = "coherent", "fixed widths"


@dataclass(frozen=True)
class corrections:
    """At a saddle of H the first correction is as large as the classical term after t* = slope ln(1/hbar).

    Arguments:
        hbars: values of hbar; the flow of derivatives is linearised, so that they may be tiny.
        within: positions |x| among which a maximum of U is looked for.
        tolerance: of the slopes, relative.
    """

    hbars: tuple[float, ...] = tuple(10.0**-k for k in range(4, 13, 2))
    within: float = 8.0
    tolerance: float = 0.02
    name: str = "time of the first correction"

    def applies(self, model: Any) -> str | None:
        return not_separable(model) or depends_on_hbar(model)

    def run(self, context: Context) -> list[Check]:
        subject = Subject.of(context.model)
        saddle = self._saddle(subject)
        quantity = "slope of t* against ln(1/hbar)"
        if saddle is None:
            reason = f"U has no maximum in |x| <= {self.within:g}, so that no orbit here is hyperbolic for sure."
            return [Check.not_applicable(self.name, quantity, reason, SOURCE)]
        x0, rate = saddle
        root, centre = sp.sqrt(subject.space.hbar), sp.Rational(str(round(x0, 12)))
        states = {
            COHERENT: (GaussianState(a=root, x0=centre), 1 / (2 * rate)),
            FIXED: (GaussianState(a=sp.Rational(1, 4), x0=centre, c=sp.Rational(1, 4)), 1 / rate),
        }
        rows: list[Check] = []
        curves = {}
        for label, (state, expected) in states.items():
            try:
                found = correction_time(
                    subject.equation.hamiltonian, state, subject.space, hbars=self.hbars, longest=50 / rate
                )
            except InputError as error:
                rows.append(Check.not_applicable(self.name, f"{quantity}, {label}", str(error), SOURCE))
                continue
            detail = (
                f"{label}, saddle at x = {x0:.6g}, lambda = {rate:.6g}; along the flow {found.lyapunov:.4f}; "
                f"law: {found.law}; "
                + ", ".join(f"{h:g}: {t:.3f}" for h, t in zip(found.hbars, found.times, strict=True))
            )
            slope = found.slope if found.law == LOGARITHMIC else float("nan")
            rows.append(
                Check.close(
                    self.name, f"{quantity}, {label}", expected, slope, self.tolerance * expected, SOURCE, detail
                )
            )  # fmt: skip
            curves[label] = found
        if curves:
            x = np.log(1 / np.sort(np.asarray(self.hbars))[::-1])
            context.figures.append(
                {
                    "kind": "expectation", "name": "first_correction", "t": x,
                    "curves": {label: found.times for label, found in curves.items()},
                    "xlabel": "ln(1/hbar)", "ylabel": "t*",
                    "caption": "Time at which the first correction is as large as the classical term, at a saddle.",
                    "alt": "Two straight lines, that of fixed widths twice as steep as that of coherent widths.",
                }
            )  # fmt: skip
        return rows

    def _saddle(self, subject: Subject) -> tuple[float, float] | None:
        """(x, lambda) of the maximum of U next to zero."""
        (x,), (p,) = subject.space.x, subject.space.p
        numbers = {s: v for s, v in subject.numbers(1.0).items()}
        force, curve = (array_function(sp.diff(subject.potential, x, n), (x,), numbers) for n in (1, 2))
        mass = 1 / array_function(sp.diff(subject.kinetic, p, 2), (p,), numbers)(np.zeros(1))[0]
        grid = np.linspace(-self.within, self.within, 4001)
        values = force(grid)
        found = []
        for k in np.flatnonzero((values[:-1] >= 0) & (values[1:] < 0)):
            low, high = grid[k], grid[k + 1]
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if force(np.array([middle]))[0] >= 0 else (low, middle)
            bend = curve(np.array([low]))[0]
            if bend < 0:
                found.append((float(low), float(np.sqrt(-bend / mass))))
        return min(found, key=lambda one: (abs(one[0]), -one[0]), default=None)


@dataclass(frozen=True)
class breaking:
    """<x> of the exact evolution leaves that of Liouville's equation the later, the smaller hbar is.

    Arguments:
        hbars: values of hbar.
        threshold: gap in <x> that counts as broken.
        longest: time at which the search ends.
    """

    hbars: tuple[float, ...] = (0.1, 0.08, 0.06)
    threshold: float = 1e-3
    longest: float = 8.0
    name: str = "break time"

    def applies(self, model: Any) -> str | None:
        reason = not_separable(model, driven=True) or depends_on_hbar(model)
        if reason is None and Subject.of(model).driven and model.times is not None and as_times(model.times)[0] != 0:
            return "The search begins at t = 0, where the phase of the drive is not that of the run."
        if reason is None and max(Subject.of(model).degrees()) <= 2:
            return "H is at most quadratic: quantum and classical expectation values never part."
        return reason

    def run(self, context: Context) -> list[Check]:
        subject = Subject.of(context.model)
        (x,), state = subject.space.x, subject.coherent()
        quantity = f"steps by which the break time of <x> falls with hbar (gap {self.threshold:g})"
        values = {s.name: v for s, v in subject.numbers(1.0).items() if s in subject.space.defaults}
        try:
            found = break_time(
                subject.equation.hamiltonian, x, state, subject.space, self.hbars, threshold=self.threshold,
                longest=self.longest, values=values,
            )  # fmt: skip
        except InputError as error:
            return [Check.not_applicable(self.name, quantity, str(error), CASE)]
        # Not broken within the search: later than its end.
        times = np.where(np.isfinite(found.times), found.times, np.inf)
        listed = ", ".join(f"{h:g}: {t:.3g}" for h, t in zip(found.hbars, found.times, strict=True))
        detail = f"{state!r}; {listed}; exponent {found.exponent:.3f}"
        if not np.isfinite(times[0]):
            reason = f"<x> does not part by {self.threshold:g} within t = {self.longest:g}."
            return [Check.not_applicable(self.name, quantity, reason, CASE)]
        falls = int(np.sum(times[1:] < times[:-1]))
        largest = float(found.hbars[0])
        t = max((curve[0] for curve in found.curves.values()), key=lambda one: one[-1])
        gaps = {
            f"hbar = {h:g}": np.interp(t, at, np.abs(quantum - classical), right=np.nan)
            for h, (at, quantum, classical) in found.curves.items()
        }
        context.figures.append(
            {
                "kind": "expectation", "name": "break_time", "t": t,
                "curves": gaps, "xlabel": "t", "ylabel": "gap in <x>",
                "caption": f"Exact against classical mean position. For hbar = {largest:g} the gap reaches "
                f"{self.threshold:g} at t = {found.times[0]:.3g}.",
                "alt": "Gaps that grow with time, the later the smaller hbar is.",
            }
        )  # fmt: skip
        return [Check(self.name, quantity, 0, falls, 0.0, FAIL if falls else PASS, CASE, detail)]

"""The exact powers of hbar of the Moyal terms, states by potentials by measures, each seen in numbers at small hbar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.errors import InputError
from qnnsym.phase_space.classical import MEASURES, ZERO, ClassicalLimit, classical_limit
from qnnsym.phase_space.classical.confirmation import Samples, sampled
from qnnsym.phase_space.limits.subject import CASE, Subject, depends_on_hbar, not_separable, order_figure
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatState, GaussianState, State

WORDS = {"l2": "L2", "sup": "sup", "weak": "weak"}
# Local slopes between 1e-7 and 1e-8; what is left of the next power is far below.
HBARS, FULL = ("1e-6", "1e-7", "1e-8"), ("1e-5", "1e-6", "1e-7", "1e-8")
COEFFICIENT = 1e-3


def families(space: PhaseSpace) -> dict[str, State]:
    """One state of every kind of scaling, around x = 1."""
    root = sp.sqrt(space.hbar)
    return {
        "coherent": GaussianState(a=root, x0=1),
        "pure, fixed width": GaussianState(a=1, x0=1),
        "cat": CatState(a=root, b=1, x0=sp.Rational(1, 2)),
        "smeared, fixed c": GaussianState(a=1, x0=1, c=1),
    }


@dataclass(frozen=True)
class terms:
    """||T_s||/||T_0|| ~ hbar^r: the exact r against local slopes, for the model's H and other potentials.

    Arguments:
        states: {name: state}; None takes one of every kind of scaling.
        potentials: {name: H} beside the model's own.
        s: which terms.
        measures: of "l2", "sup", "weak".
        tolerance: of the slopes.
    """

    states: Mapping[str, State] | None = None
    potentials: Mapping[str, Any] | None = None
    s: tuple[int, ...] = (1, 2)
    measures: tuple[str, ...] = MEASURES
    tolerance: float = 0.02
    name: str = "powers of hbar"

    def applies(self, model: Any) -> str | None:
        return not_separable(model) or depends_on_hbar(model)

    def run(self, context: Context) -> list[Check]:
        subject = Subject.of(context.model)
        states = self.states or families(subject.space)
        rows: list[Check] = []
        for potential, H in {"H": subject.equation.hamiltonian, **(self.potentials or {})}.items():
            curves: dict[str, dict[str, tuple[np.ndarray, float]]] = {m: {} for m in self.measures}
            hbars: Any = ()
            for label, state in states.items():
                try:
                    table = classical_limit(H, state, subject.space, self.s, self.measures)
                    found = sampled(table, FULL if context.full else HBARS)
                except InputError as error:
                    rows.append(Check.not_applicable(self.name, f"{label}, {potential}", str(error), CASE))
                    continue
                rows += self._rows(table, found, f"{label}, {potential}")
                hbars = found.hbars
                for measure in self.measures:
                    power = table.exponent[measure, self.s[0]]
                    if power != "zero":
                        curves[measure][label] = (found.ratios[measure, self.s[0]], float(power))
            if potential == "H":
                context.figures += [self._figure(measure, hbars, lines) for measure, lines in curves.items() if lines]
        return rows

    def _rows(self, table: ClassicalLimit, found: Samples, which: str) -> list[Check]:
        rows, worst = [], 0.0
        for measure in self.measures:
            for s in self.s:
                key = (measure, s)
                quantity = f"power of hbar in |T_{s}|/|T_0|, {WORDS[measure]}: {which}"
                ratios = found.ratios[key]
                if table.verdict[key] == ZERO and measure in table.vanishing:
                    reason = f"T_0 is zero as well, and there is nothing to compare T_{s} with."
                    rows.append(Check.not_applicable(self.name, quantity, reason, CASE))
                    continue
                if table.verdict[key] == ZERO:
                    zero = bool(np.all(ratios == 0))
                    shown = ZERO if zero else f"up to {np.max(np.abs(ratios)):.1e}"
                    verdict = PASS if zero else FAIL
                    rows.append(Check(self.name, quantity, ZERO, shown, None, verdict, CASE, f"{table.family!r}"))
                    continue
                power = float(table.exponent[key])
                coefficient = float(table.coefficient[key].xreplace(dict(table.space.defaults)))
                detail = (
                    f"{table.verdict[key]}; {table.exponent[key]} exactly, coefficient {coefficient:.6g}; "
                    f"{table.family!r}, "
                    f"hbar down to {found.hbars[-1]:g}"
                )
                rows.append(Check.close(self.name, quantity, power, found.slopes[key], self.tolerance, CASE, detail))
                gap = abs(ratios[-1] / (coefficient * found.hbars[-1] ** power) - 1)
                worst = max(worst, gap) if np.isfinite(gap) else float("nan")
        if table.vanishing.issuperset(self.measures):
            return rows
        quantity = f"largest relative error of the coefficients: {which}"
        rows.append(Check.below(self.name, quantity, worst, COEFFICIENT, CASE, f"at hbar = {found.hbars[-1]:g}"))
        return rows

    def _figure(self, measure: str, hbars: Any, lines: dict[str, tuple[np.ndarray, float]]) -> dict[str, Any]:
        first = self.s[0]
        return order_figure(
            f"powers_{measure}", hbars, {label: ratios for label, (ratios, _) in lines.items()},
            {label: power for label, (_, power) in lines.items()},
            xlabel="hbar", ylabel=f"|T_{first}|/|T_0|, {WORDS[measure]}",
            caption=f"Size of T_{first} relative to the classical term, {WORDS[measure]} measure; lines: exact powers.",
        )  # fmt: skip

"""The run against Schrodinger's equation in an oscillator basis: any polynomial H, any number of degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qnnsym.checks.check import Check, Context
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.fock import FockSolution, fock_evolution
from qnnsym.phase_space.limits.subject import beside, distance, hamiltonian, wigner_figure
from qnnsym.phase_space.numerics.sampling import observed
from qnnsym.phase_space.observables import Observable
from qnnsym.phase_space.states import State
from qnnsym.solvers.solution import Solution

SOURCE = "N. H. McCoy, Proc. Natl. Acad. Sci. 18, 674 (1932)"
# The oracle has to be better than what it judges.
SHARE = 0.1
# Grids up to this size are compared point by point.
MOST_POINTS = 2**21


@dataclass(frozen=True)
class oscillator_basis:
    """The exact evolution equals Schrodinger's equation in an oscillator basis.

    Arguments:
        tolerance: largest error of expectation values, of the purities of reduced states, and of W in L2; None takes
            ten times the tolerance of the run.
    """

    tolerance: float | None = None
    name: str = "oscillator basis"

    def applies(self, model: Any) -> str | None:
        if beside(model):
            return f"It is formulated for H alone, and the model has {', '.join(beside(model))} beside it."
        H = hamiltonian(model)
        if H.has(model.space.t):
            return "It is formulated for an autonomous H."
        if not H.is_polynomial(*model.space.variables):
            return "The oscillator basis is made for a polynomial H."
        if not isinstance(model.state, State) or model.times is None:
            return "The model has no state, or no times."
        order = model.options.get("order", "exact")
        if order not in ("exact", None) and not moyal_equation(H, model.space, int(order)).exact:
            return f"The run is cut at hbar^{order}, so that Schrodinger's equation does not hold for it."
        return None

    def run(self, context: Context) -> list[Check]:
        model, solution = context.model, context.solution
        tolerance = self.tolerance or 10 * float(solution.provenance["tolerance"])
        symbols = {
            name: op
            for name, op in observed(model.observe).items()
            if not isinstance(op, Observable) and op.is_polynomial(*model.space.variables)
        }
        last = len(solution.times) - 1
        pointwise = solution.states is not None and last > 0 and solution.states[0].size <= MOST_POINTS
        oracle = fock_evolution(
            hamiltonian(model), model.state, solution.times - solution.times[0],
            hbar=model.hbar, space=model.space, e_ops=symbols, values=model.values, tolerance=SHARE * tolerance,
            grid=solution.grid if pointwise else None, on_grid=slice(last, None),
        )  # fmt: skip
        rows = []
        detail = f"{oracle.size} basis functions, converged to {oracle.error:.1e}"
        for what, names in (
            ("expectation values", [n for n in oracle.expect if n in symbols]),
            ("purities of reduced states", [n for n in oracle.expect if n not in symbols]),
        ):
            if names:
                rows.append(self._row(f"largest error of {what}", _gap(solution, oracle, names), tolerance, oracle,
                                      f"{', '.join(names)}; {detail}"))  # fmt: skip
        if oracle.states is not None and solution.states is not None:
            error = distance(solution.states[last], oracle.states[0])
            rows.append(self._row("|W - W_basis|/|W| in L2", error, tolerance, oracle,
                                  f"t = {solution.times[last]:g}; {detail}"))  # fmt: skip
        context.figures += _figures(solution, model)
        return rows

    def _row(self, quantity: str, found: float, tolerance: float, oracle: FockSolution, detail: str) -> Check:
        if not oracle.error <= tolerance:
            reason = f"the largest basis is too small to tell ({found:.1e} was found): {detail}"
            return Check.not_applicable(self.name, quantity, reason, SOURCE)
        return Check.below(self.name, quantity, found, tolerance, SOURCE, detail)


def _gap(solution: Solution, oracle: FockSolution, names: list[str]) -> float:
    """The largest error, relative to the size of each quantity or to one."""
    return max(
        float(np.max(np.abs(solution.expect[n] - oracle.expect[n])) / max(1.0, np.max(np.abs(oracle.expect[n]))))
        for n in names
    )


def _figures(solution: Solution, model: Any) -> list[dict[str, Any]]:
    """The reduced Wigner function of every degree of freedom, at the first, a middle and the last time."""
    if solution.states is None or solution.grid is None:
        return []
    n, found = model.space.dimension, []
    at = sorted({0, len(solution.times) // 2, len(solution.times) - 1})
    for i in range(n):
        x, p = model.space.x[i].name, model.space.p[i].name
        others = [a for a in range(2 * n) if a not in (i, n + i)]
        cell = float(np.prod([solution.grid[a][1] - solution.grid[a][0] for a in others])) if others else 1.0
        panels = [(f"t = {solution.times[k]:g}", solution.states[k].sum(axis=tuple(others)) * cell) for k in at]
        figure = wigner_figure(
            f"evolution_{x}" if n > 1 else "evolution", (solution.grid[i], solution.grid[n + i]), panels,
            caption=f"The {'reduced ' if n > 1 else ''}Wigner function of ({x}, {p}), hbar = {float(model.hbar):g}.",
            alt="Wigner functions: red where positive, blue where negative.",
        )  # fmt: skip
        found.append({**figure, "xlabel": x, "plabel": p})
    return found

"""The run against Schrodinger's equation in an independent basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qnnsym.checks.check import FAIL, Check, Context
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.limits.subject import Subject, distance, not_separable, wigner_figure
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.oracle import schroedinger_wigner
from qnnsym.solvers.solution import Solution, as_times

SOURCE = "D. T. Colbert, W. H. Miller, J. Chem. Phys. 96, 1982 (1992)"
# The oracle has to be better than what it judges.
SHARE = 0.1


@dataclass(frozen=True)
class schroedinger:
    """The exact evolution equals Schrodinger's equation in a basis followed by the Wigner transform.

    Arguments:
        tolerance: largest error of W, relative, in L2 and in the sup norm.
    """

    tolerance: float = 1e-8
    name: str = "Schrodinger equation"

    def applies(self, model: Any) -> str | None:
        reason = not_separable(model, driven=True)
        if reason is not None:
            return reason
        if Subject.of(model).kinetic.has(model.space.t):
            return "The basis is made for a kinetic energy without time."
        order = model.options.get("order", "exact")
        if order not in ("exact", None):
            # Powers of hbar in H count as well: the table itself says whether it holds every term.
            if not moyal_equation(Subject.of(model).equation.hamiltonian, model.space, int(order)).exact:
                return f"The run is cut at hbar^{order}, so that Schrodinger's equation does not hold for it."
        if model.state is None or model.times is None:
            return "The model has no state or no times."
        return None

    def run(self, context: Context) -> list[Check]:
        model, solution = context.model, self._run(context)
        assert solution.states is not None
        number = len(solution.times)
        shares = (0.25, 0.5, 0.75, 1.0) if context.full else (0.5, 1.0)
        at = sorted({round(share * (number - 1)) for share in shares} - {0})
        quantities = {"|W - W_Schrodinger|/|W| in L2": 0.0, "max |W - W_Schrodinger|/max |W|": 0.0}
        if not at:
            detail = "the run has no time but its first"
            return [Check(self.name, q, 0.0, "", self.tolerance, FAIL, SOURCE, detail) for q in quantities]
        oracle = schroedinger_wigner(
            model.hamiltonian, model.state, solution.times[at] - solution.times[0],
            hbar=model.hbar, space=model.space, grid=solution.grid, values=model.values,
            tolerance=SHARE * self.tolerance, begin=solution.times[0],
        )  # fmt: skip
        l2, largest = quantities
        for n, w in zip(at, oracle.states, strict=True):
            found = solution.states[n]
            gap = float(np.max(np.abs(found - w)) / np.max(np.abs(w)))
            quantities = {l2: max(quantities[l2], distance(found, w)), largest: max(quantities[largest], gap)}
        context.figures.append(_snapshots(solution, float(model.hbar)))
        when = ", ".join(f"{solution.times[n]:g}" for n in at)
        detail = f"{oracle.size} basis functions, converged to {oracle.error:.1e}; t = {when}"
        if not oracle.error <= self.tolerance:
            detail = f"the basis is too small to tell: {detail}"
            return [Check(self.name, q, 0.0, v, self.tolerance, FAIL, SOURCE, detail) for q, v in quantities.items()]
        return [Check.below(self.name, q, v, self.tolerance, SOURCE, detail) for q, v in quantities.items()]

    def _run(self, context: Context) -> Solution:
        """The run, or one of its own where the run kept no states."""
        model, solution = context.model, context.solution
        if solution is not None and solution.states is not None:
            return solution
        times = as_times(model.times)
        options = {k: v for k, v in model.options.items() if k in ("grid", "method", "step", "tolerance", "order")}
        if solution is not None:
            options["grid"] = solution.grid
        return evolve_wigner(
            model.hamiltonian, model.state, [times[0], (times[0] + times[-1]) / 2, times[-1]],
            hbar=model.hbar, space=model.space, values=model.values, **options,
        )  # fmt: skip


def _snapshots(solution: Solution, hbar: float) -> dict[str, Any]:
    assert solution.states is not None
    at = sorted({0, len(solution.times) // 2, len(solution.times) - 1})
    return wigner_figure(
        "evolution", solution.grid, [(f"t = {solution.times[n]:g}", solution.states[n]) for n in at],
        caption=f"The Wigner function at three times, hbar = {hbar:g}.",
        alt="Wigner functions: red where positive, blue where negative.",
    )  # fmt: skip

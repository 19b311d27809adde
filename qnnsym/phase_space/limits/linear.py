"""H at most quadratic: the exact evolution is the classical, linear flow, whatever hbar is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, Check, Context
from qnnsym.phase_space.limits.subject import CASE, array_function, beside, hamiltonian, numbers_of, wigner_figure
from qnnsym.phase_space.states import State

# Panels of the figure.
MOST_PANELS = 4


@dataclass(frozen=True)
class linear_flow:
    """Under an H at most quadratic W is carried along classical, linear trajectories: W(z, t) = W0(z at time 0).

    Arguments:
        tolerance: largest error relative to the largest |W|; None takes ten times the tolerance of the run.
    """

    tolerance: float | None = None
    name: str = "linear flow"

    def applies(self, model: Any) -> str | None:
        if beside(model):
            return f"It is formulated for H alone, and the model has {', '.join(beside(model))} beside it."
        H = hamiltonian(model)
        if H.has(model.space.t):
            return "It is formulated for an autonomous H."
        if not H.is_polynomial(*model.space.variables) or sp.Poly(H, *model.space.variables).total_degree() > 2:
            return "H is not at most quadratic."
        if model.options.get("order", "exact") not in ("exact", None) and H.has(model.space.hbar):
            return "H depends on hbar, of which the run keeps some powers only."
        return None if isinstance(model.state, State) else "The model has no state in closed form."

    def run(self, context: Context) -> list[Check]:
        model, solution = context.model, context.solution
        quantity = "largest error of W, carried along by the linear flow"
        if solution is None or solution.states is None:
            return [Check.not_applicable(self.name, quantity, "The run kept no states.", CASE)]
        tolerance = self.tolerance or 10 * float(solution.provenance["tolerance"])
        space, numbers = model.space, numbers_of(model, model.hbar)
        w0 = array_function(model.state.wigner(space), space.variables, numbers)
        generator = _generator(hamiltonian(model), space, numbers)
        mesh = np.meshgrid(*solution.grid, indexing="ij", sparse=True)
        worst, number = 0.0, len(solution.times)
        at = sorted({round(share * (number - 1)) for share in (0.25, 0.5, 0.75, 1.0)} - {0})
        if not at:
            return [Check(self.name, quantity, 0.0, "", tolerance, FAIL, CASE, "the run has no time but its first")]
        for n in at:
            exact = w0(*_carried(generator, mesh, solution.times[0] - solution.times[n]))
            worst = max(worst, float(np.max(np.abs(solution.states[n] - exact)) / np.max(np.abs(exact))))
        if space.dimension == 1:
            shown = [0, *at][:MOST_PANELS]
            panels = [(f"t = {solution.times[n]:g}", solution.states[n]) for n in shown]
            context.figures.append(
                wigner_figure(
                    "linear_flow", solution.grid, panels,
                    caption=f"The Wigner function is carried along the linear flow; hbar = {float(model.hbar):g}.",
                    alt="Panels of a Wigner function that is turned, sheared or stretched as a whole.",
                )
            )  # fmt: skip
        when = ", ".join(f"{solution.times[n]:g}" for n in at)
        return [Check.below(self.name, quantity, worst, tolerance, CASE, f"t = {when}")]


def _generator(H: sp.Expr, space: Any, numbers: dict) -> np.ndarray:
    """A of d(z, 1)/dt = A (z, 1), z = (x_1, ..., p_1, ...)."""
    n, z = space.dimension, space.variables
    slopes = [sp.diff(H, v) for v in z]
    rates = [*slopes[n:], *(-s for s in slopes[:n])]
    found = np.zeros((2 * n + 1, 2 * n + 1))
    origin = dict.fromkeys(z, 0)
    for i, rate in enumerate(rates):
        found[i, : 2 * n] = [float(sp.diff(rate, v).subs(numbers)) for v in z]
        found[i, 2 * n] = float(rate.subs(origin).subs(numbers))
    return found


def _carried(generator: np.ndarray, mesh: Any, time: float) -> list[np.ndarray]:
    """Where the points of a grid are after a time."""
    from scipy.linalg import expm

    flow = expm(generator * time)
    return [sum(flow[i, j] * z for j, z in enumerate(mesh)) + flow[i, -1] for i in range(len(mesh))]



"""The proposed grid and step are fine enough: a finer and larger grid with a tighter tolerance changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qnnsym.checks.check import Check, Context
from qnnsym.phase_space.limits.subject import distance
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.states import State

# Options of a run that have nothing to do with grid, step and tolerance.
KEPT = ("order", "dissipation", "kick", "period")
SOURCE = "definition: convergence"


@dataclass(frozen=True)
class refined:
    """The last W of the run against one with half the spacing, a larger grid and a tenth of the tolerance.

    Arguments:
        factor: of the model's tolerance that the two may differ by, relative to W in L2.
        margin: points added on every side, as a share of those of the axis.
    """

    factor: float = 3.0
    margin: float = 0.125
    name: str = "refinement"

    def applies(self, model: Any) -> str | None:
        if model.space.dimension != 1:
            return "A refined grid of several degrees of freedom is too large."
        if model.options.get("periodic"):
            return "On a circle the grid is the ladder of momenta, which cannot be refined."
        if not isinstance(model.state, State) and not hasattr(model.state, "free_symbols"):
            return "The state is an array on one grid."
        return None

    def run(self, context: Context) -> list[Check]:
        model, solution = context.model, context.solution
        tolerance = float(model.options.get("tolerance", 1e-8))
        axes, common = zip(*(self._finer(axis) for axis in solution.grid), strict=True)
        options = {key: model.options[key] for key in KEPT if key in model.options}
        finer = evolve_wigner(
            model.hamiltonian, model.state, solution.times[[0, -1]], hbar=model.hbar, space=model.space,
            values=model.values, grid=axes, tolerance=tolerance / 10, **options,
        )  # fmt: skip
        assert solution.states is not None and finer.states is not None
        gap = distance(solution.states[-1], finer.states[-1][np.ix_(*common)])
        points = " x ".join(str(axis.size) for axis in axes)
        quantity = f"|W - W_refined|/|W| in L2 at t = {solution.times[-1]:g}"
        detail = f"{points} points against {' x '.join(str(axis.size) for axis in solution.grid)}"
        return [Check.below(self.name, quantity, gap, self.factor * tolerance, SOURCE, detail)]

    def _finer(self, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the axis with half the spacing and a margin, where its old points lie)."""
        extra, step = round(self.margin * axis.size), (axis[-1] - axis[0]) / (axis.size - 1)
        numbers = np.arange(-2 * extra, 2 * (axis.size + extra))
        return axis[0] + numbers * step / 2, 2 * extra + 2 * np.arange(axis.size)

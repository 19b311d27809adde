"""The classical limit with a fixed W0, for any polynomial H: exact evolution against characteristics, in any dimension.

hbar is lowered in the equation alone. What is left out of Liouville's equation then starts with
-(hbar^2/24) H P^3 W, P the Poisson operator, so that W leaves the classical density in proportion to hbar^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import Check, Context
from qnnsym.errors import SolverError
from qnnsym.phase_space.limits.subject import (
    CASE,
    RESOLUTION,
    array_function,
    beside,
    depends_on_hbar,
    distance,
    hamiltonian,
    numbers_of,
    order_figure,
    order_row,
)
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.states import State

# Of the trajectories, relative.
ACCURACY = 1e-9


@dataclass(frozen=True)
class correction_order:
    """For a W0 that does not change with hbar the exact evolution leaves the classical one as hbar^2.

    Arguments:
        shares: values of hbar, in units of the model's, at least four; W0 is the model's state at its own hbar.
        time: at which both are compared; None takes a tenth of the model's.
        solver: tolerance of the evolutions.
        tolerance: of the fitted order.
    """

    shares: tuple[float, ...] = (0.8, 0.6, 0.45, 0.34)
    time: float | None = None
    solver: float = 1e-5
    tolerance: float = 0.2
    name: str = "classical limit"

    def applies(self, model: Any) -> str | None:
        if beside(model):
            return f"It is formulated for H alone, and the model has {', '.join(beside(model))} beside it."
        H = hamiltonian(model)
        if H.has(model.space.t):
            return "It is formulated for an autonomous H."
        if not H.is_polynomial(*model.space.variables):
            return "It is formulated for a polynomial H."
        if not isinstance(model.state, State):
            return "The model has no state in closed form."
        return depends_on_hbar(model)

    def run(self, context: Context) -> list[Check]:
        model = context.model
        space, H, own = model.space, hamiltonian(model), float(model.hbar)
        start, stop = float(model.times[0]), float(model.times[1])
        time = self.time or (stop - start) / 10
        first = evolve_wigner(
            H, model.state, (0, time, 2), hbar=own, space=space, values=model.values, tolerance=self.solver
        )
        assert first.grid is not None and first.states is not None
        w0 = array_function(model.state.wigner(space), space.variables, numbers_of(model, own))
        classical = w0(*characteristics(H, space, numbers_of(model, own), first.grid, -time))
        hbars, gaps, floor = [], [], 0.0
        for share in self.shares:
            found = evolve_wigner(
                H, first.states[0], (0, time, 2), hbar=share * own, space=space, values=model.values, grid=first.grid,
                tolerance=self.solver,
            )  # fmt: skip
            hbars.append(share * own)
            gaps.append(distance(found.final, classical))
            floor = max(floor, RESOLUTION * found.diagnostics["estimated_error"])
        quantity, degree = "order in hbar of |W - W_cl|/|W|, W0 fixed", sp.Poly(H, *space.variables).total_degree()
        note = f"t = {time:g}, grid {' x '.join(str(a.size) for a in first.grid)}"
        if degree <= 2:
            return [
                Check.below(self.name, "|W - W_cl|/|W|, W0 fixed", max(gaps), 10 * self.solver, CASE,
                            f"H is at most quadratic, so that Moyal = Poisson: identically zero; {note}")
            ]  # fmt: skip
        context.figures.append(
            order_figure(
                "classical_limit", hbars, {"W0 fixed": gaps}, {"W0 fixed": 2.0}, xlabel="hbar",
                ylabel="distance from the classical flow",
                caption=f"Distance between the exact and the classical evolution of one W0 at t = {time:g}.",
            )
        )  # fmt: skip
        return [
            order_row(self.name, quantity, hbars, gaps, 2.0, CASE, tolerance=self.tolerance, floor=floor,
                      predicted=gaps[0], note=note)
        ]  # fmt: skip


def characteristics(
    H: sp.Expr, space: Any, numbers: dict[sp.Symbol, float], grid: tuple[np.ndarray, ...], time: float
) -> list[np.ndarray]:
    """Where the points of a grid are after a time, by Hamilton's equations.

    Raises:
        SolverError: when they cannot be followed.
    """
    from scipy.integrate import solve_ivp

    n, z = space.dimension, space.variables
    slopes = [array_function(sp.diff(H, v), z, numbers) for v in z]
    start = np.array([a.ravel() for a in np.meshgrid(*grid, indexing="ij")])

    def rates(_: float, flat: np.ndarray) -> np.ndarray:
        at = flat.reshape(start.shape)
        d = [s(*at) for s in slopes]
        return np.concatenate([*d[n:], *(-s for s in d[:n])])

    with np.errstate(all="ignore"):
        found = solve_ivp(rates, (0, time), start.ravel(), "DOP853", t_eval=[time], rtol=ACCURACY, atol=ACCURACY)
    if not found.success:
        raise SolverError(f"Classical points of the grid cannot be followed for t = {time:g}; check a shorter time.")
    return list(found.y[:, -1].reshape(len(z), *(a.size for a in grid)))

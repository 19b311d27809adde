"""Flows known in closed form: a harmonic oscillator rotates every Wigner function, a free particle shears it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import Check, Context
from qnnsym.phase_space.limits.subject import CASE, array_function, wigner_figure
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatState, GaussianState, State
from qnnsym.solvers.solution import Solution

HBAR = 0.2
# No unit is hidden: neither m nor omega is one.
MASS, OMEGA = sp.Rational(13, 10), sp.Rational(4, 5)


def _one_dimensional(model: Any) -> str | None:
    return None if model.space.dimension == 1 else "It is formulated for one degree of freedom."


def _transported(
    H: sp.Expr, space: PhaseSpace, state: State, times: list[float], tolerance: float, back: Callable
) -> tuple[Solution, list[np.ndarray]]:
    """The evolution found, and W0 at the points from which the flow comes."""
    solution = evolve_wigner(H, state, times, hbar=HBAR, space=space, tolerance=tolerance / 20)
    assert solution.grid is not None
    w0 = array_function(state.wigner(space), space.variables, {space.hbar: HBAR})
    x, p = solution.grid[0][:, None], solution.grid[1][None, :]
    return solution, [w0(*back(x, p, t)) for t in solution.times]


def _worst(solution: Solution, exact: list[np.ndarray]) -> float:
    assert solution.states is not None
    return max(
        float(np.max(np.abs(found - w)) / np.max(np.abs(w))) for found, w in zip(solution.states, exact, strict=True)
    )


def _detail(state: State, solution: Solution) -> str:
    assert solution.grid is not None
    x, p = solution.grid
    times = ", ".join(f"{t:g}" for t in solution.times[1:])
    return f"{state!r}, hbar = {HBAR}, m = {float(MASS):g}, grid {x.size} x {p.size}, t = {times}"


@dataclass(frozen=True)
class harmonic:
    """A harmonic oscillator of its own rotates a displaced cat state rigidly (x against p/(m omega)).

    Arguments:
        tolerance: largest error relative to the largest |W|.
    """

    tolerance: float = 1e-10
    name: str = "harmonic oscillator"

    def applies(self, model: Any) -> str | None:
        return _one_dimensional(model)

    def run(self, context: Context) -> list[Check]:
        space = PhaseSpace("x", "p")
        (x,), (p,) = space.x, space.p
        stretch, omega = float(MASS * OMEGA), float(OMEGA)

        def back(x: np.ndarray, p: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
            c, s = np.cos(omega * t), np.sin(omega * t)
            return x * c - p / stretch * s, p * c + x * stretch * s

        state = CatState(a=0.5, b=0.8, x0=0.3)
        H = p**2 / (2 * MASS) + MASS * OMEGA**2 * x**2 / 2
        solution, exact = _transported(H, space, state, [0.0, 0.9, 2.5, 6.0], self.tolerance, back)
        panels = [(f"t = {t:g}", w) for t, w in zip(solution.times, solution.states, strict=True)]
        context.figures.append(
            wigner_figure(
                "harmonic_oscillator", solution.grid, panels,
                caption=f"A harmonic oscillator rotates a cat state rigidly; hbar = {HBAR:g}.",
                alt="Four panels: two lumps with fringes between them, turned as a whole.",
            )
        )  # fmt: skip
        quantity = "largest error of W, rotated rigidly"
        return [
            Check.below(
                self.name, quantity, _worst(solution, exact), self.tolerance, CASE,
                f"omega = {omega:g}, {_detail(state, solution)}",
            )
        ]  # fmt: skip


@dataclass(frozen=True)
class free:
    """A free particle of its own shears a Gaussian: W(x - p t/m, p).

    Arguments:
        tolerance: largest error relative to the largest |W|.
    """

    tolerance: float = 1e-10
    name: str = "free particle"

    def applies(self, model: Any) -> str | None:
        return _one_dimensional(model)

    def run(self, context: Context) -> list[Check]:
        space = PhaseSpace("x", "p")
        (p,) = space.p
        state = GaussianState(a=0.6, x0=-0.3, p0=0.5)
        solution, exact = _transported(
            p**2 / (2 * MASS), space, state, [0.0, 0.4, 1.0, 2.0], self.tolerance,
            lambda x, p, t: (x - p * t / float(MASS), p),
        )  # fmt: skip
        quantity, found = "largest error of W(x - p t/m, p)", _worst(solution, exact)
        return [Check.below(self.name, quantity, found, self.tolerance, CASE, _detail(state, solution))]

"""Levels quadratic in n: revivals and cats at rational times, in closed form.

With E_n/hbar = c_0 + c_1 n + c_2 n^2 and T = 2 pi/c_2 a coherent state is at t = T P/Q a superposition of Q of them,

    sum_k f_k |alpha exp(-i c_1 t - 2 pi i k/Q)>,    f_k = (1/Q) sum_n exp(2 pi i (n k - n^2 P)/Q)

because exp(-2 pi i n^2 P/Q) has the period Q in n. The levels are matrix elements of the symmetrically ordered H, so
that no star product takes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from qnnsym.checks.check import Check, Context
from qnnsym.phase_space.fock import levels_of
from qnnsym.phase_space.limits.subject import beside, hamiltonian, numbers_of, wigner_figure
from qnnsym.phase_space.states import CoherentState, SqueezedState

SOURCE = "B. Yurke, D. Stoler, Phys. Rev. Lett. 57, 13 (1986)"
LEVELS = 12
MOST_COMPONENTS = 8


@dataclass(frozen=True)
class revivals:
    """At rational parts of the revival time a coherent state is a superposition of a few coherent states.

    Arguments:
        tolerance: largest error relative to the largest |W|; None takes ten times the tolerance of the run.
    """

    tolerance: float | None = None
    name: str = "revivals"

    def applies(self, model: Any) -> str | None:
        if beside(model):
            return f"It is formulated for H alone, and the model has {', '.join(beside(model))} beside it."
        if model.space.dimension != 1:
            return "It is formulated for one degree of freedom."
        if not isinstance(model.state, CoherentState) or isinstance(model.state, SqueezedState):
            return "It is formulated for a coherent state."
        if model.options.get("order", "exact") not in ("exact", None):
            return "The run is cut at a power of hbar."
        H = hamiltonian(model)
        if H.has(model.space.t) or not H.is_polynomial(*model.space.variables):
            return "It is formulated for an autonomous polynomial H."
        found = self._coefficients(model)
        return found if isinstance(found, str) else None

    def run(self, context: Context) -> list[Check]:
        model, solution = context.model, context.solution
        if solution is None or solution.states is None:
            return [Check.not_applicable(self.name, "", "The run kept no states.", SOURCE)]
        _, c1, c2 = self._coefficients(model)
        period, tolerance = 2 * np.pi / abs(c2), self.tolerance or 10 * float(solution.provenance["tolerance"])
        rows, panels, seen = [], [("t = 0", solution.states[0])], set()
        for n, t in enumerate(solution.times - solution.times[0]):
            share = Fraction(t / period).limit_denominator(MOST_COMPONENTS)
            if n == 0 or abs(float(share) * period - t) > 1e-9 * period or share in seen:
                continue
            seen.add(share)
            exact = self._superposition(model, solution.grid, c1 * t, np.sign(c2) * share)
            error = float(np.max(np.abs(solution.states[n] - exact)) / np.max(np.abs(exact)))
            parts = np.count_nonzero(np.abs(_weights(np.sign(c2) * share)) > 1e-12)
            what = f"t = {share} of the revival time"
            rows.append(
                Check.below(
                    self.name, f"largest error of W, {what}", error, tolerance, SOURCE,
                    f"{parts} coherent state(s), t = {t:g}, revival time {period:g}",
                )
            )  # fmt: skip
            panels.append((f"t = {share} T", solution.states[n]))
        if not rows:
            reason = f"No output time is P/Q of the revival time {period:.10g} with Q up to {MOST_COMPONENTS}."
            return [Check.not_applicable(self.name, "", reason, SOURCE)]
        context.figures.append(
            wigner_figure(
                "revivals", solution.grid, panels[:6],
                caption=f"Cats and revivals at parts of the revival time T = {period:g}.",
                alt="Panels: a coherent state, and superpositions of several with fringes between them.",
            )
        )  # fmt: skip
        return rows

    @staticmethod
    def _coefficients(model: Any) -> tuple[float, float, float] | str:
        """(c_0, c_1, c_2) of the levels, or why there are none."""
        numbers = numbers_of(model, model.hbar)
        hbar = float(model.hbar)
        (mass, omega) = (float(v[0].subs(numbers)) for v in (model.state.mass, model.state.omega))
        energies, rest = levels_of(hamiltonian(model), model.space, numbers, np.sqrt(hbar / (mass * omega)), LEVELS)
        if rest > 1e-10 * np.max(np.abs(energies)):
            return "H is no function of the energy of the oscillator whose coherent state is given."
        c = np.array([energies[0], energies[1] - energies[0], (energies[2] - 2 * energies[1] + energies[0]) / 2]) / hbar
        c[1] -= c[2]
        n = np.arange(LEVELS)
        if np.max(np.abs(c[0] + c[1] * n + c[2] * n**2 - energies / hbar)) > 1e-9 * np.max(np.abs(energies / hbar)):
            return "The levels are not quadratic in their number."
        return "The levels are equidistant: nothing spreads." if abs(c[2]) < 1e-12 * np.max(np.abs(c)) else tuple(c)

    @staticmethod
    def _superposition(model: Any, grid: Any, angle: float, share: Any) -> np.ndarray:
        """W of the superposition, from the symbols of |alpha><beta|."""
        numbers, hbar = numbers_of(model, model.hbar), float(model.hbar)
        x0, p0, mass, omega = (
            float(v[0].subs(numbers)) for v in (model.state.x0, model.state.p0, model.state.mass, model.state.omega)
        )
        length = np.sqrt(hbar / (mass * omega))
        gamma = (grid[0][:, None] / length + 1j * grid[1][None, :] * length / hbar) / np.sqrt(2)
        alpha = (x0 / length + 1j * p0 * length / hbar) / np.sqrt(2)
        weights = _weights(share)
        parts = alpha * np.exp(-1j * angle - 2j * np.pi * np.arange(weights.size) / weights.size)
        total = np.zeros(gamma.shape)
        for f, a in zip(weights, parts, strict=True):
            for g, b in zip(weights, parts, strict=True):
                overlap = np.exp(b.conj() * a - (abs(a) ** 2 + abs(b) ** 2) / 2)
                total += (f * g.conj() * overlap * np.exp(-2 * (gamma - a) * (gamma.conj() - b.conj()))).real
        return total / (np.pi * hbar)


def _weights(share: Any) -> np.ndarray:
    """f_k of t = P/Q of the revival time."""
    share = Fraction(share).limit_denominator(MOST_COMPONENTS)
    n = np.arange(share.denominator)
    phases = np.exp(-2j * np.pi * ((share.numerator * n**2) % share.denominator) / share.denominator)
    return np.exp(2j * np.pi * np.outer(n, n) / share.denominator) @ phases / share.denominator

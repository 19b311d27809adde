"""Damped oscillators: the exact decay of the moments, and the thermal state in which they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import expm

from qnnsym.checks.check import Check, Context
from qnnsym.phase_space.limits.subject import Subject, not_separable, wigner_figure

SOURCE = "H. Risken, The Fokker-Planck Equation (1989), chapter 6"


@dataclass(frozen=True)
class damped_moments:
    """First and second moments follow the linear equations of an oscillator with damping.

    dm/dt = A m and dC/dt = A C + C A^T + 2 D, with A of the classical motion and the drift, solved by matrix
    exponentials.

    Arguments:
        tolerance: largest error of a moment, relative to the largest second moment.
    """

    tolerance: float = 1e-7
    name: str = "damped moments"

    def applies(self, model: Any) -> str | None:
        reason = not_separable(model, accompanied=True)
        if reason is not None:
            return reason
        if not model.options.get("dissipation") or model.options.get("kick") is not None:
            return "It is formulated for open terms alone."
        return None if max(Subject.of(model).degrees()) <= 2 else "It is formulated for H at most quadratic."

    def run(self, context: Context) -> list[Check]:
        model, solution = context.model, context.solution
        subject = Subject.of(model)
        (x,), (p,) = subject.space.x, subject.space.p
        numbers = subject.numbers(model.hbar)
        H = subject.equation.hamiltonian.subs(numbers)
        inverse_mass, stiffness = float(H.diff(p, 2)), float(H.diff(x, 2))
        velocity, force = float(H.diff(p).subs({p: 0})), -float(H.diff(x).subs({x: 0}))
        rates = solution.provenance["open_terms"]
        gamma = float(self._expression(model, "damping").subs(numbers))
        friction = float(self._expression(model, "friction").subs(numbers))
        A = np.array([[-gamma / 2, inverse_mass], [-stiffness, -gamma / 2 - 2 * friction]])
        # Affine equations of (1, mean, second moments) as one linear system.
        drive, spread = np.array([velocity, force]), 2 * np.diag([rates["D_x"], rates["D_p"]])
        generator = np.zeros((7, 7))
        generator[1:3, 0], generator[1:3, 1:3] = drive, A
        one = np.eye(2)
        generator[3:, 3:] = np.kron(A, one) + np.kron(one, A)
        generator[3:, 0] = spread.ravel()
        generator[3:, 1:3] = np.kron(drive[:, None], one) + np.kron(one, drive[:, None])
        found = np.array([self._moments(solution.grid, w) for w in solution.states])
        times = solution.times - solution.times[0]
        expected = np.array([expm(generator * t) @ found[0] for t in times])
        gap = float(np.max(np.abs(found - expected)) / np.max(np.abs(found[:, 3:])))
        rows = [
            Check.below(
                self.name, "largest error of <x>, <p>, <x^2>, <xp>, <p^2>", gap, self.tolerance, SOURCE,
                f"{len(times)} times up to {times[-1]:g}, largest second moment as unit",
            )
        ]  # fmt: skip
        at = sorted({0, len(times) // 8, len(times) // 3, len(times) - 1})
        context.figures.append(
            wigner_figure(
                "damping", solution.grid, [(f"t = {solution.times[n]:g}", solution.states[n]) for n in at],
                caption="Fringes go first, the energy later; what remains is the thermal state.",
                alt="Four panels: two lumps with fringes, two lumps, a ring, one broad lump.",
            )
        )  # fmt: skip
        eigenvalues = np.linalg.eigvals(A).real
        if eigenvalues.max() >= 0:
            return rows
        # The steady covariance solves A C + C A^T + 2 D = 0; a Gaussian has the purity hbar/2 sqrt(det C).
        inner = np.kron(A, one) + np.kron(one, A)
        steady = np.linalg.solve(inner, -spread.ravel()).reshape(2, 2)
        purity = float(model.hbar) / (2 * np.sqrt(np.linalg.det(steady)))
        left = float(np.exp(2 * eigenvalues.max() * times[-1]))
        last = found[-1, 3:].reshape(2, 2) - np.outer(found[-1, 1:3], found[-1, 1:3])
        scale = float(np.max(np.abs(found[:, 3:])))
        rows += [
            Check.below(
                self.name, "distance of the covariance from the steady one", float(np.max(np.abs(last - steady))),
                10 * left * scale + self.tolerance * scale, SOURCE, f"{left:.1e} of the first one is left",
            ),
            Check.close(
                self.name, "purity at the end", purity, float(solution.expect["purity"][-1]),
                10 * left * scale / float(np.min(np.linalg.eigvalsh(steady))) + self.tolerance, SOURCE,
                "of the steady Gaussian state",
            ),
        ]  # fmt: skip
        return rows

    def _expression(self, model: Any, key: str) -> Any:
        from qnnsym.phase_space.dissipation import Dissipation

        found = Dissipation.of(model.options["dissipation"], Subject.of(model).equation.hamiltonian, model.space)
        assert found is not None
        return getattr(found, key)

    def _moments(self, grid: tuple[np.ndarray, np.ndarray], w: np.ndarray) -> np.ndarray:
        x, p = grid[0][:, None], grid[1][None, :]
        cell = (grid[0][1] - grid[0][0]) * (grid[1][1] - grid[1][0])
        return np.array([float((f * w).sum() * cell) for f in (1.0, x, p, x * x, x * p, x * p, p * p)])

"""The kicked rotor against its Floquet matrix in angular momentum, and against the classical standard map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import Check, Context
from qnnsym.errors import InputError
from qnnsym.phase_space.limits.subject import Subject, array_function, wigner_figure
from qnnsym.phase_space.states import GaussianState

FLOQUET = "G. Casati, B. V. Chirikov, F. M. Izrailev, J. Ford, Lecture Notes in Physics 93, 334 (1979)"
LOCALISED = "S. Fishman, D. R. Grempel, R. E. Prange, Phys. Rev. Lett. 49, 509 (1982)"
CHIRIKOV = "B. V. Chirikov, Phys. Rep. 52, 263 (1979)"
# Momenta of the matrix, from -LADDER to LADDER.
LADDER = 200
# Points of the standard map, and a regular strength of its kick, below the golden mean's K = 0.97.
POINTS, REGULAR = 4000, 0.5
# From this strength on nearly the whole of the standard map is chaotic, and its exponent is ln(K/2).
CHAOTIC = 4.0
SEED = 20240624


def _no_rotor(model: Any) -> str | None:
    options = model.options
    if not (options.get("periodic") and options.get("kick") is not None):
        return "It is formulated for a kicked rotor: kick=..., period=... and periodic=True."
    if type(model.state) is not GaussianState or model.state.c is not None:
        return "It is formulated for a pure Gaussian state."
    if sp.sympify(model.hamiltonian).has(*model.space.x) or sp.sympify(options["kick"]).has(*model.space.p):
        return "It is formulated for a kick of the angle and free rotation."
    return None


@dataclass(frozen=True)
class _Rotor:
    """A kicked rotor in numbers: energies T(p), the kick k(x), the period and the state."""

    kinetic: Callable[..., np.ndarray]
    velocity: Callable[..., np.ndarray]
    kick: Callable[..., np.ndarray]
    force: Callable[..., np.ndarray]
    period: float
    hbar: float
    packet: tuple[float, float, float]

    @classmethod
    def of(cls, model: Any) -> _Rotor:
        subject, (x,), (p,) = Subject.of(model), model.space.x, model.space.p
        numbers = subject.numbers(model.hbar)
        kick, state = sp.sympify(model.options["kick"]), model.state
        x0, a, p0, _ = (float(sp.sympify(v).subs(numbers)) for v in state.extent(model.space)[0])
        return cls(
            array_function(subject.kinetic, (p,), numbers), array_function(sp.diff(subject.kinetic, p), (p,), numbers),
            array_function(kick, (x,), numbers), array_function(-sp.diff(kick, x), (x,), numbers),
            float(sp.sympify(model.options["period"]).subs(numbers)), float(model.hbar), (x0, a, p0),
        )  # fmt: skip

    def evolved(self, kicks: int) -> np.ndarray:
        """(kicks + 1, 2 LADDER + 1) amplitudes <n|psi>, by Fourier's series of exp(-i k(x)/hbar)."""
        n, (x0, a, p0) = np.arange(-LADDER, LADDER + 1), self.packet
        psi = np.exp(-(a**2) * (n - p0 / self.hbar) ** 2 / 2 - 1j * n * x0)
        psi = psi / np.linalg.norm(psi)
        angles = 2 * np.pi * np.arange(4 * LADDER) / (4 * LADDER)
        series = np.fft.fft(np.exp(-1j * self.kick(angles) / self.hbar)) / angles.size
        matrix = series[(n[:, None] - n[None, :]) % angles.size]
        matrix = np.exp(-1j * self.kinetic(self.hbar * n) * self.period / self.hbar)[:, None] * matrix
        found = [psi]
        for _ in range(kicks):
            found.append(matrix @ found[-1])
        return np.array(found)

    def classical(self, kicks: int, strength: float = 1.0) -> tuple[np.ndarray, float]:
        """(<p^2> after each kick, Lyapunov exponent per kick) of the standard map from points of the state's momenta.

        The exponent is that of the tangent map, renormalised at every kick.
        """
        rng, (_, a, p0) = np.random.default_rng(SEED), self.packet
        x = rng.uniform(0, 2 * np.pi, POINTS)
        p = p0 + self.hbar / a / np.sqrt(2) * rng.normal(size=POINTS)
        step = 1e-6
        dx, dp, growth, square = np.ones(POINTS), np.zeros(POINTS), np.zeros(POINTS), [float(np.mean(p**2))]
        for _ in range(kicks):
            slope = strength * (self.force(x + step) - self.force(x - step)) / (2 * step)
            dp = dp + slope * dx
            p = p + strength * self.force(x)
            curvature = (self.velocity(p + step) - self.velocity(p - step)) / (2 * step)
            dx = dx + curvature * self.period * dp
            x = x + self.velocity(p) * self.period
            size = np.hypot(dx, dp)
            dx, dp, growth = dx / size, dp / size, growth + np.log(size)
            square.append(float(np.mean(p**2)))
        return np.array(square), float(np.mean(growth)) / kicks


def _kicks(solution: Any, period: float) -> np.ndarray:
    counts = np.rint(solution.times / period)
    if np.max(np.abs(solution.times - counts * period)) > 1e-9 * period or counts[0] != 0:
        raise InputError("The output times of a kicked rotor have to be multiples of its period, from 0 on.")
    return counts.astype(int)


@dataclass(frozen=True)
class floquet:
    """The evolution of W is that of the Floquet matrix in the angular-momentum basis.

    Arguments:
        tolerance: largest difference of probabilities, and of <p^2> relative to its value.
    """

    tolerance: float = 1e-7
    name: str = "Floquet matrix"

    def applies(self, model: Any) -> str | None:
        return _no_rotor(model)

    def run(self, context: Context) -> list[Check]:
        solution, rotor = context.solution, _Rotor.of(context.model)
        counts = _kicks(solution, rotor.period)
        weights = np.abs(rotor.evolved(int(counts[-1]))[counts]) ** 2
        n, (x, p) = np.arange(-LADDER, LADDER + 1), solution.grid
        whole = np.rint(p / rotor.hbar * 2).astype(int)
        even = whole % 2 == 0
        at = whole[even] // 2 + LADDER
        inside = (at >= 0) & (at < n.size)
        gap = spread = 0.0
        for w, expected in zip(solution.states, weights, strict=True):
            found = w.sum(axis=0)[even] * (x[1] - x[0]) * rotor.hbar / 2
            gap = max(gap, float(np.max(np.abs(found[inside] - expected[at[inside]]))))
            square = rotor.hbar**2 * float(expected @ n**2)
            mean = float(found @ (rotor.hbar * whole[even] / 2) ** 2)
            spread = max(spread, abs(mean - square) / max(square, rotor.hbar**2))
        detail = f"{n.size} momenta, {counts[-1]} kicks"
        # The grid holds the classical spread, of which localisation leaves little to be seen.
        momenta, shares = solution.grid[1], [np.abs(w).sum(0) / np.abs(w).sum() for w in solution.states]
        width = 3 * np.sqrt(max(float(momenta**2 @ share) for share in shares))
        seen = np.abs(momenta) <= max(width, 4 * rotor.hbar)
        context.figures.append(
            wigner_figure(
                "rotor", (solution.grid[0], momenta[seen]),
                [(f"{counts[k]} kicks", solution.states[k][:, seen]) for k in (1, 3, len(counts) - 1)],
                caption="The Wigner function of the rotor, with its alternating image half a turn away.",
                alt="Three panels over angle and momentum: stripes that spread in momentum.",
            )
        )  # fmt: skip
        return [
            Check.below(self.name, "largest difference of <n|rho|n>", gap, self.tolerance, FLOQUET, detail),
            Check.below(self.name, "relative difference of <p^2>", spread, self.tolerance, FLOQUET, detail),
        ]


@dataclass(frozen=True)
class localisation:
    """Classical momenta diffuse for ever, quantum ones stop; with a weak kick neither spreads.

    Below K = 4 islands and invariant curves hold the classical momenta, and there is nothing that localises.

    Arguments:
        ratio: the quantum <p^2> at the end is below this share of the classical one.
    """

    ratio: float = 0.5
    name: str = "dynamical localisation"

    def applies(self, model: Any) -> str | None:
        return _no_rotor(model)

    def run(self, context: Context) -> list[Check]:
        rotor = _Rotor.of(context.model)
        counts = _kicks(context.solution, rotor.period)
        last, n = int(counts[-1]), np.arange(-LADDER, LADDER + 1)
        # The kick's strength, as of K cos x, from its largest force.
        strength = float(np.max(np.abs(rotor.force(np.linspace(0, 2 * np.pi, 401)))))
        if not strength >= CHAOTIC:
            reason = (
                f"The kick has the strength K = {strength:g}: below K = {CHAOTIC:g} the standard map is not chaotic "
                "enough for its momenta to diffuse."
            )
            return [Check.not_applicable(self.name, "quantum against classical momenta", reason, LOCALISED)]
        quantum = rotor.hbar**2 * (np.abs(rotor.evolved(last)) ** 2 @ n**2)
        classical, exponent = rotor.classical(last)
        regular, calm = rotor.classical(last, REGULAR / strength)
        context.figures.append(
            {
                "kind": "expectation", "name": "momentum_spread", "t": np.arange(last + 1) * rotor.period,
                "curves": {"quantum": quantum, "classical": classical, f"classical, K = {REGULAR:g}": regular},
                "xlabel": "t", "ylabel": "mean of p squared",
                "alt": "A rising line, one that bends, and one near zero.",
                "caption": "Classical diffusion of the momentum, its quantum end, and the regular case.",
            }
        )  # fmt: skip
        half = (last + 1) // 2
        rows = [
            Check(
                self.name, "quantum over classical <p^2> at the end", f"< {self.ratio:g}", quantum[-1] / classical[-1],
                self.ratio, "pass" if quantum[-1] < self.ratio * classical[-1] else "fail", LOCALISED,
                f"{last} kicks of strength {strength:g}, hbar = {rotor.hbar:g}",
            ),
            Check(
                self.name, "quantum <p^2>, second half over second quarter of the kicks", "< 1.5",
                float(np.mean(quantum[half:]) / np.mean(quantum[half // 2 : half])), 1.5,
                "pass" if np.mean(quantum[half:]) < 1.5 * np.mean(quantum[half // 2 : half]) else "fail", LOCALISED,
                "diffusion would give about 2",
            ),
            Check.close(
                self.name, "classical Lyapunov exponent over ln(K/2)", 1.0, exponent / np.log(strength / 2), 0.15,
                CHIRIKOV, f"tangent map of {POINTS} points; {exponent:.4g} per kick",
            ),
            Check.below(
                self.name, f"classical <p^2> in the regular case over K^2, K = {REGULAR:g}",
                float(np.max(regular - regular[0])) / strength**2, 0.2, CHIRIKOV,
                f"invariant curves; exponent {calm:.3g} per kick",
            ),
        ]  # fmt: skip
        return rows

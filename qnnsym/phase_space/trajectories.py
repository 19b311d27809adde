"""Trajectories from beta = dJ/dalpha by quadrature and inversion; no equation of motion is integrated.

For a separated J the equations are triangular: sum_i int (dp_i/dalpha_a) dq_i = t dE/dalpha_a, in which the coordinate
that separated last stands alone with its own constant. Between turning points q is unfolded, q = middle - half cos psi,
beyond a single one q = turning -+ s^2: psi and s grow for ever while q turns, and the integrands are smooth in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from qnnsym.errors import InputError, SolverError

if TYPE_CHECKING:
    from qnnsym.phase_space.hamilton_jacobi import CompleteIntegral

# Points of the Fourier series over one period; doubled until its tail is at rounding.
LEAST_POINTS, MOST_POINTS = 64, 1 << 14
FARTHEST = 1e8


class Trajectories:
    """Trajectories of an integral; call it with initial data.

    Attributes:
        equations: {beta: dJ/dalpha}; their left sides are constant along a trajectory.
    """

    def __init__(self, integral: CompleteIntegral) -> None:
        self.integral = integral

    @property
    def equations(self) -> dict[sp.Symbol, sp.Expr]:
        return self.integral.betas

    def __call__(self, q0: Any, p0: Any, times: Any, values: Mapping[Any, Any] | None = None) -> np.ndarray:
        """Positions at the times, from (q0, p0) at t = 0.

        Arguments:
            q0, p0: numbers, or arrays (n,).
            times: array, in any order.
            values: {Symbol or name: number} for parameters; the space's defaults are known.

        Returns:
            (times, n) positions.

        Raises:
            InputError: for incomplete integrals (lost constants leave trajectories undetermined) and missing numbers.
            SolverError: where a trajectory cannot be continued.
        """
        integral, space = self.integral, self.integral.space
        if not integral.complete:
            lost = ", ".join(map(str, integral.lost))
            raise InputError(
                f"This integral lost {lost}: its {integral.rank} independent constants do not determine the "
                f"trajectories "
                f"of {space.dimension} positions. Take the complete one (fixed=None)."
            )
        numbers = self._numbers(values)
        q = np.atleast_1d(np.asarray(q0, float))
        p = np.atleast_1d(np.asarray(p0, float))
        if q.shape != (space.dimension,) or p.shape != q.shape:
            raise InputError(f"q0 and p0 have the shapes {q.shape} and {p.shape}; give ({space.dimension},).")
        times = np.atleast_1d(np.asarray(times, float))
        if integral.parts:
            return self._separated(q, p, times, numbers)
        return self._inverted(q, p, times, numbers)

    def _numbers(self, values: Mapping[Any, Any] | None) -> dict[sp.Symbol, float]:
        integral, space = self.integral, self.integral.space
        named = {str(k): v for k, v in dict(values or {}).items()}
        known = {*space.x, *space.p, space.t, *integral.constants}
        found, missing = {}, []
        for s in sorted((integral.hamiltonian.free_symbols | integral.J.free_symbols) - known, key=lambda s: s.name):
            if s.name in named:
                found[s] = float(named[s.name])
            elif s in space.defaults:
                found[s] = float(space.defaults[s])
            elif not s.name.endswith("'") and not s.name.startswith(("Q_", "P_")):
                missing.append(s.name)
        if missing:
            raise InputError(f"No number is given for {', '.join(missing)}; give values={{{missing[0]!r}: ...}}.")
        return found

    def _separated(self, q: np.ndarray, p: np.ndarray, times: np.ndarray, numbers: dict) -> np.ndarray:
        integral, space = self.integral, self.integral.space
        here = {**dict(zip(space.x, q, strict=True)), **dict(zip(space.p, p, strict=True))}
        parts = integral.parts
        start, alphas = [], {}
        for part in parts:  # earlier constants enter later invariants
            own = {part.symbol: float(part.coordinate.subs(here)), part.conjugate: float(part.momentum.subs(here))}
            alphas[part.constant] = float(part.invariant.subs({**numbers, **alphas, **own}))
            start.append((own[part.symbol], own[part.conjugate]))
        constants = {**numbers, **alphas}
        assert integral.energy is not None
        order = [part.constant for part in parts]
        speeds = [float(sp.diff(integral.energy, a).subs(constants)) for a in order]
        moved = np.empty((times.size, len(parts)))
        totals = np.array([[v * t for v in speeds] for t in times])
        for n in range(len(parts) - 1, -1, -1):
            path = _Path(parts[n], order[: n + 1], constants, *start[n])
            moved[:, n], reached = path.at(totals[:, n])
            # What this coordinate contributes to the equations of the constants before its own.
            totals[:, :n] -= reached[:, :n]
        frame = sp.Matrix([part.coordinate for part in parts]).jacobian(space.x)
        return np.linalg.solve(np.array(frame, float), moved.T).T

    def _inverted(self, q: np.ndarray, p: np.ndarray, times: np.ndarray, numbers: dict) -> np.ndarray:
        """J given in closed form: p = J_q for the constants, then J_alpha = beta followed in time, by Newton's."""
        from scipy.optimize import root

        integral, space = self.integral, self.integral.space
        j, a = integral.J.subs(numbers), integral.constants
        slope = sp.lambdify((space.x, a, space.t), [sp.diff(j, x) for x in space.x], "numpy")
        beta = sp.lambdify((space.x, a, space.t), [sp.diff(j, s) for s in a], "numpy")
        # Constants of integrals by separation are energies and momenta: their sizes are a first guess.
        first = root(lambda c: np.array(slope(q, c, 0.0), float) - p, p + 0.1, method="hybr", tol=1e-13)
        if not first.success or np.max(np.abs(np.array(slope(q, first.x, 0.0), float) - p)) > 1e-8:
            raise SolverError("No constants were found with J_q = p0 at q0; take other initial data.")
        constants, here = first.x, q.copy()
        target = np.array(beta(q, constants, 0.0), float)
        out, last = np.empty((times.size, q.size)), 0.0
        for n in np.argsort(np.abs(times), kind="stable"):
            for t in np.linspace(last if times[n] * last >= 0 else 0.0, times[n], 6)[1:]:
                found = root(lambda x, t=t: np.array(beta(x, constants, t), float) - target, here, tol=1e-13)
                if not found.success or not np.isfinite(found.x).all():
                    raise SolverError(f"beta = dJ/dalpha has no solution near t = {t:.6g}: a caustic of this J is met.")
                here = found.x
            out[n], last = here, float(times[n])
        return out


class _Path:
    """One separated coordinate: int (dp/dalpha) dq as functions of an unfolded coordinate, and their inverse."""

    def __init__(self, part: Any, constants: list, numbers: dict, q: float, p: float) -> None:
        self.q, self.p = q, p
        s = part.symbol
        if part.momentum_squared is None:
            slopes = [sp.diff(part.solution, a).subs(numbers) for a in constants]
            self._function = sp.lambdify(s, slopes, "numpy")
            self.kind = "direct"
            return
        squared = part.momentum_squared
        self.square = _real(s, squared.subs(numbers))
        self.slopes = [_real(s, sp.diff(squared, a).subs(numbers)) for a in constants]
        self.curve = _real(s, sp.diff(squared, s).subs(numbers))
        low, high = (_turning(self.square, q, side, p * side > 0) for side in (-1, 1))
        self.low, self.high = low, high
        self.kind = {2: "between", 1: "beyond", 0: "free"}[sum(e is not None for e in (low, high))]

    def at(self, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(q where the last integral has these values, all integrals there)."""
        if self.kind == "between":
            return self._between(totals)
        if self.kind == "beyond":
            turning, side = (self.low, 1) if self.low is not None else (self.high, -1)
            sign = np.sign(self.p) * side or 1.0  # towards the turning point s is negative
            s0 = sign * np.sqrt(abs(self.q - turning))

            def integrand(s: float) -> np.ndarray:
                q = turning + side * s * s
                # p = side * s sqrt(g), dq = 2 side s ds: (dp/dalpha) dq = R_alpha/sqrt(g) ds
                g = self.square(q) / (s * s) if abs(s) > 1e-7 else abs(self.curve(turning))
                return np.array([f(q) for f in self.slopes]) / np.sqrt(g)

            s, integrals = _followed(integrand, s0, totals)
            return turning + side * s**2, integrals
        if self.kind == "free":
            sign = np.sign(self.p)
            q, integrals = _followed(
                lambda q: np.array([f(q) for f in self.slopes]) / (2 * sign * np.sqrt(self.square(q))), self.q, totals
            )
            return q, integrals
        q, integrals = _followed(lambda q: np.array(self._function(q), float), self.q, totals)
        return q, integrals

    def _between(self, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        if half <= 1e-14 * max(1.0, abs(middle)):
            raise SolverError("The coordinate rests at an equilibrium, where beta is not defined; move the start.")
        start = np.arccos(np.clip((middle - self.q) / half, -1, 1)) * (1 if self.p >= 0 else -1)

        def integrand(psi: np.ndarray) -> np.ndarray:
            q = middle - half * np.cos(psi)
            # R = half^2 sin^2 psi g, so that (dp/dalpha) dq = R_alpha/(2 sqrt g) dpsi
            sine = np.abs(np.sin(psi))
            with np.errstate(invalid="ignore", divide="ignore"):
                g = np.array([self.square(x) for x in q]) / (half * sine) ** 2
            edge = sine < 1e-6
            g[edge] = [abs(self.curve(x)) / (2 * half) for x in q[edge]]
            return np.array([[f(x) for x in q] for f in self.slopes]) / (2 * np.sqrt(g))

        points = LEAST_POINTS
        while True:
            # Midpoints keep away from the turning points, where g is a quotient of zeros.
            psi = (np.arange(points) + 0.5) * 2 * np.pi / points
            series = np.fft.rfft(integrand(psi), axis=1) / points
            series *= np.exp(-0.5j * np.arange(series.shape[1]) * 2 * np.pi / points)
            tail = np.abs(series[:, -points // 8 :]).max() / np.abs(series).max()
            if tail < 1e-14 or points >= MOST_POINTS:
                break
            points *= 2
        waves = np.arange(1, series.shape[1])
        mean, coefficients = series[:, 0].real, 2 * series[:, 1:]

        def integral(psi: np.ndarray) -> np.ndarray:
            """(angles, constants) from 0."""
            phases = np.exp(1j * np.outer(psi, waves)) - 1
            return np.outer(psi, mean) + (phases @ (coefficients / (1j * waves)).T).real

        offset = integral(np.array([start]))
        psi = start + totals / mean[-1]
        for _ in range(60):
            gap = integral(psi)[:, -1] - offset[:, -1] - totals
            slope = mean[-1] + (np.exp(1j * np.outer(psi, waves)) @ coefficients[-1]).real
            step = np.clip(gap / slope, -0.5, 0.5)
            psi = psi - step
            if np.max(np.abs(step)) < 1e-14:
                break
        return middle - half * np.cos(psi), integral(psi) - offset


def _followed(integrand: Callable, start: float, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the last integral from the start has these values, found by Newton's method from value to value."""
    count = np.size(integrand(start))
    places, found = np.empty(totals.size), np.empty((totals.size, count))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    for sign in (-1, 1):
        x, here = start, np.zeros(count)
        for n in sorted(np.flatnonzero(totals * sign >= 0), key=lambda k: abs(totals[k])):
            for _ in range(400):
                missing = totals[n] - here[-1]
                if abs(missing) <= 1e-13 * max(1.0, abs(totals[n])):
                    break
                step = float(missing / integrand(x)[-1])
                step = float(np.clip(step, -0.1 * (1 + abs(x)), 0.1 * (1 + abs(x))))
                points = x + step * (nodes + 1) / 2
                here = here + step / 2 * np.array([integrand(float(s)) for s in points]).T @ weights
                x += step
            else:
                raise SolverError(
                    "beta = dJ/dalpha could not be inverted: the trajectory runs away; take shorter times."
                )
            places[n], found[n] = x, here
    return places, found


def _real(symbol: sp.Symbol, expression: sp.Expr) -> Callable[[float], float]:
    """A function of one float; what is not a number there counts as minus infinity, out of reach."""
    function = sp.lambdify(symbol, expression, "numpy")

    def value(x: float) -> float:
        with np.errstate(all="ignore"):
            found = float(function(np.float64(x)))
        return found if not np.isnan(found) else float("-inf")

    return value


def _turning(square: Callable[[float], float], q: float, side: int, ahead: bool) -> float | None:
    """Where p^2 becomes negative on this side of q; None where it does not."""
    from scipy.optimize import brentq

    step, inside = 1e-4 * (1 + abs(q)), q
    if square(q + side * 1e-9 * (1 + abs(q))) <= 0 and not ahead:
        return q
    while abs(inside - q) < FARTHEST:
        outside = inside + side * step
        if not square(outside) > 0:
            while not np.isfinite(square(outside)):
                outside = (inside + outside) / 2
                if square(outside) > 0:
                    inside = outside
                    outside = inside + side * step
                    step /= 2
                if step < 1e-14:
                    raise SolverError("The trajectory falls into a singularity of H; take other initial data.")
            return brentq(square, inside, outside, xtol=1e-300, rtol=4 * np.finfo(float).eps)
        inside, step = outside, 1.05 * step
    return None

"""Classical trajectories of H and their tangents, many points at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.errors import InputError, SolverError
from qnnsym.phase_space.classical.pieces import pieces
from qnnsym.phase_space.equation import MoyalEquation
from qnnsym.phase_space.space import PhaseSpace

# Nodes of averages over a Gaussian per axis, samples per unit of time, tolerances of centres and clouds.
NODES, RATE, TOLERANCE, COARSE = 12, 20, 1e-10, 1e-7
# A fringe that is suppressed by more than exp(-this) is nothing.
SUPPRESSED = 300.0


class Flow:
    """Trajectories of H = T(p) + U(x), which may depend on time, from t = 0 on.

    Arguments:
        equation: separable, one degree of freedom.
        points: (2, number) starts.
        tangent: whether the tangent maps are followed as well.
    """

    def __init__(self, equation: MoyalEquation, points: np.ndarray, tangent: bool) -> None:
        (x,), (p,) = equation.space.x, equation.space.p
        T, U = (put(part, equation.space, driven=True) for part in (equation.kinetic, equation.potential))
        self._v, self._vv, self._f, self._ff = (
            rate(expression, symbol, equation.space.t)
            for expression, symbol in ((T.diff(p), p), (T.diff(p, 2), p), (-U.diff(x), x), (-U.diff(x, 2), x))
        )
        self._tangent, self.time = tangent, 0.0
        one, none = np.ones(points.shape[1]), np.zeros(points.shape[1])
        self._state = np.array([*points, one, none, none, one] if tangent else [*points])

    def _rates(self, t: float, flat: np.ndarray) -> np.ndarray:
        x, p, *M = flat.reshape(len(self._state), -1)
        rates = [self._v(p, t), self._f(x, t)]
        if M:
            a, b, c, d = M
            vv, ff = self._vv(p, t), self._ff(x, t)
            rates += [vv * c, vv * d, ff * a, ff * b]
        return np.concatenate(rates)

    def follow(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move on to the times, ascending from the last one.

        Returns:
            (positions (times, 2, number), tangent maps [[a, b], [c, d]] as (times, 4, number)).

        Raises:
            SolverError: when a trajectory cannot be followed.
        """
        rows, tolerance = len(self._state), TOLERANCE if self._tangent else COARSE
        found = solve_ivp(
            self._rates, (self.time, max(times[-1], self.time + 1e-12)), self._state.ravel(), method="DOP853",
            t_eval=times, rtol=tolerance, atol=tolerance,
        )  # fmt: skip
        if not found.success or found.y.shape[1] != len(times):
            raise SolverError(f"The classical trajectories cannot be followed to t = {times[-1]:g}: {found.message}")
        self.time, self._state = float(times[-1]), found.y[:, -1].reshape(rows, -1)
        z = found.y.T.reshape(len(times), rows, -1)
        return z[:, :2], z[:, 2:]


def put(expression: Any, space: PhaseSpace, driven: bool = False) -> sp.Expr:
    found = sp.sympify(expression).xreplace(dict(space.defaults))
    if not driven and found.has(space.t):
        raise InputError(f"{found} depends on time; give an expression in {', '.join(map(str, space.variables))}.")
    unknown = sorted(found.free_symbols - {*space.variables, space.t}, key=str)
    if unknown:
        raise InputError(
            f"No number is known for {', '.join(map(str, unknown))}; declare them with space.parameters(name=number)."
        )
    return found


def number(expression: sp.Expr, values: dict) -> sp.Expr:
    found = sp.sympify(expression).xreplace(values)
    if found.free_symbols:
        raise InputError(
            f"No number is known for {', '.join(sorted(map(str, found.free_symbols)))}; declare them with "
            "space.parameters(name=number) or put numbers in."
        )
    return found


def function(expression: sp.Expr, symbol: sp.Symbol) -> Callable:
    raw = sp.lambdify(symbol, expression, "numpy")
    if expression.has(symbol):
        return raw
    return lambda values: np.full(np.shape(values), float(expression))


def rate(expression: sp.Expr, symbol: sp.Symbol, time: sp.Symbol) -> Callable:
    raw = sp.lambdify([symbol, time], expression, "numpy")
    if expression.has(symbol):
        return raw
    return lambda values, t: np.full(np.shape(values), float(raw(0.0, t)))


@dataclass(frozen=True)
class Lump:
    """One piece with numbers: where it starts, its S_0, its wave vector, its height and its share of the norm."""

    start: tuple[float, float]
    S: np.ndarray
    K: np.ndarray
    height: float
    share: float


def lumps(family: Any, space: PhaseSpace, hbar: float) -> list[Lump]:
    found = []
    values = {space.hbar: sp.Float(hbar, 40), **space.defaults}
    for piece in pieces(family, space):
        if piece.level[0] != 0:
            raise InputError("The flow is linearised for Gaussian pieces; Fock states are rings. Give another family.")
        number = {
            name: float(sp.N(number(value, values), 30))
            for name, value in (
                ("x", piece.x[0]), ("p", piece.p[0]), ("mu", piece.mu[0]), ("a2", piece.a2[0]), ("w2", piece.w2[0]),
                ("weight", piece.weight),
                # What is left of a fringe at its crest.
                ("damping", piece.suppression - piece.mu[0] ** 2 / piece.w2[0]),
                ("suppression", piece.suppression),
            )
        }  # fmt: skip
        if number["damping"] > SUPPRESSED or number["mu"] < 0:
            continue  # nothing, or the conjugate of a piece that is counted twice
        twice = 2 if number["mu"] else 1
        area = np.pi * sqrt(number["a2"] * number["w2"])
        found.append(
            Lump(
                (number["x"], number["p"]), np.diag([number["a2"], number["w2"]]),
                np.array([0.0, 2 * number["mu"] / number["w2"]]),
                twice * number["weight"] * np.exp(-number["damping"]) / area,
                twice * number["weight"] * np.exp(-number["suppression"]),
            )
        )  # fmt: skip
    return found

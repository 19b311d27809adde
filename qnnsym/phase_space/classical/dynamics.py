"""The Moyal terms along the classical flow, the time t* at which the first of them is as large as the classical one,
and the time at which quantum and classical expectation values part.

W is carried by trajectories, W(z_t) = W_0(z_0), and its derivatives by the tangent map M of the centre: d_p^n W at z_t
is the n-th derivative of W_0 along u = M^-1 e_p. Hyperbolic flow lengthens u, which is to say that it shrinks the width
of W in p at fixed x, as exp(lambda t). With ||T_s||/||T_0|| ~ hbar^r at the start, this gives

    t* = r/(2 s lambda) ln(1/hbar):  1/(2 lambda) for coherent widths (r = s), 1/lambda for fixed ones (r = 2s),

and under shear, w ~ 1/t, the power law t* ~ hbar^(-r/(2s)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, sqrt
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.classical.flow import Flow, Lump, function, lumps, put
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.space import PhaseSpace

LOGARITHMIC, POWER = "logarithmic", "power"
HBARS = tuple(10.0**-k for k in range(4, 13))
# Nodes of averages over a Gaussian per axis, samples per unit of time, tolerances of centres and clouds.
NODES, RATE, TOLERANCE, COARSE = 12, 20, 1e-10, 1e-7
# The cloud in which a maximum is looked for: its half extent in widths, points per axis.
SPREAD, POINTS = 2.2, 31
# The search for t* goes on in so many steps.
CHUNKS = 30


@dataclass(frozen=True)
class CorrectionTimes:
    """When a Moyal term reaches the size of the classical one.

    Attributes:
        hbars, times: t* against hbar; NaN where it lies beyond the longest time.
        law: "logarithmic" (t* = slope ln(1/hbar) + const) or "power" (t* ~ hbar^exponent), whichever fits better.
        slope, exponent: fitted; of the other law NaN.
        lyapunov: ln|M|/t of the centre at the last time followed for the smallest hbar.
    """

    hbars: np.ndarray
    times: np.ndarray
    law: str
    slope: float
    exponent: float
    lyapunov: float


def along_flow(table: Any, times: Any, hbar: float) -> dict[tuple[str, int], np.ndarray]:
    """||T_s||/||T_0|| along the classical flow at one hbar.

    Arguments:
        table: a ClassicalLimit of the potential terms.
        times: array, ascending from 0.
        hbar: number.

    Returns:
        {(measure, s): array over the times}. In L2 and sup norms the largest size so far of both terms is compared:
        T_0 passes through zero at every turning point. Pieces of W are added as if they lay apart.

    Raises:
        InputError: for the kinetic terms and Fock states.
    """
    if table.part != "potential":
        raise InputError("The terms are followed along the flow for part='potential'.")
    times = np.asarray(times, float)
    if times.ndim != 1 or times.size < 1 or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise InputError(f"times={times!r}: give ascending times, the first at least 0.")
    sizes = _Carried(table, float(hbar)).sizes(times)
    found = {}
    for measure in table.measures:
        for s in table.terms:
            top, bottom = sizes[measure, s], sizes[measure, 0]
            if measure != "weak":
                top, bottom = np.maximum.accumulate(top), np.maximum.accumulate(bottom)
            with np.errstate(divide="ignore", invalid="ignore"):
                found[measure, s] = np.abs(top / bottom)
    return found


class _Carried:
    """The sizes of T_0 and T_s of a family at one hbar, carried on by its trajectories."""

    def __init__(self, table: Any, hbar: float) -> None:
        self.table, self.hbar = table, hbar
        equation = moyal_equation(table.hamiltonian, table.space, 0)
        (x,), (p,) = equation.space.x, equation.space.p
        U = put(equation.potential, equation.space)
        self.orders = (0, *table.terms)
        self.forces = {s: function(U.diff(x, 2 * s + 1), x) for s in self.orders}
        self.symbols = {
            s: sp.lambdify(
                (x, p), put(U.diff(x, 2 * s + 1) * table.observable.diff(p, 2 * s + 1), equation.space), "numpy"
            )
            for s in self.orders
        }
        self.lumps = lumps(table.family, table.space, hbar)
        nodes, weights = np.polynomial.hermite.hermgauss(NODES)
        self.share = np.outer(weights, weights).ravel() / np.pi
        line = np.linspace(-SPREAD, SPREAD, POINTS)
        self.clouds = {
            "l2": np.array(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, -1) / sqrt(2),  # of W^2
            "sup": np.array(np.meshgrid(line, line, indexing="ij")).reshape(2, -1),
            "weak": np.array(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, -1),
        }
        self.flows = {
            (measure, i): Flow(equation, self._starts(lump, measure), tangent=False)
            for measure in table.measures
            for i, lump in enumerate(self.lumps)
        }
        self.centres = [Flow(equation, np.array(lump.start)[:, None], tangent=True) for lump in self.lumps]

    def _starts(self, lump: Lump, measure: str) -> np.ndarray:
        return np.array(lump.start)[:, None] + np.sqrt(np.diag(lump.S))[:, None] * self.clouds[measure]

    def sizes(self, times: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
        """{(measure, s): size at the times}; the times go on from the last ones."""
        total = {(m, s): np.zeros(times.size) for m in self.table.measures for s in self.orders}
        tangents = [centre.follow(times)[1] for centre in self.centres]
        for (measure, i), flow in self.flows.items():
            lump = self.lumps[i]
            position, cloud, M = flow.follow(times)[0], self.clouds[measure], tangents[i]
            if measure == "weak":
                self._weak(total, lump, position)
                continue
            # u = M^-1 e_p = (-b, a); in units of the widths of W_0.
            width = np.sqrt(np.diag(lump.S))
            u = np.stack([-M[:, 1] / width[0], M[:, 0] / width[1]], axis=1)
            q = np.sqrt(np.sum(u**2, axis=1))
            along = np.sum(u * cloud, axis=1) / q
            wave = np.sum(u * (lump.K * width)[:, None], axis=1) / q
            for s in self.orders:
                n = 2 * s + 1
                slope = q**n * np.abs(_hermite(n, along - 0.5j * wave)) * np.abs(self.forces[s](position[:, 0]))
                factor = (self.hbar / 2) ** (2 * s) / factorial(n) * lump.height
                if measure == "l2":
                    # The square of a cosine is one half on average.
                    norm = np.pi * sqrt(np.linalg.det(lump.S)) / 2 * (0.5 if lump.K.any() else 1.0)
                    total["l2", s] += factor**2 * norm * (slope**2 @ self.share)
                else:
                    size = factor * np.max(slope * np.exp(-np.sum(cloud**2, axis=0)), axis=1)
                    total["sup", s] = np.maximum(total["sup", s], size)
        for s in self.orders:
            if ("l2", s) in total:
                total["l2", s] = np.sqrt(total["l2", s])
        return total

    def _weak(self, total: dict, lump: Lump, position: np.ndarray) -> None:
        """iint (d_p^n A) U^(n) W over the trajectories; fringes average out."""
        if lump.K.any():
            return
        for s in self.orders:
            values = np.broadcast_to(self.symbols[s](position[:, 0], position[:, 1]), position[:, 0].shape)
            factor = (self.hbar / 2) ** (2 * s) / factorial(2 * s + 1) * lump.share
            total["weak", s] += factor * (values @ self.share)


def _hermite(n: int, z: np.ndarray) -> np.ndarray:
    before, found = np.ones_like(z), 2 * z
    for m in range(1, n):
        before, found = found, 2 * z * found - 2 * m * before
    return found


def correction_time(
    H: Any,
    family: Any,
    space: PhaseSpace,
    hbars: Sequence[float] = HBARS,
    s: int = 1,
    measure: str = "l2",
    ratio: float = 1.0,
    longest: float = 60.0,
) -> CorrectionTimes:
    """The time t* at which ||T_s||/||T_0|| along the classical flow reaches order one, against hbar, with its law.

    Arguments:
        H: Weyl symbol T(p) + U(x), one degree of freedom.
        family: state of Gaussian pieces; its widths are expressions in space.hbar.
        space: phase space.
        hbars: values of hbar, at least three. The flow is linearised, so that they may be as small as is liked.
        s: which term.
        measure: "l2" or "sup".
        ratio: what counts as order one.
        longest: time at which the search ends.

    Returns:
        CorrectionTimes.

    Raises:
        InputError: for what cannot be used. SolverError: when the orbit cannot be followed.
    """
    from qnnsym.phase_space.classical import classical_limit

    if measure not in ("l2", "sup"):
        raise InputError(f"measure={measure!r}: t* is defined for 'l2' and 'sup'.")
    values = np.sort(np.asarray([float(h) for h in hbars]))[::-1]
    if values.size < 3 or values[-1] <= 0:
        raise InputError(f"hbars={hbars!r}: give at least three positive values, so that a law can be fitted.")
    if not (np.isfinite(longest) and longest > 0 and ratio > 0):
        raise InputError(f"longest={longest!r} and ratio={ratio!r} have to be positive.")
    table = classical_limit(H, family, space, terms=(s,), measures=("l2",))
    if table.exponent["l2", s] == "zero":
        raise InputError(f"T_{s} is identically zero for H = {table.hamiltonian}: it never reaches any size.")
    table = _Asked(table.hamiltonian, space, table.family, (s,), (measure,), table.observable)
    found, growth = np.full(values.size, np.nan), []
    for i, hbar in enumerate(values):
        carried = _Carried(table, float(hbar))
        top = bottom = 0.0
        number = max(20, int(RATE * longest / CHUNKS))
        for k in range(CHUNKS):
            times = np.linspace(k, k + 1, number + 1)[1 if k else 0 :] * longest / CHUNKS
            sizes = carried.sizes(times)
            tops = np.maximum.accumulate(np.append(top, sizes[measure, s]))[1:]
            bottoms = np.maximum.accumulate(np.append(bottom, sizes[measure, 0]))[1:]
            found[i] = _crossing(times, tops / bottoms, ratio)
            if np.isfinite(found[i]):
                break
            top, bottom = tops[-1], bottoms[-1]
        growth.append(carried)
    return _law(values, found, growth[-1], longest)


@dataclass(frozen=True)
class _Asked:
    hamiltonian: sp.Expr
    space: PhaseSpace
    family: Any
    terms: tuple[int, ...]
    measures: tuple[str, ...]
    observable: sp.Expr


def _crossing(times: np.ndarray, values: np.ndarray, level: float) -> float:
    """The first time at which the values reach the level, interpolated in the logarithm; NaN if they do not."""
    above = np.flatnonzero(values >= level)
    if not above.size:
        return float("nan")
    k = int(above[0])
    if k == 0:
        return float(times[0])
    low, high = (np.log(max(v, 1e-300)) for v in values[k - 1 : k + 1])
    return float(times[k - 1] + (times[k] - times[k - 1]) * (np.log(level) - low) / (high - low))


def _law(hbars: np.ndarray, times: np.ndarray, last: _Carried, longest: float) -> CorrectionTimes:
    good = np.isfinite(times) & (times > 0)
    lyapunov = max(float(np.log(np.linalg.norm(c._state[2:])) / c.time) for c in last.centres)
    if np.sum(good) < 3:
        return CorrectionTimes(hbars, times, "none", float("nan"), float("nan"), lyapunov)
    x, t = np.log(1 / hbars[good]), times[good]
    line, power = np.polyfit(x, t, 1), np.polyfit(x, np.log(t), 1)
    gaps = (np.linalg.norm(np.polyval(line, x) - t), np.linalg.norm(np.exp(np.polyval(power, x)) - t))
    if gaps[0] <= gaps[1]:
        return CorrectionTimes(hbars, times, LOGARITHMIC, float(line[0]), float("nan"), lyapunov)
    return CorrectionTimes(hbars, times, POWER, float("nan"), float(-power[0]), lyapunov)

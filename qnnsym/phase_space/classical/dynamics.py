"""The Moyal terms along the classical flow, the time t* at which the first of them is as large as the classical one,
and the time at which quantum and classical expectation values part.

W is carried by trajectories, W(z_t) = W_0(z_0), and its derivatives by the tangent map M of the centre: d_p^n W at z_t
is the n-th derivative of W_0 along u = M^-1 e_p. Hyperbolic flow lengthens u, which is to say that it shrinks the width
of W in p at fixed x, as exp(lambda t). With ||T_s||/||T_0|| ~ hbar^r at the start, this gives

    t* = r/(2 s lambda) ln(1/hbar):  1/(2 lambda) for coherent widths (r = s), 1/lambda for fixed ones (r = 2s),

and under shear, w ~ 1/t, the power law t* ~ hbar^(-r/(2s)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import factorial, sqrt
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.errors import InputError, SolverError
from qnnsym.phase_space.classical.pieces import pieces
from qnnsym.phase_space.equation import MoyalEquation, moyal_equation
from qnnsym.phase_space.space import PhaseSpace

LOGARITHMIC, POWER = "logarithmic", "power"
HBARS = tuple(10.0**-k for k in range(4, 13))
# Nodes of averages over a Gaussian per axis, samples per unit of time, tolerances of centres and clouds.
NODES, RATE, TOLERANCE, COARSE = 12, 20, 1e-10, 1e-7
# Nodes per axis of classical averages, until two agree.
QUADRATURE = (24, 36, 54, 81)
# Quasi-random points where these do not agree, because the flow folds the cloud: powers of two, until two agree.
SAMPLES = (12, 13, 14, 15, 16)
# Points that are followed together: no more than stay in the cache.
BLOCK = 4096
# The cloud in which a maximum is looked for: its half extent in widths, points per axis.
SPREAD, POINTS = 2.2, 31
# The search for t* goes on in so many steps.
CHUNKS = 30
# A fringe that is suppressed by more than exp(-this) is nothing.
SUPPRESSED = 300.0


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


@dataclass(frozen=True)
class BreakTimes:
    """When quantum and classical expectation values part.

    Attributes:
        hbars, times: break time against hbar; NaN where it lies beyond the longest time.
        threshold: the gap |<A>_quantum - <A>_classical| that counts as broken, in units of A.
        curves: {hbar: (times, quantum, classical)}.
        exponent: of the fit times ~ hbar^exponent, NaN with fewer than three of them.
    """

    hbars: np.ndarray
    times: np.ndarray
    threshold: float
    curves: dict[float, tuple[np.ndarray, np.ndarray, np.ndarray]]
    exponent: float


class Flow:
    """Trajectories of H = T(p) + U(x), which may depend on time, from t = 0 on.

    Arguments:
        equation: separable, one degree of freedom.
        points: (2, number) starts.
        tangent: whether the tangent maps are followed as well.
    """

    def __init__(self, equation: MoyalEquation, points: np.ndarray, tangent: bool) -> None:
        (x,), (p,) = equation.space.x, equation.space.p
        T, U = (_put(part, equation.space, driven=True) for part in (equation.kinetic, equation.potential))
        self._v, self._vv, self._f, self._ff = (
            _rate(expression, symbol, equation.space.t)
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


@dataclass(frozen=True)
class _Lump:
    """One piece with numbers: where it starts, its S_0, its wave vector, its height and its share of the norm."""

    start: tuple[float, float]
    S: np.ndarray
    K: np.ndarray
    height: float
    share: float


def _lumps(family: Any, space: PhaseSpace, hbar: float) -> list[_Lump]:
    found = []
    values = {space.hbar: sp.Float(hbar, 40), **space.defaults}
    for piece in pieces(family, space):
        if piece.level[0] != 0:
            raise InputError("The flow is linearised for Gaussian pieces; Fock states are rings. Give another family.")
        number = {
            name: float(sp.N(_number(value, values), 30))
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
            _Lump(
                (number["x"], number["p"]), np.diag([number["a2"], number["w2"]]),
                np.array([0.0, 2 * number["mu"] / number["w2"]]),
                twice * number["weight"] * np.exp(-number["damping"]) / area,
                twice * number["weight"] * np.exp(-number["suppression"]),
            )
        )  # fmt: skip
    return found


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
        U = _put(equation.potential, equation.space)
        self.orders = (0, *table.terms)
        self.forces = {s: _function(U.diff(x, 2 * s + 1), x) for s in self.orders}
        self.symbols = {
            s: sp.lambdify(
                (x, p), _put(U.diff(x, 2 * s + 1) * table.observable.diff(p, 2 * s + 1), equation.space), "numpy"
            )
            for s in self.orders
        }
        self.lumps = _lumps(table.family, table.space, hbar)
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

    def _starts(self, lump: _Lump, measure: str) -> np.ndarray:
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

    def _weak(self, total: dict, lump: _Lump, position: np.ndarray) -> None:
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


def break_time(
    H: Any,
    A: Any,
    family: Any,
    space: PhaseSpace,
    hbars: Sequence[float],
    threshold: float = 0.1,
    longest: float = 20.0,
    points: int = 41,
    **options: Any,
) -> BreakTimes:
    """The time at which <A> of the exact evolution leaves that of Liouville's equation, against hbar.

    Arguments:
        H, A: Weyl symbols; H = T(p) + U(x), one degree of freedom, which may depend on time, A in x and p.
        family: the state at t = 0, its widths expressions in space.hbar.
        space: phase space.
        hbars: values of hbar.
        threshold: gap |<A>_quantum - <A>_classical| that counts as broken, in units of A.
        longest: time at which the search ends.
        points: output times.
        options: of evolve_wigner.

    Returns:
        BreakTimes. The classical average runs over trajectories; for states with fringes, whose W is no density of
        points, and where the quadrature does not converge, it is Liouville's equation on the grid (order=0).

    Raises:
        InputError: as evolve_wigner.
    """
    from qnnsym.phase_space.numerics import evolve_wigner

    if not (isinstance(threshold, (int, float)) and threshold > 0):
        raise InputError(f"threshold={threshold!r}: give the gap in <A> that counts as broken, a positive number.")
    values = np.sort(np.asarray([float(h) for h in hbars]))[::-1]
    if not values.size or values[-1] <= 0:
        raise InputError(f"hbars={hbars!r}: give positive values of hbar.")
    settings = {"tolerance": min(1e-3, threshold / 20), "store_states": False, **options}
    curves, found = {}, []
    for hbar in values:
        # Filaments grow with time and ask for ever finer grids: no further than to the break.
        for share in (0.35, 0.7, 1.0):
            span = (0, share * longest, max(2, round(share * points)))
            run = evolve_wigner(H, family, span, hbar=hbar, space=space, e_ops={"A": A}, **settings)
            times, quantum = np.asarray(run.times), np.real(run.expect["A"])
            classical = _transported(H, A, family, space, times, float(hbar), settings.get("values"), threshold / 25)
            if classical is None:
                plain = evolve_wigner(H, family, span, hbar=hbar, space=space, order=0, e_ops={"A": A}, **settings)
                classical = np.real(plain.expect["A"])
            at = _first(times, np.abs(quantum - classical), threshold)
            if np.isfinite(at):
                break
        curves[float(hbar)] = (times, quantum, classical)
        found.append(at)
    times = np.array(found)
    good = np.isfinite(times) & (times > 0)
    exponent = float(np.polyfit(np.log(values[good]), np.log(times[good]), 1)[0]) if good.sum() > 2 else float("nan")
    return BreakTimes(values, times, float(threshold), curves, exponent)


def _transported(
    H: Any, A: Any, family: Any, space: PhaseSpace, times: np.ndarray, hbar: float, values: Any, tolerance: float
) -> np.ndarray | None:
    """<A> of Liouville's equation by trajectories from weighted points; None for fringes and where it fails."""
    given = {str(k): sp.sympify(v) for k, v in (values or {}).items()}
    put = {s: given[s.name] for s in (sp.sympify(H) + sp.sympify(A)).free_symbols if s.name in given}
    equation = moyal_equation(sp.sympify(H).xreplace(put), space, 0)
    if any(piece.mu[0] != 0 or piece.level[0] != 0 for piece in pieces(family, space)):
        return None
    symbol = sp.lambdify(space.variables, _put(sp.sympify(A).xreplace(put), space), "numpy")
    before = None
    for cloud, share in _clouds():
        total = np.zeros(times.size)
        for lump in _lumps(family, space, hbar):
            starts = np.array(lump.start)[:, None] + np.sqrt(np.diag(lump.S))[:, None] * cloud
            for at in range(0, share.size, BLOCK):
                part = slice(at, at + BLOCK)
                position = Flow(equation, starts[:, part], tangent=False).follow(times)[0]
                found = np.broadcast_to(symbol(position[:, 0], position[:, 1]), position[:, 0].shape)
                total += lump.share * (found @ share[part])
        if before is not None and np.max(np.abs(total - before)) <= tolerance:
            return total
        before = total
    return None


def _clouds() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(points (2, number), shares) that average over exp(-x^2 - p^2)/pi, ever more of them."""
    from scipy.stats import qmc

    for number in QUADRATURE:
        nodes, weights = np.polynomial.hermite.hermgauss(number)
        share = np.outer(weights, weights).ravel() / np.pi
        # Nodes far out carry nothing.
        seen = share > 1e-14
        yield np.array(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, -1)[:, seen], share[seen]
    for power in SAMPLES:
        # Each scrambled anew, so that two that agree do not do so because they share their points.
        points = qmc.MultivariateNormalQMC(np.zeros(2), np.eye(2) / 2, rng=np.random.default_rng(power))
        number = 2**power
        yield points.random(number).T, np.full(number, 1 / number)


def _first(times: np.ndarray, gap: np.ndarray, threshold: float) -> float:
    above = np.flatnonzero(gap >= threshold)
    if not above.size:
        return float("nan")
    k = int(above[0])
    if k == 0:
        return float(times[0])
    return float(times[k - 1] + (times[k] - times[k - 1]) * (threshold - gap[k - 1]) / (gap[k] - gap[k - 1]))


def _put(expression: Any, space: PhaseSpace, driven: bool = False) -> sp.Expr:
    found = sp.sympify(expression).xreplace(dict(space.defaults))
    if not driven and found.has(space.t):
        raise InputError(f"{found} depends on time; give an expression in {', '.join(map(str, space.variables))}.")
    unknown = sorted(found.free_symbols - {*space.variables, space.t}, key=str)
    if unknown:
        raise InputError(
            f"No number is known for {', '.join(map(str, unknown))}; declare them with space.parameters(name=number)."
        )
    return found


def _number(expression: sp.Expr, values: dict) -> sp.Expr:
    found = sp.sympify(expression).xreplace(values)
    if found.free_symbols:
        raise InputError(
            f"No number is known for {', '.join(sorted(map(str, found.free_symbols)))}; declare them with "
            "space.parameters(name=number) or put numbers in."
        )
    return found


def _function(expression: sp.Expr, symbol: sp.Symbol) -> Callable:
    raw = sp.lambdify(symbol, expression, "numpy")
    if expression.has(symbol):
        return raw
    return lambda values: np.full(np.shape(values), float(expression))


def _rate(expression: sp.Expr, symbol: sp.Symbol, time: sp.Symbol) -> Callable:
    raw = sp.lambdify([symbol, time], expression, "numpy")
    if expression.has(symbol):
        return raw
    return lambda values, t: np.full(np.shape(values), float(raw(0.0, t)))


__all__ = ["BreakTimes", "CorrectionTimes", "Flow", "along_flow", "break_time", "correction_time"]

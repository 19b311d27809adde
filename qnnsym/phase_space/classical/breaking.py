"""When quantum and classical expectation values part: break times against hbar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.classical.flow import Flow, lumps
from qnnsym.phase_space.classical.pieces import pieces
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.space import PhaseSpace

# Nodes per axis of classical averages, until two agree.
QUADRATURE = (24, 36, 54, 81)
# Quasi-random points where these do not agree, because the flow folds the cloud: powers of two, until two agree.
SAMPLES = (12, 13, 14, 15, 16)
# Points that are followed together: no more than stay in the cache.
BLOCK = 4096


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
    symbol = sp.lambdify(space.variables, put(sp.sympify(A).xreplace(put), space), "numpy")
    before = None
    for cloud, share in _clouds():
        total = np.zeros(times.size)
        for lump in lumps(family, space, hbar):
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

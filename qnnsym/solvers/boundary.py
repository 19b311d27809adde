"""Boundary problems u' = f(t, u), g(u(a), u(b)) = 0, by Gauss collocation with Newton's method.

Stages of an interval are eliminated with the Jacobian, which leaves one linear system of the values at the mesh. Gauss
points give the order 2 s at the mesh and s + 1 in between (s = 6: 12 and 7), so that few intervals reach rounding; the
mesh is halved until two solutions agree.

Source: U. Ascher, R. Mattheij, R. Russell, Numerical Solution of Boundary Value Problems for Ordinary Differential
Equations (1995), sections 5.4 and 5.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.sparse import block_array, csc_array
from scipy.sparse.linalg import splu

from qnnsym.errors import SolverError

STAGES = 6
MOST_INTERVALS = 512
NEWTON_STEPS = 30

Vector = np.ndarray
Rates = Callable[[float, Vector], Vector]
Ends = Callable[[Vector, Vector], Vector]


@dataclass(frozen=True)
class BoundaryProblem:
    """A boundary problem.

    Arguments:
        rates: f(t, u) -> (n,).  jacobian: (t, u) -> (n, n).
        ends: g(u(a), u(b)) -> (n,), zero at the solution.  ends_jacobian: -> (dg/du(a), dg/du(b)), each (n, n).
    """

    rates: Rates
    jacobian: Callable[[float, Vector], np.ndarray]
    ends: Ends
    ends_jacobian: Callable[[Vector, Vector], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Collocation:
    """A solution: polynomials of degree s on the intervals of a mesh.

    Attributes:
        mesh: (m + 1,).  values: (m + 1, n) at the mesh.  slopes: (m, s, n), u' at the Gauss points.
        error: largest difference from the solution on half as many intervals, in units of the tolerance's scale;
            0 where there was none.
        newton_steps, evaluations: counts.
    """

    mesh: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    error: float = 0.0
    newton_steps: int = 0
    evaluations: int = 0

    def __call__(self, t: Sequence[float] | np.ndarray) -> np.ndarray:
        """The solution at times within the mesh, (times, n)."""
        t = np.atleast_1d(np.asarray(t, float))
        at = np.clip(np.searchsorted(self.mesh, t, side="right") - 1, 0, len(self.slopes) - 1)
        h = np.diff(self.mesh)[at]
        share = (t - self.mesh[at]) / h
        powers = share[:, None] ** np.arange(1, self.slopes.shape[1] + 1)
        weights = powers @ gauss(self.slopes.shape[1])[3]
        return self.values[at] + h[:, None] * np.einsum("ts,tsn->tn", weights, self.slopes[at])

    @property
    def points(self) -> np.ndarray:
        """(m, s) the Gauss points."""
        c = gauss(self.slopes.shape[1])[0]
        return self.mesh[:-1, None] + np.diff(self.mesh)[:, None] * c


@cache
def gauss(stages: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(c, A, b, D) of Gauss collocation: nodes, matrix, weights, and D with u(x) = u(0) + h sum x^k D[k-1, s] u'_s."""
    nodes, weights = np.polynomial.legendre.leggauss(stages)
    c = (nodes + 1) / 2
    # Integrals of Legendre polynomials, well conditioned at any number of stages.
    legendre = np.polynomial.legendre.legvander(nodes, stages - 1)
    to_spectrum = (legendre * weights[:, None] * (np.arange(stages) + 0.5)).T
    integrals = np.array([
        np.polynomial.legendre.legint(row, lbnd=-1) / 2 for row in np.eye(stages)
    ])  # in the variable x = (node + 1) / 2
    a = np.polynomial.legendre.legvander(nodes, stages) @ integrals.T @ to_spectrum
    shifted = np.polynomial.Polynomial([-1, 2])
    powers = np.zeros((stages + 1, stages))
    for k, row in enumerate(integrals):
        series = np.polynomial.Polynomial(np.polynomial.legendre.leg2poly(row))(shifted).coef
        powers[: len(series), k] = series
    return c, a, weights / 2, powers[1:] @ to_spectrum


def solve_boundary(
    problem: BoundaryProblem,
    breaks: Sequence[float] | np.ndarray,
    guess: Callable[[np.ndarray], np.ndarray],
    *,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    intervals: int = 2,
    stages: int = STAGES,
    refine: bool = True,
) -> Collocation:
    """Solve a boundary problem.

    Arguments:
        problem: the equations and end conditions.
        breaks: ends of the interval, and times in between at which f jumps.
        guess: times -> (times, n), where Newton's method begins.
        rtol, atol: two solutions, one on half the mesh, have to agree within atol + rtol max |u|, per component.
        intervals: at first, between two breaks.
        stages: collocation points of an interval.
        refine: halve the mesh until the tolerance is met; False: one mesh.

    Raises:
        SolverError: when Newton's method does not converge, or the finest mesh does not meet the tolerance.
    """
    mesh = np.concatenate([np.linspace(a, b, intervals + 1)[:-1] for a, b in pairwise(breaks)])
    mesh = np.append(mesh, breaks[-1])
    found = _newton(problem, mesh, guess, rtol, atol, stages)
    steps, evaluations = found.newton_steps, found.evaluations
    while refine:
        finer = np.sort(np.concatenate([mesh, (mesh[1:] + mesh[:-1]) / 2]))
        if len(finer) - 1 > MOST_INTERVALS:
            raise SolverError(
                f"The boundary problem is not resolved by {len(mesh) - 1} intervals: two solutions differ by "
                f"{found.error:.2e} of the tolerance. Loosen rtol, or declare the times at which inputs jump."
            )
        better = _newton(problem, finer, found, rtol, atol, stages)
        steps, evaluations = steps + better.newton_steps, evaluations + better.evaluations
        # Where both meshes are least accurate: neither at their points nor between two of them.
        t = (finer[:-1, None] + np.diff(finer)[:, None] * np.array([0.0, 0.07, 0.5])).ravel()
        new = better(t)
        gap = np.max(np.abs(found(t) - new), axis=0) / (atol + rtol * np.max(np.abs(new), axis=0))
        error = float(gap.max())
        found = Collocation(finer, better.values, better.slopes, error, steps, evaluations)
        if error <= 1.0:
            break
        mesh = finer
    return found


def _newton(
    problem: BoundaryProblem, mesh: np.ndarray, guess: Callable, rtol: float, atol: float, stages: int
) -> Collocation:
    c, a, b, _ = gauss(stages)
    h = np.diff(mesh)
    points = mesh[:-1, None] + h[:, None] * c
    m, n = len(h), guess(mesh[:1]).shape[1]
    values, inner = guess(mesh), guess(points.ravel()).reshape(m, stages, n)
    evaluations = 0

    def residual(values: np.ndarray, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        nonlocal evaluations
        evaluations += m * stages
        slopes = _each(problem.rates, points, inner)
        at_points = inner - values[:-1, None] - h[:, None, None] * np.einsum("sr,mrn->msn", a, slopes)
        at_mesh = values[1:] - values[:-1] - h[:, None] * np.einsum("s,msn->mn", b, slopes)
        return slopes, at_points, at_mesh, problem.ends(values[0], values[-1])

    def size(parts: Sequence[np.ndarray]) -> float:
        total = max(float(np.max(np.abs(p))) for p in parts)
        return total if np.isfinite(total) else np.inf

    current = residual(values, inner)
    scale = 1.0 + float(np.max(np.abs(values)))
    for step in range(1, NEWTON_STEPS + 1):
        change_values, change_inner = _direction(problem, values, inner, points, h, current)
        if not (np.isfinite(change_values).all() and np.isfinite(change_inner).all()):
            break
        factor, before = 1.0, size(current[1:])
        while True:
            trial = values + factor * change_values, inner + factor * change_inner
            following = residual(*trial)
            after = size(following[1:])
            if after <= max((1 - factor / 4) * before, 1e-12 * scale) or factor < 1e-4:
                break
            factor /= 2
        (values, inner), current = trial, following
        scale = 1.0 + float(np.max(np.abs(values)))
        moved = np.max(np.abs(change_values), axis=0) / (atol + rtol * np.max(np.abs(values), axis=0))
        # Newton's steps shrink quadratically: one of this size leaves an error far below the tolerance.
        if (factor == 1.0 and moved.max() <= 1e-2) or np.max(np.abs(change_values)) <= 4e-15 * scale:
            return Collocation(mesh, values, current[0], 0.0, step, evaluations)
        if not np.isfinite(after):
            break
    raise SolverError(
        f"Newton's method does not converge on {m} intervals (residual {size(current[1:]):.2e}); there may be no "
        "solution. Begin with a shorter interval (fewer epochs), weaker coupling (a larger inertia), or another guess."
    )


def _each(function: Callable, points: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """A function of (t, u) at all Gauss points."""
    return np.array([
        [function(float(t), u) for t, u in zip(times, states, strict=True)]
        for times, states in zip(points, inner, strict=True)
    ])  # fmt: skip


def _direction(
    problem: BoundaryProblem, values: np.ndarray, inner: np.ndarray, points: np.ndarray, h: np.ndarray, current: tuple
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's change of the values at the mesh and at the points."""
    _, at_points, at_mesh, at_ends = current
    m, stages, n = inner.shape
    _, a, b, _ = gauss(stages)
    jacobians = _each(problem.jacobian, points, inner)
    blocks, constants, forward, rests = [], [], [], []
    start = np.tile(np.eye(n), (stages, 1))
    for i in range(m):
        local = np.eye(stages * n) - h[i] * np.einsum("sr,rnk->snrk", a, jacobians[i]).reshape(stages * n, stages * n)
        try:
            solved = np.linalg.solve(local, np.column_stack([start, -at_points[i].ravel()]))
        except np.linalg.LinAlgError:
            solved = np.full((stages * n, n + 1), np.nan)
        weighted = h[i] * np.einsum("s,snk->nsk", b, jacobians[i]).reshape(n, stages * n)
        through = weighted @ solved
        blocks.append(np.eye(n) + through[:, :-1])
        constants.append(through[:, -1] - at_mesh[i])
        forward.append(solved[:, :-1])
        rests.append(solved[:, -1])
    first, last = problem.ends_jacobian(values[0], values[-1])
    rows: list[list[csc_array | None]] = [[None] * (m + 1) for _ in range(m + 1)]
    for i in range(m):
        rows[i][i], rows[i][i + 1] = csc_array(-blocks[i]), csc_array(np.eye(n))
    rows[m][0], rows[m][m] = csc_array(first), csc_array(last)
    right = np.concatenate([*constants, -at_ends])
    try:
        change = splu(block_array(rows, format="csc")).solve(right).reshape(m + 1, n)
    except RuntimeError:
        change = np.full((m + 1, n), np.nan)
    inside = np.array([f @ d + r for f, d, r in zip(forward, change[:-1], rests, strict=True)])
    return change, inside.reshape(m, stages, n)

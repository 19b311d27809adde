"""Schrodinger's equation in a basis, then the Wigner transform: the route that knows nothing of phase-space equations.

The basis is the sinc DVR: points with spacing d, T_ij from the momentum integral over |p| < pi hbar/d, U diagonal.
The density matrix comes from W0 by the inverse Weyl transform and goes back by the Weyl transform, both by sums that
converge exponentially.

Source: D. T. Colbert, W. H. Miller, J. Chem. Phys. 96, 1982 (1992).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# The basis goes beyond the grid by one part in REACH on each side.
REACH = 4

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class OracleResult:
    """Wigner functions on the grid's points, and how well the basis converged.

    Attributes:
        states: (times, nx, np).
        error: largest change when the basis is refined, relative to the largest |W|.
        size: number of basis functions.
    """

    states: np.ndarray
    error: float
    size: int


def schroedinger_wigner(
    wigner: Callable[[np.ndarray, np.ndarray], np.ndarray],
    kinetic: Function,
    potential: Function,
    times: Sequence[float],
    grid: tuple[np.ndarray, np.ndarray],
    hbar: float,
) -> OracleResult:
    """Evolve a Wigner function by matrices.

    Arguments:
        wigner: W0(x, p) on broadcast arrays.  kinetic, potential: T(p) and U(x).
        times: times from the start.
        grid: (x, p) at which W is wanted; W0 has to vanish at its edges.
        hbar: number.
    """
    refined = _evolved(wigner, kinetic, potential, times, grid, hbar, _refinement(grid, hbar) + 1)
    coarse = _evolved(wigner, kinetic, potential, times, grid, hbar, _refinement(grid, hbar))
    scale = np.max(np.abs(refined[0]))
    return OracleResult(refined[0], float(np.max(np.abs(refined[0] - coarse[0])) / scale), refined[1])


def _refinement(grid: tuple[np.ndarray, np.ndarray], hbar: float) -> int:
    """Points per grid spacing so that the sum over every second point still carries the momenta of the grid."""
    x, p = grid
    return max(1, int(np.ceil(2 * (x[1] - x[0]) * np.max(np.abs(p)) / (np.pi * hbar))))


def _evolved(
    wigner: Callable[[np.ndarray, np.ndarray], np.ndarray],
    kinetic: Function,
    potential: Function,
    times: Sequence[float],
    grid: tuple[np.ndarray, np.ndarray],
    hbar: float,
    refinement: int,
) -> tuple[np.ndarray, int]:
    x, p = grid
    d = (x[1] - x[0]) / refinement
    # psi falls off half as fast as W: the basis reaches further than the grid.
    beyond = refinement * (len(x) // REACH)
    n = refinement * (len(x) - 1) + 1 + 2 * beyond
    points = x[0] + d * (np.arange(n) - beyond)
    # Nothing comes there, and a steep wall would only cost digits of the energies.
    wall = np.max(potential(x))
    energies, vectors = np.linalg.eigh(_hamiltonian(kinetic, np.minimum(potential(points), wall), points, d, hbar))
    rho = vectors.T @ _density(wigner, points, d, p, hbar) @ vectors
    gaps = energies[:, None] - energies[None, :]
    found = []
    for t in times:
        moved = vectors @ (rho * np.exp(-1j * gaps * t / hbar)) @ vectors.T
        found.append(_wigner(moved, beyond + refinement * np.arange(len(x)), d, p, hbar))
    return np.array(found), n


def _hamiltonian(kinetic: Function, potential: np.ndarray, points: np.ndarray, d: float, hbar: float) -> np.ndarray:
    n = len(points)
    limit = np.pi * hbar / d
    # Gauss-Legendre on panels: the integrand oscillates n/2 times over the whole interval.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    panels = n // 5 + 1
    centres = limit * ((2 * np.arange(panels) + 1) / panels - 1)
    momenta = (centres[:, None] + limit / panels * nodes[None, :]).ravel()
    lags = np.cos(np.outer(np.arange(n) * d / hbar, momenta))
    row = lags @ (np.tile(weights, panels) * kinetic(momenta)) * limit / panels * d / (2 * np.pi * hbar)
    i = np.arange(n)
    return row[np.abs(i[:, None] - i[None, :])] + np.diag(potential)


def _density(
    wigner: Callable[[np.ndarray, np.ndarray], np.ndarray], points: np.ndarray, d: float, p: np.ndarray, hbar: float
) -> np.ndarray:
    """rho_ij = d int W((x_i + x_j)/2, p) exp(i p (x_i - x_j)/hbar) dp, by the trapezoidal rule."""
    n = len(points)
    middles = points[0] + 0.5 * d * np.arange(2 * n - 1)
    # The rule is exact as long as the lags do not reach the period of its sum.
    count = int(2 ** np.ceil(np.log2(1.3 * n * d * np.ptp(p) / (np.pi * hbar) + len(p))))
    low, high = p[0], p[-1] + (p[1] - p[0])
    fine = low + (high - low) * np.arange(count) / count
    values = wigner(middles[:, None], fine[None, :])
    lags = np.exp(1j * np.outer(fine, d * np.arange(-(n - 1), n)) / hbar)
    table = values @ lags * (fine[1] - fine[0]) * d
    i = np.arange(n)
    return table[i[:, None] + i[None, :], i[:, None] - i[None, :] + n - 1]


def _wigner(rho: np.ndarray, at: np.ndarray, d: float, p: np.ndarray, hbar: float) -> np.ndarray:
    """W(x_c, p) = (1/pi hbar) sum_m exp(-2 i p m d/hbar) rho_{c+m, c-m} / d * d."""
    n = len(rho)
    m = np.arange(-(n - 1), n)
    phases = np.exp(-2j * np.outer(m * d, p) / hbar)
    up, down = at[:, None] + m[None, :], at[:, None] - m[None, :]
    inside = (up >= 0) & (up < n) & (down >= 0) & (down < n)
    diagonal = np.where(inside, rho[np.clip(up, 0, n - 1), np.clip(down, 0, n - 1)], 0.0)
    return (diagonal @ phases).real / (np.pi * hbar)

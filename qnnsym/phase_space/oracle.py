"""Schrodinger's equation in a basis, then the Wigner transform: the route that knows nothing of phase-space equations.

    W0 -> rho_ij -> exp(-iHt/hbar) rho exp(iHt/hbar) -> rho(x + y/2, x - y/2) -> W(x, p)

The basis is the sinc DVR: points with spacing d carry the momenta |p| < P = pi hbar/d, U is diagonal, T_ij an integral
over these momenta. Both transforms are sums that converge exponentially, and so does the basis: its range in x and its
P grow, each by itself, until neither changes the result.

Source: D. T. Colbert, W. H. Miller, J. Chem. Phys. 96, 1982 (1992); E. Wigner, Phys. Rev. 40, 749 (1932).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError, SolverError
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import FockState, Mixture, State

# The first basis reaches this much further than the output grid, in x and in p: psi falls off half as fast as W.
REACH = 1.3
GROWTH = 1.2
ROUNDS = 10
# Rounds that gain less than this, one after the other, show rounding and not the basis.
GAIN = 0.5
PATIENCE = 2
LARGEST = 2000
# Columns of rho with smaller weights are rounding; tolerance of the integration under a drive.
RANK, ODE = 1e-11, 1e-10

Function = Callable[..., np.ndarray]
Grid = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class OracleResult:
    """Wigner functions from Schrodinger's equation, and how far they can be trusted.

    Attributes:
        states: (times, nx, np) on the grid asked for.
        error: change of `states` when the basis is enlarged in x or in p, the larger of both; relative, the larger of
            the sup norm and the L2 norm.
        size: number of basis functions.
    """

    states: np.ndarray
    error: float
    size: int


def schroedinger_wigner(
    H: Any,
    W0: Any,
    times: Sequence[float] | np.ndarray,
    *,
    hbar: Any,
    space: PhaseSpace,
    grid: Grid,
    values: Mapping[Any, Any] | None = None,
    tolerance: float = 1e-11,
    begin: float = 0.0,
) -> OracleResult:
    """Evolve a state by Schrodinger's equation in a converged basis and transform it to W on a grid.

    Arguments:
        H: Weyl symbol T(p) + U(x), one degree of freedom; U may depend on time.
        W0: state object, expression in x and p, or (nx, np) array on the grid (then band limited, zero outside).
        times: times since W0.
        hbar: number, in the units of x p.
        space: phase space; its declared parameters have their defaults unless given in `values`.
        grid: (x, p) at which W is wanted; x uniform. The basis starts with its extent and outgrows it as needed.
        values: {symbol or name: number}.
        tolerance: wanted `error`; rounding leaves some 1e-12 times the number of periods of the fastest phase.
        begin: the time of W0, where U depends on it.

    Returns:
        OracleResult. Its `error` may exceed the tolerance where rounding or LARGEST ends the refinement.

    Raises:
        InputError: for H that is not T(p) + U(x, t), symbols without numbers, or an array that does not fit the grid.
        SolverError: when the first basis would need more than LARGEST functions.

    Source: D. T. Colbert, W. H. Miller, J. Chem. Phys. 96, 1982 (1992).
    """
    problem = _problem(H, W0, times, hbar, space, grid, values or {}, float(begin))
    x, p = problem.grid
    basis = _Basis((x[0] + x[-1]) / 2, REACH * np.ptp(x) / 2, REACH * float(np.max(np.abs(p))), problem.hbar)
    if basis.size > LARGEST:
        raise SolverError(
            f"Schrodinger's equation on this grid at hbar = {problem.hbar:g} needs {basis.size} basis functions, more "
            f"than {LARGEST}; give a smaller grid, shorter times or a larger hbar."
        )
    states, before, stalled = problem.evolved(basis), np.inf, 0
    for _ in range(ROUNDS):
        wider, sharper = basis.wider(), basis.sharper()
        if max(wider.size, sharper.size) > LARGEST:
            break
        found = {b: problem.evolved(b) for b in (wider, sharper)}
        changes = {b: _change(states, w) for b, w in found.items()}
        error = max(changes.values())
        stalled = stalled + 1 if error > GAIN * before else 0
        if error <= tolerance or stalled == PATIENCE:
            return OracleResult(states, error, basis.size)
        before = error
        if min(changes.values()) > tolerance:
            basis = wider.sharper()
            states = problem.evolved(basis)
        else:
            basis = max(changes, key=lambda b: changes[b])
            states = found[basis]
    # `before` belongs to a smaller basis than this one, so it is a bound.
    return OracleResult(states, float(before), basis.size)


def _change(states: np.ndarray, others: np.ndarray) -> float:
    gaps = [
        max(np.max(np.abs(b - a)) / np.max(np.abs(b)), np.linalg.norm(b - a) / np.linalg.norm(b))
        for a, b in zip(states, others, strict=True)
    ]
    return float(max(gaps, default=0.0))


@dataclass(frozen=True)
class _Basis:
    """Sinc functions at equidistant points over centre +- half, with the momenta |p| < momentum."""

    centre: float
    half: float
    momentum: float
    hbar: float

    @property
    def spacing(self) -> float:
        return np.pi * self.hbar / self.momentum

    @property
    def size(self) -> int:
        return int(np.ceil(2 * self.half / self.spacing)) + 1

    @property
    def points(self) -> np.ndarray:
        n = self.size
        return self.centre + self.spacing * (np.arange(n) - (n - 1) / 2)

    def wider(self) -> _Basis:
        return replace(self, half=GROWTH * self.half)

    def sharper(self) -> _Basis:
        return replace(self, momentum=GROWTH * self.momentum)


@dataclass(frozen=True)
class _Problem:
    """H, the initial state and the output, with numbers for everything."""

    kinetic: Function
    mass: float | None  # of T = p^2/2m, None for any other T
    potential: Function
    density: Callable[[_Basis], np.ndarray]
    times: tuple[float, ...]
    grid: Grid
    hbar: float
    drive: Function | None = None  # U(x, time since W0) where it depends on time; `potential` is U(x, 0)

    def evolved(self, basis: _Basis) -> np.ndarray:
        energies, vectors = np.linalg.eigh(self.hamiltonian(basis))
        rho = vectors.conj().T @ self.density(basis) @ vectors
        output = _Output(basis, self.grid, vectors)
        if self.drive is not None:
            return np.array([output.wigner(r) for r in self._driven(basis, energies, vectors, rho)])
        turned = (np.exp(-1j * energies * t / self.hbar) for t in self.times)
        return np.array([output.wigner(u[:, None] * rho * u.conj()) for u in turned])

    def _driven(
        self, basis: _Basis, energies: np.ndarray, vectors: np.ndarray, rho: np.ndarray
    ) -> Iterator[np.ndarray]:
        """rho at the times by an ODE in the interaction picture, where only U(x, t) - U(x, 0) is left.

        The columns that make up rho are followed one by one: a pure state has one.
        """
        assert self.drive is not None
        weights, columns = np.linalg.eigh(rho)
        kept = np.abs(weights) > RANK * np.abs(weights).max()
        weights, at = weights[kept], columns[:, kept].astype(complex)
        shape, level, drive = at.shape, self._level(basis), self.drive
        start = np.minimum(self.potential(basis.points), level)

        def rate(t: float, flat: np.ndarray) -> np.ndarray:
            phase = np.exp(-1j * energies * t / self.hbar)[:, None]
            extra = np.minimum(drive(basis.points, np.float64(t)), level) - start
            psi = extra[:, None] * _applied(vectors, phase * flat.reshape(shape))
            return (phase.conj() * _applied(vectors.conj().T, psi)).ravel() / (1j * self.hbar)

        before = 0.0
        for t in self.times:
            if t != before:
                found = solve_ivp(rate, (before, t), at.ravel(), method="DOP853", rtol=ODE, atol=0.1 * ODE)
                if not found.success:
                    raise SolverError(f"Schrodinger's equation cannot be followed to t = {t:g}: {found.message}")
                at, before = found.y[:, -1].reshape(shape), t
            now = np.exp(-1j * energies * t / self.hbar)[:, None] * at
            yield (now * weights) @ now.conj().T

    def hamiltonian(self, basis: _Basis) -> np.ndarray:
        n, d, limit = basis.size, basis.spacing, basis.momentum
        lags = np.arange(-(n - 1), n)
        if self.mass is not None:
            # Colbert and Miller's equation (A7), the integral below done by hand.
            with np.errstate(divide="ignore"):
                row = np.where(lags == 0, np.pi**2 / 3, 2.0 * (-1.0) ** lags / lags.astype(float) ** 2)
            row = row * self.hbar**2 / (2 * self.mass * d**2)
        else:
            row = _kinetic_row(self.kinetic, lags * d / self.hbar, limit)
        i = np.arange(n)
        matrix = row[i[:, None] - i[None, :] + n - 1]
        return matrix + np.diag(self._potential(basis))

    def _potential(self, basis: _Basis) -> np.ndarray:
        """U at the points, levelled off where it is out of reach: a steeper wall would only cost digits."""
        return np.minimum(self.potential(basis.points), self._level(basis))

    def _level(self, basis: _Basis) -> float:
        with np.errstate(all="ignore"):
            u, inside = self.potential(basis.points), self.potential(self.grid[0])
            t = self.kinetic(np.linspace(-basis.momentum, basis.momentum, 101))
        if np.isnan(u).any() or np.isneginf(u).any() or not np.isfinite(t).all():
            raise InputError(
                "H is not finite where the state may go; give a smaller grid, or an H that is finite there."
            )
        # The wall rises with the basis, so that its effect is part of the measured error.
        return float(np.max(inside[np.isfinite(inside)], initial=np.min(u)) + 4 * np.ptp(t))


def _applied(matrix: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """matrix @ columns; NumPy would make a complex copy of a real matrix each time."""
    if np.iscomplexobj(matrix):
        return matrix @ columns
    return (matrix @ np.ascontiguousarray(columns).view(float)).view(complex)


def _kinetic_row(kinetic: Function, lags: np.ndarray, limit: float) -> np.ndarray:
    """(1/2P) int_{-P}^{P} T(p) exp(i p lag) dp for lags (x_i - x_j)/hbar; real for even T.

    Gauss-Legendre on panels: the integrand oscillates n/2 times over the whole interval.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    panels = len(lags) // 8 + 1
    centres = limit * ((2 * np.arange(panels) + 1) / panels - 1)
    p = (centres[:, None] + limit / panels * nodes[None, :]).ravel()
    weighted = np.tile(weights, panels) * kinetic(p) / (2 * panels)
    phases = np.outer(lags, p)
    even, odd = np.cos(phases) @ weighted, np.sin(phases) @ weighted
    return even if np.max(np.abs(odd)) <= 1e-14 * np.max(np.abs(even)) else even + 1j * odd


class _Output:
    """From a density matrix over the eigenvectors of H to W on the grid.

    rho is band limited, so sinc interpolation to a lattice that holds the points of the grid is exact. The lattice's
    spacing h makes W periodic in p with pi hbar/h, long enough to keep the images of |p| < P out of the grid.
    """

    def __init__(self, basis: _Basis, grid: Grid, vectors: np.ndarray) -> None:
        (x, p), points = grid, basis.points
        dx = (x[-1] - x[0]) / (len(x) - 1)
        between = max(1, int(np.ceil(dx * (basis.momentum + np.max(np.abs(p))) / (np.pi * basis.hbar))))
        h = dx / between
        before, after = int(np.ceil((x[0] - points[0]) / h)), int(np.ceil((points[-1] - x[0]) / h))
        lattice = x[0] + h * np.arange(-before, after + 1)
        sinc = np.sinc((lattice[:, None] - points[None, :]) / basis.spacing) / np.sqrt(basis.spacing)
        self.vectors = sinc @ vectors
        self.at = before + between * np.arange(len(x))
        m = np.arange(1, len(lattice))
        up, down = self.at[:, None] + m, self.at[:, None] - m
        self.outside = (up >= len(lattice)) | (down < 0)
        self.up, self.down = np.minimum(up, len(lattice) - 1), np.maximum(down, 0)
        angles = 2 * np.outer(m * h, p) / basis.hbar
        self.cos, self.sin = np.cos(angles), np.sin(angles)
        self.scale = h / (np.pi * basis.hbar)

    def wigner(self, rho: np.ndarray) -> np.ndarray:
        """W(x, p) = (h/pi hbar) sum_m exp(-2 i p m h/hbar) rho(x + m h, x - m h); the terms -m and m are conjugate."""
        b = self.vectors
        if np.iscomplexobj(b):
            fine = b @ rho @ b.conj().T
            real, imaginary = fine.real, fine.imag
        else:
            real, imaginary = b @ rho.real @ b.T, b @ rho.imag @ b.T
        chords = [np.where(self.outside, 0.0, part[self.up, self.down]) for part in (real, imaginary)]
        return self.scale * (real[self.at, self.at][:, None] + 2 * (chords[0] @ self.cos + chords[1] @ self.sin))


def _problem(
    H: Any, W0: Any, times: Any, hbar: Any, space: PhaseSpace, grid: Grid, values: Mapping[Any, Any], begin: float
) -> _Problem:
    (x,), (p,) = space.x, space.p
    number = float(hbar)
    given = {str(k): v for k, v in values.items()}
    H = exact_decimals(sp.sympify(H))
    symbols = {*space.defaults, *(s for s in H.free_symbols if s.name in given)}
    symbols -= {x, p, space.t}
    numbers = {s: float(given.get(s.name, space.defaults.get(s))) for s in symbols} | {space.hbar: number}
    potential = H.subs(p, 0)
    kinetic = sp.expand(H - potential)
    if kinetic.has(x):
        kinetic = sp.simplify(kinetic)
    if kinetic.has(x):
        raise InputError(f"H = {H} mixes x and p; the oracle's basis is made for T(p) + U(x).")
    if kinetic.has(space.t):
        raise InputError(f"The kinetic energy {kinetic} depends on time; the oracle is made for T(p) + U(x, t).")
    drive = None
    if potential.has(space.t):
        later = potential.subs(space.t, space.t + exact_decimals(sp.Float(begin)))
        drive, potential = _function(later, (x, space.t), numbers), later.subs(space.t, 0)
    mass = None
    ratio = sp.simplify(kinetic / p**2)
    if not ratio.has(p) and ratio != 0:
        mass = 1 / (2 * float(ratio.subs(numbers)))
    axes = tuple(np.asarray(axis, dtype=float) for axis in grid)
    return _Problem(
        _function(kinetic, (p,), numbers),
        mass,
        _function(potential, (x,), numbers),
        _density(W0, space, numbers, axes),
        tuple(float(t) for t in np.asarray(times, dtype=float).ravel()),
        axes,
        number,
        drive,
    )


def _function(expression: Any, variables: tuple[sp.Symbol, ...], numbers: Mapping[sp.Symbol, float]) -> Function:
    """A SymPy expression as a function of arrays that broadcast."""
    unknown = expression.free_symbols - {*variables, *numbers}
    if unknown:
        raise InputError(f"{expression} has no number for {', '.join(sorted(map(str, unknown)))}; give it in values.")
    parameters = list(numbers)
    raw = sp.lambdify([*variables, *parameters], expression, modules=["scipy", "numpy"])
    entries = [numbers[s] for s in parameters]

    def function(*arrays: np.ndarray) -> np.ndarray:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        return np.array(np.broadcast_to(np.real(raw(*arrays, *entries)), shape), dtype=float)

    return function


def _density(W0: Any, space: PhaseSpace, numbers: Mapping[sp.Symbol, float], grid: Grid) -> Callable:
    """A function of the basis that gives rho_ij = d <x_i|rho|x_j>."""
    if isinstance(W0, Mixture):
        parts = [
            (float(sp.sympify(weight).subs(numbers)), _density(state, space, numbers, grid))
            for weight, state in zip(W0.weights, W0.states, strict=True)
        ]
        return lambda basis: sum(weight * part(basis) for weight, part in parts)
    if isinstance(W0, FockState):
        # Written out, the Laguerre polynomial in its W cancels away its digits; the recurrence of psi does not.
        entries = (W0.x0[0], W0.p0[0], W0.mass[0], W0.omega[0])
        x0, p0, mass, omega = (float(entry.subs(numbers)) for entry in entries)
        n, hbar = int(W0.n[0]), numbers[space.hbar]

        def pure(basis: _Basis) -> np.ndarray:
            length = np.sqrt(hbar / (mass * omega))
            psi = _fock(n, (basis.points - x0) / length) / np.sqrt(length) * np.exp(1j * p0 * basis.points / hbar)
            return basis.spacing * np.outer(psi, psi.conj())

        return pure
    if isinstance(W0, (State, sp.Basic)):
        expression = exact_decimals(W0.wigner(space) if isinstance(W0, State) else W0)
        wigner = _function(expression, (space.x[0], space.p[0]), numbers)
        return lambda basis: _inverse_weyl(lambda x, p: wigner(x[:, None], p[None, :]), basis)
    table = np.asarray(W0, dtype=float)
    if table.shape != (len(grid[0]), len(grid[1])):
        raise InputError(f"The initial W has the shape {table.shape}; the grid is {len(grid[0])} x {len(grid[1])}.")
    return lambda basis: _inverse_weyl(
        lambda x, p: _interpolation(grid[0], x) @ table @ _interpolation(grid[1], p).T, basis
    )


def _inverse_weyl(wigner: Callable[[np.ndarray, np.ndarray], np.ndarray], basis: _Basis) -> np.ndarray:
    """rho_ij = d int W((x_i + x_j)/2, p) exp(i p (x_i - x_j)/hbar) dp.

    The trapezoidal rule with 2n points over |p| < P repeats in x_i - x_j after twice the length of the basis: nothing
    overlaps, and the sum is a fast Fourier transform.
    """
    n = basis.size
    middles = basis.points[0] + 0.5 * basis.spacing * np.arange(2 * n - 1)
    momenta = basis.momentum * (np.arange(2 * n) / n - 1)
    lags = np.fft.ifft(wigner(middles, momenta), axis=1)
    i = np.arange(n)
    sums, lag = i[:, None] + i[None, :], i[:, None] - i[None, :]
    return 2 * np.pi * basis.hbar * (-1.0) ** lag * lags[sums, lag % (2 * n)]


def _fock(n: int, u: np.ndarray) -> np.ndarray:
    """The n-th oscillator eigenfunction in units of its length, by the normalised Hermite recurrence."""
    before, psi = np.zeros_like(u), np.pi**-0.25 * np.exp(-(u**2) / 2)
    for k in range(n):
        before, psi = psi, np.sqrt(2 / (k + 1)) * u * psi - np.sqrt(k / (k + 1)) * before
    return psi


def _interpolation(axis: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Sinc interpolation from a uniform axis, zero beyond it."""
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    inside = (at > axis[0] - step) & (at < axis[-1] + step)
    return inside[:, None] * np.sinc((at[:, None] - axis[None, :]) / step)

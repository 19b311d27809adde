"""Polynomial Hamiltonians in an oscillator basis: matrices of x and p, no grid, no derivative of W.

    W0 -> rho_mn = h int W0 W_nm -> exp(-iHt/hbar) rho exp(iHt/hbar) -> expectation values, W(x, p) = sum rho_mn W_mn

The basis holds all |n_1, ..., n_d> with at most Q quanta. A monomial of the Weyl symbol becomes its symmetrically
ordered operator, multiplied in a basis that is larger by its degree, so that no matrix element is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import comb
from typing import Any

import numpy as np
import sympy as sp
from scipy.special import eval_genlaguerre, gammaln

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.numerics.grids import numeric
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import State

# Largest basis, and what the number of quanta is multiplied by from one try to the next.
MOST_STATES, MOST_QUANTA, MORE = 900, 120, 1.35
# Points of a grid times pairs of levels that are held in memory at once.
MOST_HELD = 2**25
# Entries of a density matrix that are left out.
NEGLIGIBLE = 1e-17
# The initial state is integrated over this many widths.
REACH = 6.2


@dataclass(frozen=True)
class FockSolution:
    """What the oscillator basis found.

    Attributes:
        times: as given.
        expect: {name: (times,)} of the observables, and purity_x of every degree of freedom x if there are several.
        states: (times, *grid) Wigner functions, or None where no grid was given.
        quanta, size: largest number of quanta, number of basis functions.
        error: largest change of any of these with the basis, relative to the largest value of its kind.
    """

    times: np.ndarray
    expect: dict[str, np.ndarray]
    states: np.ndarray | None
    quanta: int
    size: int
    error: float


def fock_evolution(
    H: Any,
    W0: Any,
    times: Any,
    *,
    hbar: Any,
    space: PhaseSpace,
    e_ops: Mapping[str, Any] | None = None,
    grid: tuple[np.ndarray, ...] | None = None,
    on_grid: slice = slice(None),
    values: Mapping[Any, Any] | None = None,
    tolerance: float = 1e-10,
) -> FockSolution:
    """Evolve a state with matrices in a basis that is enlarged until nothing changes.

    Arguments:
        H: Weyl symbol, a polynomial in the variables of the space, without time.
        W0: a state object; its widths set the length of the basis, or the curvature of H at its centre where a basis
            of these lengths does not converge.
        times: numbers, counted from the initial state.
        hbar: number.
        space: the phase space.
        e_ops: {name: Weyl symbol, a polynomial}.
        grid: (x_1, ..., p_1, ...) on which the Wigner functions are wanted.
        on_grid: at which of the times.
        values: {symbol or name: number} for parameters.
        tolerance: of the change with the basis.

    Returns:
        FockSolution; its error is above the tolerance where the largest basis was not enough.

    Raises:
        InputError: when H or an observable is no polynomial, or depends on time.
    """
    given = {str(k): v for k, v in (values or {}).items()}
    H = exact_decimals(sp.sympify(H))
    symbols = {*space.defaults, *(s for s in H.free_symbols if s.name in given)}
    numbers = {s: float(given.get(s.name, space.defaults.get(s))) for s in symbols - set(space.variables)}
    numbers[space.hbar] = float(hbar)
    times = np.atleast_1d(np.asarray(times, dtype=float))
    operators = {name: _polynomial(op, space, numbers) for name, op in {"H": H, **(e_ops or {})}.items()}
    found = None
    for lengths in (_lengths(W0, space, numbers), _natural_lengths(W0, operators["H"], space, numbers)):
        if lengths is None:
            continue
        one = _converged(W0, operators, times, space, numbers, lengths, grid, on_grid, tolerance)
        if found is None or one.error < found.error:
            found = one
        if found.error <= tolerance:
            break
    assert found is not None
    return found


def _converged(
    W0: Any, operators: Mapping[str, sp.Poly], times: np.ndarray, space: PhaseSpace,
    numbers: Mapping[sp.Symbol, float], lengths: np.ndarray, grid: tuple[np.ndarray, ...] | None, on_grid: slice,
    tolerance: float,
) -> FockSolution:  # fmt: skip
    """The evolution in oscillator functions of the lengths given, as many as are needed or allowed."""
    before: tuple[_Basis, list[np.ndarray], dict[str, np.ndarray]] | None = None
    hbar = numbers[space.hbar]
    quanta, error = _first(W0, space, numbers, lengths), np.inf
    while True:
        basis = _Basis(space, float(hbar), lengths, quanta)
        rhos, expect = _evolved(basis, operators, _density(W0, space, numbers, basis), times)
        if before is not None:
            error = _change(before, (basis, rhos, expect))
        larger = int(np.ceil(MORE * quanta))
        last = larger > MOST_QUANTA or comb(larger + space.dimension, space.dimension) > MOST_STATES
        if before is not None and (error <= tolerance or last):
            states = None if grid is None else basis.wigner_functions(rhos[on_grid], tuple(map(np.asarray, grid)))
            return FockSolution(times, expect, states, quanta, basis.size, error)
        before, quanta = (basis, rhos, expect), larger


def transition(m: int, n: int, x: np.ndarray, p: np.ndarray, length: float, hbar: float) -> np.ndarray:
    """The Wigner transform of |m><n|, oscillator functions of a length, int W_mm dx dp = 1.

    Source: H. J. Groenewold, Physica 12, 405 (1946); K. E. Cahill, R. J. Glauber, Phys. Rev. 177, 1882 (1969).
    """
    if m < n:
        return transition(n, m, x, p, length, hbar).conj()
    beta = np.sqrt(2) * (x / length - 1j * p * length / hbar)
    u = np.abs(beta) ** 2
    with np.errstate(divide="ignore"):
        size = np.exp((gammaln(n + 1) - gammaln(m + 1)) / 2 + (m - n) / 2 * np.log(u) - u / 2) if m > n else np.exp(
            -u / 2
        )
    phase = np.where(u > 0, beta / np.sqrt(np.where(u > 0, u, 1)), 0) ** (m - n)
    return (-1) ** n / (np.pi * hbar) * size * phase * eval_genlaguerre(n, m - n, u)


def levels_of(
    H: Any, space: PhaseSpace, numbers: Mapping[sp.Symbol, float], length: float, count: int
) -> tuple[np.ndarray, float]:
    """(diagonal, largest element beside it) of H among the first oscillator functions of a length.

    Arguments:
        H: Weyl symbol, a polynomial of one degree of freedom.
        numbers: for hbar and every parameter.
        count: of functions.
    """
    basis = _Basis(space, numbers[space.hbar], np.array([length]), count - 1)
    matrix = basis.matrix(_polynomial(H, space, numbers))
    return np.diag(matrix).real, float(np.max(np.abs(matrix - np.diag(np.diag(matrix)))))


class _Basis:
    """All products of oscillator functions with at most so many quanta."""

    def __init__(self, space: PhaseSpace, hbar: float, lengths: np.ndarray, quanta: int) -> None:
        self.space, self.hbar, self.lengths, self.quanta = space, hbar, lengths, quanta
        levels = range(quanta + 1)
        self.labels = np.array([n for n in product(levels, repeat=space.dimension) if sum(n) <= quanta])
        self.size = len(self.labels)

    def matrix(self, polynomial: sp.Poly) -> np.ndarray:
        """The operator whose Weyl symbol is the polynomial."""
        n, labels = self.space.dimension, self.labels
        found = np.zeros((self.size, self.size), complex)
        for powers, coefficient in polynomial.terms():
            term = np.full((self.size, self.size), complex(coefficient))
            for i in range(n):
                if powers[i] or powers[n + i]:
                    one = _monomial(powers[i], powers[n + i], self.quanta + 1, self.lengths[i], self.hbar)
                    term = term * one[np.ix_(labels[:, i], labels[:, i])]
                else:
                    term = term * (labels[:, i][:, None] == labels[:, i][None, :])
            found += term
        return found

    def transitions(self, i: int, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        """(levels, levels, nx, np): W_mn of the degree of freedom i on a grid."""
        levels = self.quanta + 1
        found = np.empty((levels, levels, x.size, p.size), complex)
        for m in range(levels):
            for n in range(m + 1):
                found[m, n] = transition(m, n, x[:, None], p[None, :], self.lengths[i], self.hbar)
                found[n, m] = found[m, n].conj()
        return found

    def full(self, rho: np.ndarray) -> np.ndarray:
        """rho with one pair of indices for each degree of freedom, (m_1, ..., n_1, ...)."""
        n, levels = self.space.dimension, self.quanta + 1
        flat = np.ravel_multi_index(self.labels.T, (levels,) * n)
        found = np.zeros((levels**n, levels**n), complex)
        found[np.ix_(flat, flat)] = rho
        return found.reshape((levels,) * (2 * n))

    def reduced(self, rho: np.ndarray, i: int) -> np.ndarray:
        """The density matrix of one degree of freedom."""
        found = self.full(rho)
        for j in reversed(range(self.space.dimension)):
            if j != i:
                found = np.trace(found, axis1=j, axis2=j + found.ndim // 2)
        return found

    def wigner_functions(self, rhos: list[np.ndarray], grid: tuple[np.ndarray, ...]) -> np.ndarray:
        """(number, *grid): W of several density matrices.

        Raises:
            InputError: for grids too fine to hold what is needed of them.
        """
        n, levels = self.space.dimension, self.quanta + 1
        if n == 1:
            x, p = grid[0][:, None], grid[1][None, :]
            found = np.zeros((len(rhos), x.size, p.size))
            for m in range(levels):
                for k in range(m + 1):
                    if max(abs(rho[m, k]) for rho in rhos) < NEGLIGIBLE:
                        continue
                    one = transition(m, k, x, p, self.lengths[0], self.hbar)
                    for w, rho in zip(found, rhos, strict=True):
                        w += (1 if m == k else 2) * (rho[m, k] * one).real
            return found
        if max(grid[i].size * grid[n + i].size for i in range(n)) * levels**2 > MOST_HELD:
            raise InputError("The grid is too fine for the oscillator basis; give a coarser one, or e_ops alone.")
        tables = [self.transitions(i, grid[i], grid[n + i]) for i in range(n)]
        return np.array([self._wigner(rho, tables) for rho in rhos])

    def _wigner(self, rho: np.ndarray, tables: list[np.ndarray]) -> np.ndarray:
        """W on the grid (x_1, ..., p_1, ...) of the tables."""
        n = self.space.dimension
        w = self.full(rho)
        for i, table in enumerate(tables):
            # What is left of rho stands first: (m_i, ..., n_i, ...), then the grids that are done.
            w = np.tensordot(w, table, axes=((0, n - i), (0, 1)))
        order = [*range(0, 2 * n, 2), *range(1, 2 * n, 2)]
        return np.ascontiguousarray(w.transpose(order).real)


def _monomial(a: int, b: int, levels: int, length: float, hbar: float) -> np.ndarray:
    """The symmetrically ordered x^a p^b: 2^-a sum_k C(a, k) x^k p^b x^(a-k).

    Source: N. H. McCoy, Proc. Natl. Acad. Sci. 18, 674 (1932).
    """
    size = levels + a + b
    lower = np.diag(np.sqrt(np.arange(1.0, size)), 1)
    x = length * (lower + lower.T) / np.sqrt(2)
    p = hbar / length * (lower - lower.T) / (1j * np.sqrt(2))
    power = np.linalg.matrix_power
    middle = power(p, b)
    total = sum(comb(a, k) * power(x, k) @ middle @ power(x, a - k) for k in range(a + 1)) / 2**a
    return total[:levels, :levels]


def _polynomial(symbol: Any, space: PhaseSpace, numbers: Mapping[sp.Symbol, float]) -> sp.Poly:
    expression = exact_decimals(sp.sympify(symbol))
    if expression.has(space.t):
        raise InputError(f"{expression} depends on time; the oscillator basis is used for an autonomous H.")
    if not expression.is_polynomial(*space.variables):
        raise InputError(f"{expression} is no polynomial in {space!r}; the oscillator basis is made for polynomials.")
    unknown = expression.free_symbols - {*space.variables, *numbers}
    if unknown:
        raise InputError(f"{expression} has no number for {', '.join(sorted(map(str, unknown)))}; give it in values.")
    return sp.Poly(expression.subs({s: sp.Float(v, 30) for s, v in numbers.items()}), *space.variables)


def _first(W0: Any, space: PhaseSpace, numbers: Mapping[sp.Symbol, float], lengths: np.ndarray) -> int:
    """Quanta that hold the state for a start: (|alpha| + 3)^2 for a packet displaced by alpha."""
    most = 0.0
    for x0, a, p0, w in W0.components(space):
        total = 0.0
        for i, length in enumerate(lengths):
            at, wide, momentum, fast = (float(numeric(v[i], (), numbers)()) for v in (x0, a, p0, w))
            scale = numbers[space.hbar] / length
            reach = np.hypot(at / length, momentum / scale) / np.sqrt(2)
            total += (reach + max(wide / length, fast / scale)) ** 2
        most = max(most, total)
    return 6 + int(np.ceil((np.sqrt(most) + 2) ** 2))


def _lengths(W0: Any, space: PhaseSpace, numbers: Mapping[sp.Symbol, float]) -> np.ndarray:
    """Of the oscillators: those whose ground state has the proportions of the state."""
    if not isinstance(W0, State):
        raise InputError("The oscillator basis takes a state object, whose widths set its lengths.")
    _, a, _, w = W0.components(space)[0]
    widths = [[float(numeric(v, (), numbers)()) for v in part] for part in (a, w)]
    return np.sqrt(numbers[space.hbar] * np.array(widths[0]) / np.array(widths[1]))


def _natural_lengths(
    W0: Any, H: sp.Poly, space: PhaseSpace, numbers: Mapping[sp.Symbol, float]
) -> np.ndarray | None:
    """Of the oscillators that H is near the centre of the state; None where it confines nothing there."""
    centre = [float(numeric(v, (), numbers)()) for part in (0, 2) for v in W0.components(space)[0][part]]
    n, curvatures = space.dimension, []
    for v in space.variables:
        curvatures.append(float(H.diff(v).diff(v).eval(dict(zip(space.variables, centre, strict=True)))))
    if not min(curvatures) > 0:
        return None
    along, across = np.array(curvatures[:n]), np.array(curvatures[n:])
    return np.sqrt(numbers[space.hbar] * np.sqrt(across / along))


def _density(W0: State, space: PhaseSpace, numbers: Mapping[sp.Symbol, float], basis: _Basis) -> np.ndarray:
    """rho_mn = h^d int W0 W_nm by the trapezoidal rule, where W0 is a product over the degrees of freedom.

    Raises:
        InputError: for entangled states of several degrees of freedom.
    """
    n, wigner = space.dimension, numeric(W0.wigner(space), space.variables, numbers)
    pieces = [[[float(numeric(v, (), numbers)()) for v in part] for part in piece] for piece in W0.components(space)]
    centre = np.array([*pieces[0][0], *pieces[0][2]])
    at_centre = float(wigner(*centre))
    factors = []
    for i in range(n):
        ranges = []
        for place, part, width in ((i, 0, 1), (n + i, 2, 3)):
            low = min(piece[part][i] - REACH * piece[width][i] for piece in pieces)
            high = max(piece[part][i] + REACH * piece[width][i] for piece in pieces)
            scale = basis.lengths[i] if place < n else basis.hbar / basis.lengths[i]
            narrow = min(piece[width][i] for piece in pieces)
            # Waves of W0, fringes of a cat included, and of W_mn.
            partner = (3, 2) if part == 0 else (1, 0)
            fringe = np.ptp([piece[partner[1]][i] for piece in pieces]) / basis.hbar
            waves = 2 * REACH / narrow + fringe + 2 * np.sqrt(2 * basis.quanta + 2) / scale
            ranges.append(np.linspace(low, high, 16 + int(np.ceil((high - low) * waves / (2 * np.pi)))))
        x, p = ranges
        others = [np.full((1, 1), c) for c in centre]
        others[i], others[n + i] = x[:, None], p[None, :]
        section = wigner(*others) / at_centre ** ((n - 1) / n)
        weight = 2 * np.pi * basis.hbar * (x[1] - x[0]) * (p[1] - p[0])
        levels = basis.quanta + 1
        rho = np.zeros((levels, levels), complex)
        for distance in range(levels):
            for m in range(distance, levels):
                k = m - distance
                # |rho_mk|^2 <= rho_mm rho_kk: most of the entries need not be integrated.
                if distance and abs(rho[m, m] * rho[k, k]) < NEGLIGIBLE**2:
                    continue
                w_km = transition(k, m, x[:, None], p[None, :], basis.lengths[i], basis.hbar)
                rho[m, k] = weight * np.sum(section * w_km)
                rho[k, m] = rho[m, k].conj()
        factors.append(rho)
    if n > 1:
        _check_product(wigner, pieces, centre, at_centre, n)
    found = np.ones((basis.size, basis.size), complex)
    for i, rho in enumerate(factors):
        found = found * rho[np.ix_(basis.labels[:, i], basis.labels[:, i])]
    return found


def _check_product(wigner: Any, pieces: list, centre: np.ndarray, at_centre: float, n: int) -> None:
    rng = np.random.default_rng(2)
    widths = np.array([*pieces[0][1], *pieces[0][3]])
    for shift in rng.uniform(-0.7, 0.7, (4, 2 * n)):
        z, product_of_sections = centre + shift * widths, at_centre ** (1 - n)
        for i in range(n):
            point = centre.copy()
            point[[i, n + i]] = z[[i, n + i]]
            product_of_sections *= float(wigner(*point))
        if not abs(float(wigner(*z)) - product_of_sections) <= 1e-10 * abs(at_centre):
            raise InputError(
                "The state is not a product over the degrees of freedom; the oscillator basis starts from such states."
            )


def _evolved(
    basis: _Basis, operators: Mapping[str, sp.Poly], rho: np.ndarray, times: np.ndarray
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Density matrices and expectation values at the times."""
    hamiltonian = basis.matrix(operators["H"])
    energies, vectors = np.linalg.eigh(hamiltonian if hamiltonian.imag.any() else hamiltonian.real)
    rho = vectors.conj().T @ rho @ vectors
    matrices = {name: basis.matrix(op) for name, op in operators.items() if name != "H"}
    names = [s.name for s in basis.space.x] if basis.space.dimension > 1 else []
    expect = {name: np.empty(times.size) for name in (*matrices, *(f"purity_{x}" for x in names))}
    rhos = []
    for at, t in enumerate(times):
        phases = np.exp(-1j * energies * t / basis.hbar)
        now = vectors @ (phases[:, None] * rho * phases.conj()) @ vectors.conj().T
        for name, matrix in matrices.items():
            expect[name][at] = np.sum(matrix * now.T).real
        for i, name in enumerate(names):
            expect[f"purity_{name}"][at] = np.sum(np.abs(basis.reduced(now, i)) ** 2)
        rhos.append(now)
    return rhos, expect


def _change(before: tuple[_Basis, list, dict], after: tuple[_Basis, list, dict]) -> float:
    """Of density matrices in the Hilbert-Schmidt norm, which is that of W in L2, and of expectation values."""
    (small, old, was), (large, new, found) = before, after
    levels, n = large.quanta + 1, large.space.dimension
    places = np.full(levels**n, -1)
    places[np.ravel_multi_index(large.labels.T, (levels,) * n)] = np.arange(large.size)
    at = places[np.ravel_multi_index(small.labels.T, (levels,) * n)]
    gaps = [max(np.max(np.abs(found[k] - was[k])) / max(1.0, np.max(np.abs(found[k]))) for k in found)] if found else []
    for rho, earlier in zip(new, old, strict=True):
        difference = rho.copy()
        difference[np.ix_(at, at)] -= earlier
        gaps.append(np.linalg.norm(difference) / np.linalg.norm(rho))
    return float(max(gaps))

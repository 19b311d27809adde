"""Grids for several degrees of freedom, and for an H that mixes x and p: proposed from classical transport.

As for one degree of freedom (`grids`), a few points of the state and the ends of its chords move like classical ones,
here with the flow of the whole H; the ranges of every coordinate and of every chord give the axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.numerics.grids import (
    GROWTH,
    LARGEST,
    ROOM,
    TANGENT,
    TRUNCATED,
    check_grid,
    fast_count,
    numeric,
    spread,
)
from qnnsym.phase_space.numerics.motion import MOST_STEPS
from qnnsym.phase_space.space import PhaseSpace

# Directions in every plane of two coordinates, and others besides.
ANGLES, OTHERS = 12, 64
# Fewest points of an axis: with four axes the usual 32 would be a million already.
SMALLEST = 16


def checked_axes(grid: Any, space: PhaseSpace) -> tuple[np.ndarray, ...]:
    """The grid as float arrays (x_1, ..., p_1, ...), after making sure that it is one.

    Raises:
        InputError: for another number of arrays, or arrays that are not uniform and ascending.
    """
    names = ", ".join(s.name for s in space.variables)
    if not (isinstance(grid, (tuple, list)) and len(grid) == 2 * space.dimension):
        what = "a pair" if space.dimension == 1 else f"a tuple of {2 * space.dimension} arrays"
        raise InputError(f"grid is not {what}; give grid=({names}) with uniform arrays.")
    n = space.dimension
    pairs = [check_grid(grid[i], grid[n + i], (space.x[i].name, space.p[i].name)) for i in range(n)]
    return (*(x for x, _ in pairs), *(p for _, p in pairs))


def propose_axes(
    state_extent: Sequence[tuple[Any, ...]],
    H: sp.Expr,
    space: PhaseSpace,
    hbar: float,
    times: np.ndarray,
    *,
    values: Mapping[sp.Symbol, Any] | None = None,
    tolerance: float = 1e-8,
    order: int | None = None,
    coherent: bool = True,
    largest: int = LARGEST,
) -> tuple[np.ndarray, ...]:
    """A grid that holds the state over all times to the tolerance.

    Arguments:
        state_extent: what `state.extent(space)` gives: centres and widths of each component.
        H: the Hamiltonian; it may depend on space.t.
        space: its phase space.
        hbar: number.
        times: the output times; only the first and the last matter.
        values: numbers for the parameters, beside the defaults of the space.
        tolerance: relative amplitude at which W may be cut off.
        order: highest power of hbar in the equation that is solved; None for the exact one, 0 for Liouville's.
        coherent: whether there may be coherences between any two points of the state.
        largest: most points per axis.

    Returns:
        (x_1, ..., p_1, ...): ascending, uniform, endpoints excluded, even sizes with small prime factors.

    Raises:
        InputError: when classical points escape to infinity within the times, or more than `largest` points would be
            needed on an axis.

    Source: transport of chords, A. M. Ozorio de Almeida, Phys. Rep. 295, 265 (1998), section 3.
    """
    n = space.dimension
    numbers: dict[sp.Symbol, Any] = {**space.defaults, **(values or {}), space.hbar: hbar}
    arguments = (*space.variables, space.t)
    velocity = [numeric(sp.diff(H, p), arguments, numbers) for p in space.p]
    slope = [numeric(sp.diff(H, x), arguments, numbers) for x in space.x]
    pieces = [_centre_and_widths(piece, n, numbers) for piece in state_extent]
    reach = math.sqrt(math.log(10 / tolerance))
    tangent = order == 0
    points, first, second = _launch(pieces, reach, float(hbar), coherent, tangent)

    def rates(t: float, z: np.ndarray) -> np.ndarray:
        return np.array([*(v(*z, t) for v in velocity), *(-s(*z, t) for s in slope)])

    low, high, chord = points.min(axis=1), points.max(axis=1), np.abs(second - first).max(axis=1, initial=0.0)
    sizes = points.shape[1], first.shape[1]
    start = np.concatenate([points, first, second], axis=1)
    for now in _trajectories(start, rates, float(times[0]), float(times[-1] - times[0])):
        points, first, second = np.split(now, np.cumsum(sizes), axis=1)
        middle = points if tangent else np.concatenate([points, (first + second) / 2], axis=1)
        low, high = np.minimum(low, middle.min(axis=1)), np.maximum(high, middle.max(axis=1))
        chord = np.maximum(chord, np.abs(second - first).max(axis=1, initial=0.0))
    region = ROOM * (high - low)
    if tangent:
        chord = ROOM * chord / TANGENT
    else:
        chord = region if coherent else np.minimum(ROOM * chord, region)
        chord = chord * (1.0 if order is None else TRUNCATED)
    partner = [*range(n, 2 * n), *range(n)]
    counts = [fast_count(region[a] * chord[partner[a]] / (math.pi * hbar), SMALLEST) for a in range(2 * n)]
    if max(counts) > largest:
        worst = int(np.argmax(counts))
        raise InputError(
            f"A grid for {space.variables[worst]} in [{low[worst]:.3g}, {high[worst]:.3g}] at hbar = {hbar:g} needs "
            f"{counts[worst]} points, over {largest} per axis; shorten the times, loosen the tolerance, raise hbar, or "
            f"give grid=({', '.join(s.name for s in space.variables)})."
        )
    return tuple(spread((low[a] + high[a]) / 2, region[a], counts[a]) for a in range(2 * n))


def enlarged_axes(
    grid: Sequence[np.ndarray], outside: Sequence[bool], sharp: Sequence[bool], largest: int = LARGEST
) -> tuple[np.ndarray, ...]:
    """The grid with more room where W reached its edges.

    Arguments:
        grid: (x_1, ..., p_1, ...).
        outside, sharp: for each axis, whether W reached its edge, and whether it reached the highest wave numbers.
        largest: most points per axis; an axis that would need more stays as it is.
    """
    found = []
    for axis, wide, fine in zip(grid, outside, sharp, strict=True):
        step = axis[1] - axis[0]
        length = step * axis.size
        wanted = length * (GROWTH if wide else 1)
        count = fast_count(wanted / step * (GROWTH if fine else 1), SMALLEST)
        grows = (wide or fine) and count <= largest
        found.append(spread(axis[0] + length / 2, wanted, count) if grows else axis)
    return tuple(found)


def _centre_and_widths(piece: tuple[Any, ...], n: int, numbers: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """(centre, widths) over (x_1, ..., p_1, ...) in numbers."""
    parts = [part if isinstance(part, (tuple, list)) else (part,) for part in piece]
    x0, a, p0, w = (np.array([float(numeric(entry, (), numbers)()) for entry in part]) for part in parts)
    centre, widths = np.concatenate([x0, p0]), np.concatenate([a, w])
    if not (np.isfinite(centre).all() and np.isfinite(widths).all() and (widths > 0).all() and widths.size == 2 * n):
        raise InputError(
            f"The state has the centre {centre} and the widths {widths} in numbers; they have to be finite, and the "
            "widths positive. Give a state of another shape, or a grid."
        )
    return centre, widths


def _directions(size: int) -> np.ndarray:
    """(size, number) unit vectors: circles in all planes of two coordinates, and others that lie in none."""
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    found = []
    for i, j in combinations(range(size), 2):
        circle = np.zeros((size, ANGLES))
        circle[i], circle[j] = np.cos(angles), np.sin(angles)
        found.append(circle)
    if size > 2:
        others = np.random.default_rng(1).standard_normal((size, OTHERS))
        found.append(others / np.linalg.norm(others, axis=0))
    return np.concatenate(found, axis=1)


def _launch(
    pieces: Sequence[tuple[np.ndarray, np.ndarray]], reach: float, hbar: float, coherent: bool, tangent: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the state, and the two ends of chords on it; arrays (2n, number)."""
    size = pieces[0][0].size
    directions = _directions(size)
    swap = [*range(size // 2, size), *range(size // 2)]
    points, middles, chords = [], [], []
    for centre, widths in pieces:
        around = (reach * widths)[:, None] * directions
        points += [centre[:, None] + radius * around for radius in (1.0, 2 / 3, 1 / 3)]
        # A chord xi of a Gaussian has the amplitude exp(-sum (widths_of_the_partner xi/2 hbar)^2).
        longest = (2 * hbar * reach / widths[swap])[:, None] * directions
        for share in (0.0, 1 / 3, 2 / 3):
            # Amplitudes of point and chord multiply: together they may use up the reach.
            at = centre[:, None] + math.sin(share * math.pi / 2) * (around[:, ::4] if share else 0 * around[:, :1])
            xi = math.cos(share * math.pi / 2) * (longest[:, ::4] if share else longest)
            middles.append(np.repeat(at, xi.shape[1], axis=1))
            chords.append(np.tile(xi, at.shape[1]))
    everywhere = np.concatenate(points, axis=1)
    if coherent:
        if not tangent:
            # Any two points may be coherent: the region alone decides.
            return everywhere, everywhere[:, :0], everywhere[:, :0]
        span = np.ptp(everywhere, axis=1)[:, None]
        middles, chords = [np.repeat(everywhere, size, axis=1)], [np.tile(span * np.eye(size), everywhere.shape[1])]
    middle, chord = np.concatenate(middles, axis=1), np.concatenate(chords, axis=1)
    chord = chord * (TANGENT if tangent else 1.0)
    return everywhere, middle - chord / 2, middle + chord / 2


def _trajectories(
    start: np.ndarray, rates: Callable[[float, np.ndarray], np.ndarray], began: float, duration: float
) -> Iterator[np.ndarray]:
    """Classical points (2n, number) after each step of the integrator, from the time `began` on."""
    from scipy.integrate import RK45

    scale = np.ptp(start, axis=1)
    far = 1e3 * (np.abs(start).max(axis=1) + scale)
    atol = 1e-6 * np.repeat(scale, start.shape[1])
    with np.errstate(all="ignore"):
        solver = RK45(
            lambda t, flat: rates(np.float64(began + t), flat.reshape(start.shape)).ravel(),
            0.0, start.ravel(), duration, max_step=abs(duration) / 32, rtol=1e-6, atol=atol,
        )  # fmt: skip
        for _ in range(MOST_STEPS):
            message = solver.step()
            now = solver.y.reshape(start.shape)
            if message or not np.isfinite(now).all() or (np.abs(now).max(axis=1) > far).any():
                break
            yield now
            if solver.status == "finished":
                return
    raise InputError(
        f"Classical points of the state escape to infinity, or move too fast to follow, at t = {solver.t:.3g} after "
        "the start: no grid holds the state for that long. Shorten the times, or give a grid."
    )

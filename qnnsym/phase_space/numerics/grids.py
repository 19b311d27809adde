"""Grids that hold a Wigner function for a whole evolution: proposed from classical transport, checked when given.

A grid needs room for W in x and p and for its transforms in k and theta. Written with chords xi = (hbar theta, hbar k),
W^(x, theta) = <x - hbar theta/2|rho|x + hbar theta/2> is a coherence between two points, and the ends of a chord move
like classical points. So the same few trajectories give all four ranges:

    x, p        the region that the points of the state reach,
    k, theta    the longest chords xi/hbar that the coherences of the state reach, never longer than that region,
                hence dx <= pi hbar/L_p and dp <= pi hbar/L_x at the least.

Liouville's equation moves infinitesimal chords instead, which stretch without bound (filaments).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp
from scipy import fft

from qnnsym.errors import InputError
from qnnsym.phase_space.circle import circle_grid
from qnnsym.phase_space.kicks import Kicks
from qnnsym.phase_space.numerics.motion import Rules, apart, diffraction, outwards, pushes_of, trajectories
from qnnsym.phase_space.space import PhaseSpace

LARGEST = 1024
SMALLEST = 32
# Room beyond what classical points reach: evanescent tails, and the stages of a step, which overshoot its end.
ROOM = 1.12
GROWTH = 1.4
# A truncated equation is not confined as the exact one is; its chords get half as much again.
TRUNCATED = 1.5
DIRECTIONS = 32
TANGENT = 1e-3


def numeric(expression: Any, variables: Sequence[sp.Symbol], values: Mapping[sp.Symbol, float]) -> Callable[..., Any]:
    """A SymPy expression as a function of arrays.

    Arguments:
        expression: any expression that NumPy or SciPy can evaluate.
        variables: the arguments of the function, in order.
        values: numbers for all other symbols.

    Returns:
        A function of as many broadcastable arrays; it gives a float array of their joint shape, with infinities and
        NaN where the expression has them.

    Raises:
        InputError: for a symbol without a number, or a function without a numerical form.
    """
    expression = sp.sympify(expression)
    unknown = sorted(map(str, expression.free_symbols - {*variables, *values}))
    if unknown:
        raise InputError(
            f"{expression} has the symbol(s) {', '.join(unknown)} without a value; declare them with "
            f"space.parameters({unknown[0]}=1), or give values={{'{unknown[0]}': 1}}."
        )
    parameters = [s for s in values if s in expression.free_symbols]
    compiled = sp.lambdify([*variables, *parameters], expression, modules=["scipy", "numpy"])
    numbers = [float(values[s]) for s in parameters]

    def function(*arrays: np.ndarray) -> np.ndarray:
        shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
        try:
            with np.errstate(all="ignore"):
                found = np.asarray(compiled(*arrays, *numbers))
        except (NameError, TypeError, AttributeError) as error:
            raise InputError(
                f"{expression} cannot be evaluated on arrays ({error}); write it with elementary functions."
            ) from None
        if np.iscomplexobj(found):
            if np.abs(found.imag).max(initial=0.0) > 1e-12 * np.abs(found.real).max(initial=1.0):
                raise InputError(f"{expression} is not real on the grid; give a real function.")
            found = found.real
        return np.array(np.broadcast_to(found, shape), dtype=float)

    return function


def check_grid(x: Any, p: Any, names: tuple[str, str] = ("x", "p")) -> tuple[np.ndarray, np.ndarray]:
    """The grid (x, p) as float arrays, after making sure that it is one.

    Arguments:
        x, p: uniform, ascending, endpoints excluded (the last point is one step before the period).
        names: what messages call them.

    Raises:
        InputError: for arrays that are not one-dimensional, too short, not finite, not ascending or not uniform.
    """
    return _axis(x, names[0]), _axis(p, names[1])


def _axis(values: Any, name: str) -> np.ndarray:
    try:
        axis = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"The grid in {name} is {values!r}; give an array of numbers.") from None
    if axis.ndim != 1:
        raise InputError(f"The grid in {name} has the shape {axis.shape}; give a one-dimensional array.")
    if axis.size < 8:
        raise InputError(f"The grid in {name} has {axis.size} point(s); give at least 8.")
    if not np.isfinite(axis).all():
        raise InputError(f"The grid in {name} holds NaN or infinite entries; give finite numbers.")
    steps = np.diff(axis)
    if (steps <= 0).any():
        raise InputError(f"The grid in {name} does not ascend throughout; sort it and take out repeated points.")
    if np.ptp(steps) > 1e-8 * steps.mean():
        raise InputError(
            f"The grid in {name} is not uniform (its steps lie between {steps.min():.6g} and {steps.max():.6g}); the "
            f"transforms need equal steps: np.linspace(start, stop, n, endpoint=False)."
        )
    return axis


def propose_grid(
    state_extent: Sequence[tuple[Any, ...]],
    kinetic: Any,
    potential: Any,
    space: PhaseSpace,
    hbar: float,
    times: np.ndarray,
    *,
    values: Mapping[sp.Symbol, Any] | None = None,
    tolerance: float = 1e-8,
    order: int | None = None,
    coherent: bool = True,
    largest: int = LARGEST,
    kicks: Kicks | None = None,
    rates: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    circle: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """A grid that holds the state over all times to the tolerance.

    Arguments:
        state_extent: what `state.extent(space)` gives, (centre_x, width_x, centre_p, width_p) of each component,
            |W| ~ exp(-(x-centre_x)^2/width_x^2 - (p-centre_p)^2/width_p^2).
        kinetic, potential: T(p) and U(x), expressions over the space.
        space: a phase space of one degree of freedom.
        hbar: number.
        times: the output times; only the first and the last matter.
        values: numbers for the parameters, beside the defaults of the space.
        tolerance: relative amplitude at which W may be cut off.
        order: highest power of hbar in the equation that is solved; None for the exact one, 0 for Liouville's.
        coherent: whether there may be coherences between any two points of the state (cat and Fock states). False:
            the components are Gaussians, coherent with themselves alone, which allows coarser steps for mixed states.
        largest: most points per axis.
        kicks: applied to the classical points at the multiples of their period.
        rates: (a, b, D_x, D_p) of the open terms; points drift, and those of the state are pushed outwards as far as
            diffusion takes the amplitude `tolerance`.
        circle: x is an angle; the momenta alone decide then.

    Returns:
        (x, p): ascending, uniform, endpoints excluded, even sizes with small prime factors.

    Raises:
        InputError: when classical points escape to infinity within the times, or more than `largest` points would be
            needed.

    Source: transport of chords, A. M. Ozorio de Almeida, Phys. Rep. 295, 265 (1998), section 3; here with the classical
        flow of both ends.
    """
    (xs,), (ps,) = space.x, space.p
    numbers: dict[sp.Symbol, Any] = {**space.defaults, **(values or {}), space.hbar: hbar}
    velocity = numeric(sp.diff(sp.sympify(kinetic), ps), (ps, space.t), numbers)
    slope = numeric(sp.diff(sp.sympify(potential), xs), (xs, space.t), numbers)
    pieces = [[float(numeric(entry, (), numbers)()) for entry in piece] for piece in state_extent]
    if not all(0 < width < math.inf for piece in pieces for width in piece[1::2]) or not np.isfinite(pieces).all():
        raise InputError(
            f"The state has the centres and widths {', '.join(f'{v:.3g}' for v in pieces[0])} (x, then p) in numbers; "
            "they have to be finite, and the widths positive. Give a state of another shape, or grid=(x, p)."
        )
    reach = math.sqrt(math.log(10 / tolerance))
    duration = float(times[-1] - times[0])
    tangent = order == 0
    points, first, second = _launch(pieces, reach, float(hbar), coherent, tangent)
    middle = np.concatenate([points, (first + second) / 2], axis=1)
    low, high = points.min(axis=1), points.max(axis=1)
    chord = np.abs(second - first).max(axis=1, initial=0.0)
    sizes = points.shape[1], first.shape[1]
    start = np.concatenate([points, first, second], axis=1)
    rules = Rules(velocity, slope, float(times[0]), duration, circle, tuple(rates), pushes_of(rates, reach, duration))
    if kicks is not None:
        of = ps if kicks.kinetic else xs
        jump, phase = (numeric(f, (of, space.t), numbers) for f in (sp.diff(kicks.symbol, of), kicks.symbol))
        extra = 0.0
        if order is None:
            across = points[1 if kicks.kinetic else 0]
            extra = diffraction(phase, jump, float(across.min()), float(across.max()), float(hbar), tolerance)
        rules = replace(
            rules, kick=jump, kinetic=kicks.kinetic, period=float(numeric(kicks.period, (), numbers)()),
            extra=extra * np.concatenate(
                [outwards(points[0 if kicks.kinetic else 1]), *apart(first, second, 0 if kicks.kinetic else 1)]
            ),
        )  # fmt: skip
    for now in trajectories(start, points.shape[1], rules):
        points, first, second = np.split(now, np.cumsum(sizes), axis=1)
        middle = points if tangent else np.concatenate([points, (first + second) / 2], axis=1)
        low, high = np.minimum(low, middle.min(axis=1)), np.maximum(high, middle.max(axis=1))
        chord = np.maximum(chord, np.abs(second - first).max(axis=1, initial=0.0))
    region = ROOM * (high - low)
    if circle:
        margin = (region[1] - (high[1] - low[1])) / 2
        return circle_grid(low[1] - margin, high[1] + margin, hbar, largest)
    if tangent:
        chord = ROOM * chord / TANGENT
    else:
        chord = region if coherent else np.minimum(ROOM * chord, region)
        chord = chord * (1.0 if order is None else TRUNCATED)
    # The chord (hbar theta, hbar k) is resolved when pi/dp >= theta and pi/dx >= k.
    counts = [fast_count(region[axis] * chord[1 - axis] / (math.pi * hbar)) for axis in (0, 1)]
    if max(counts) > largest:
        raise InputError(
            f"A grid for x in [{low[0]:.3g}, {high[0]:.3g}] and p in [{low[1]:.3g}, {high[1]:.3g}] at hbar = {hbar:g} "
            f"needs {counts[0]} x {counts[1]} points, over {largest} per axis; shorten the times, loosen the "
            "tolerance, raise hbar, or give grid=(x, p)."
        )
    centre = (low + high) / 2
    x, p = (spread(centre[axis], region[axis], counts[axis]) for axis in (0, 1))
    return x, p


def enlarged(
    grid: tuple[np.ndarray, np.ndarray], reached: Sequence[bool], largest: int = LARGEST
) -> tuple[np.ndarray, np.ndarray]:
    """The grid with more room where W reached its edges.

    Arguments:
        grid: (x, p).
        reached: whether W reached the edge in x, in k, in p, in theta.
        largest: most points per axis; an axis that would need more stays as it is.
    """
    axes = []
    for axis, (outside, sharp) in zip(grid, (reached[:2], reached[2:]), strict=True):
        step = axis[1] - axis[0]
        length = step * axis.size
        wanted = length * (GROWTH if outside else 1)
        count = fast_count(wanted / step * (GROWTH if sharp else 1))
        grows = (outside or sharp) and count <= largest
        axes.append(spread(axis[0] + length / 2, wanted, count) if grows else axis)
    return axes[0], axes[1]


def fast_count(points: float, smallest: int = SMALLEST) -> int:
    """An even number of points that transforms quickly, at least as many as asked for."""
    return max(smallest, 2 * fft.next_fast_len(math.ceil(points / 2 - 1e-9), real=True))


def spread(centre: float, length: float, count: int) -> np.ndarray:
    """A uniform axis of `count` points, its endpoint excluded."""
    return centre + length * (np.arange(count) / count - 0.5)


def _launch(
    pieces: list[list[float]], reach: float, hbar: float, coherent: bool, tangent: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the state, and the two ends of chords on it; arrays (2, number) of x and p."""
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    circle = np.array([np.cos(angles), np.sin(angles)])
    half = circle[:, : DIRECTIONS // 2 : 2]
    disc = np.concatenate([radius * circle for radius in (1.0, 2 / 3, 1 / 3)], axis=1)
    points, middles, chords = [], [], []
    for x0, a, p0, w in pieces:
        centre, widths = np.array([[x0], [p0]]), np.array([[a], [w]])
        points.append(centre + reach * widths * disc)
        # A chord xi of a Gaussian has the amplitude exp(-(w xi_x/2 hbar)^2 - (a xi_p/2 hbar)^2).
        longest = 2 * hbar * reach / widths[::-1]
        for share in (0.0, 1 / 3, 2 / 3):
            # Amplitudes of point and chord multiply: together they may use up the reach.
            at = centre + reach * math.sin(share * math.pi / 2) * widths * circle[:, :: 2 if share else DIRECTIONS]
            xi = math.cos(share * math.pi / 2) * longest * half
            middles.append(np.repeat(at, xi.shape[1], axis=1))
            chords.append(np.tile(xi, at.shape[1]))
    everywhere = np.concatenate(points, axis=1)
    if coherent:
        if not tangent:
            # Any two points may be coherent: the region alone decides.
            return everywhere, everywhere[:, :0], everywhere[:, :0]
        span = everywhere.max(axis=1, keepdims=True) - everywhere.min(axis=1, keepdims=True)
        middles, chords = [np.repeat(everywhere, half.shape[1], axis=1)], [np.tile(span * half, everywhere.shape[1])]
    middle, chord = np.concatenate(middles, axis=1), np.concatenate(chords, axis=1)
    chord = chord * (TANGENT if tangent else 1.0)
    return everywhere, middle - chord / 2, middle + chord / 2

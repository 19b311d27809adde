"""Wigner functions of a rotor: x is an angle of period 2 pi, and momentum is hbar n.

With y = -hbar theta the coherences <x + y/2|rho|x - y/2> have the period 4 pi in y, and (x + pi, y + 2 pi) is the same
pair of points as (x, y). So W lives on the momenta hbar m/2, half-integers included, and holds everything twice:

    W(x, hbar m/2) = (1/2 pi hbar) int_{-2 pi}^{2 pi} e^{-i m y/2} <x + y/2|rho|x - y/2> dy,   W(x + pi) = (-1)^m W(x)

The sum over m times hbar/2 is <x|rho|x>, the integral over one turn <n|rho|n>/(hbar/2) at m = 2n and zero at odd m, and
<A> = iint A W of a Weyl symbol as on the line. In (k, m) this is <(m+k)/2|rho|(m-k)/2>, k + m even: both factors of
the evolution, K(p, k) = [T(p + hbar k/2) - T(p - hbar k/2)]/hbar at whole multiples of hbar and V(x, theta) of a U with
the period 2 pi, are exact on the grid of one turn and the ladder hbar/2. Tr rho^2 = pi hbar iint W^2, half of what it
is on the line. The image at x + pi alternates in sign with m; the negativity is that of the function over whole
momenta, made of |y| < pi alone, which has no image.

A state of the line is wound up, psi(x) = sum_j psi(x + 2 pi j), which for W reads
W(x, hbar m/2) = sum_a (-1)^{m a} W_line(x + pi a, hbar m/2), and is normalised.

Sources: M. V. Berry, Phil. Trans. R. Soc. A 287, 237 (1977); N. Mukunda, Am. J. Phys. 47, 182 (1979);
A. Rigas, L. L. Sanchez-Soto, A. B. Klimov, J. Rehacek, Z. Hradil, Ann. Phys. 326, 426 (2011).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from scipy import fft

from qnnsym.errors import InputError

# Images of a state until the next one is nothing; a state without end is none.
MOST_IMAGES = 2000
NOTHING = 1e-17
SMALLEST = 16
# Digits to which functions and arrays have to fit the circle.
FIT = 1e-9


def circle_grid(low: float, high: float, hbar: float, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """One turn of the angle, and the ladder hbar/2 that holds all coherences between momenta of a range.

    Arguments:
        low, high: range of the momentum.
        hbar: number.
        largest: most points per axis.

    Returns:
        (x, p) with as many points each: x from -pi on, p multiples of hbar/2.

    Raises:
        InputError: when more than `largest` points would be needed.
    """
    first, last = math.floor(low / hbar), math.ceil(high / hbar)
    count = max(SMALLEST, 2 * fft.next_fast_len(last - first + 1, real=True))
    if count > largest:
        raise InputError(
            f"A rotor with momenta in [{low:.3g}, {high:.3g}] at hbar = {hbar:g} needs {count} x {count} points, over "
            f"{largest} per axis; shorten the times, raise hbar, or give grid=(x, p)."
        )
    return _axes(count, first + last - count // 2, hbar)


def _axes(count: int, start: int, hbar: float) -> tuple[np.ndarray, np.ndarray]:
    return 2 * np.pi * np.arange(count) / count - np.pi, hbar / 2 * (start + np.arange(count))


def grown(grid: tuple[np.ndarray, np.ndarray], hbar: float, largest: int, growth: float = 1.4) -> Any:
    """The grid with more momenta, or the same where there would be more than `largest` points."""
    p = grid[1]
    count = max(SMALLEST, 2 * fft.next_fast_len(math.ceil(growth * p.size / 2), real=True))
    middle = round(float(p[p.size // 2]) / (hbar / 2))
    return grid if count > largest else _axes(count, middle - count // 2, hbar)


def check_circle(grid: tuple[np.ndarray, np.ndarray], hbar: float) -> None:
    """Make sure that a grid is one turn of the angle and a part of the ladder hbar/2.

    Raises:
        InputError: saying which of it does not hold.
    """
    x, p = grid
    turn = x.size * (x[1] - x[0])
    if abs(turn - 2 * np.pi) > FIT or x.size % 2:
        raise InputError(
            f"On a circle x takes one turn of 2 pi in an even number of points, and the grid has {x.size} over "
            f"{turn:.9g}; give x = np.linspace(-np.pi, np.pi, n, endpoint=False)."
        )
    ladder = p / (hbar / 2)
    if np.abs(ladder - np.rint(ladder)).max() > FIT or abs(ladder[1] - ladder[0] - 1) > FIT or p.size % 2:
        raise InputError(
            f"On a circle p takes an even number of neighbouring multiples of hbar/2 = {hbar / 2:g}, and the grid has "
            f"{p.size} in steps of {p[1] - p[0]:.6g} from {p[0]:.6g}; give p = hbar/2*np.arange(-n, n)."
        )


def check_periodic(function: sp.Expr, x: sp.Symbol, what: str, numbers: Mapping[sp.Symbol, float]) -> None:
    """Make sure that a function has the period 2 pi in x.

    Raises:
        InputError: when it has not.
    """
    gap = sp.sympify(function).subs(numbers).subs({s: sp.Rational(1, 3) for s in function.free_symbols - {x, *numbers}})
    for at in (sp.Rational(-7, 5), sp.Rational(3, 10), sp.Rational(9, 4)):
        before, after = (complex(gap.subs(x, value).evalf(30)) for value in (at, at + 2 * sp.pi))
        if not abs(before - after) <= FIT * max(1.0, abs(before)):
            raise InputError(
                f"{what} = {function} does not have the period 2 pi in {x}, as periodic=True needs; write it with "
                f"sin({x}), cos({x}) and their multiples, or leave periodic out."
            )


def wound(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], grid: tuple[np.ndarray, np.ndarray], hbar: float
) -> np.ndarray:
    """A Wigner function of the line wound up on the circle, normalised.

    Arguments:
        function: W of arrays x[:, None] and p[None, :] on the line.
        grid: (x, p) of the circle.

    Raises:
        InputError: when W does not fall off in x, or nothing is left of it.
    """
    x, p = grid[0][:, None], grid[1][None, :]
    odd = np.rint(p / (hbar / 2)).astype(np.int64) % 2
    total, quiet = np.array(function(x, p), float), 0
    for a in range(1, MOST_IMAGES):
        image = function(x + np.pi * a, p) + function(x - np.pi * a, p)
        total += (1 - 2 * odd * (a % 2)) * image
        quiet = quiet + 1 if np.max(np.abs(image)) <= NOTHING * np.max(np.abs(total)) else 0
        if quiet == 3:
            break
    else:
        raise InputError(
            "The initial state does not fall off in x, so that it cannot be wound up on the circle; give a narrower "
            "one, or an array on the grid."
        )
    norm = total.sum() * (grid[0][1] - grid[0][0]) * (grid[1][1] - grid[1][0])
    if not (np.isfinite(norm) and norm > FIT):
        raise InputError("Nothing is left of the initial state on the circle: give one whose momenta the grid holds.")
    return total / norm


def check_wound(W: np.ndarray, grid: tuple[np.ndarray, np.ndarray], hbar: float) -> None:
    """Make sure that an array is a Wigner function of the circle, W(x + pi, hbar m/2) = (-1)^m W(x, hbar m/2).

    Raises:
        InputError: when it is not.
    """
    odd = np.rint(grid[1] / (hbar / 2)).astype(np.int64) % 2
    gap = np.roll(W, W.shape[0] // 2, axis=0) - (1 - 2 * odd)[None, :] * W
    if np.max(np.abs(gap)) > 1e-6 * np.max(np.abs(W)):
        raise InputError(
            "The initial array is no Wigner function on a circle, W(x + pi, hbar m/2) = (-1)^m W(x, hbar m/2) does not "
            "hold; give a state object, or an array with the alternating image at x + pi."
        )

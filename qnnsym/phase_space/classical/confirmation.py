"""The exponents of `classical_limit` seen in numbers: ||T_s||/||T_0|| at hbar = 1e-5 ... 1e-8 by integration in mpmath.

Nothing is shared with the symbolic route. In L2 and against observables the terms are integrated over the density
matrix in the position representation, where W^(x, v) = <x + hbar v/2|rho|x - hbar v/2> and d_p is a factor -i v; the
sup norm is searched on W itself. Between hbar = 1 and 1e-3 slopes are on their way and mislead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from qnnsym.phase_space.classical.densities import Density, Spot, density, numerical
from qnnsym.phase_space.states import CatState, Mixture, State

mp = mpmath.mp
HBARS = ("1e-5", "1e-6", "1e-7", "1e-8")
PRECISION = 30
# Nodes of the trapezoidal rule in widths of exp(-u^2), which it integrates to 1e-15 with steps of 1/2.
STEP, REACH = 0.5, 5.2
# Functions with poles off the axis need finer steps: halved until two agree.
AGREE, HALVINGS = 1e-9, 6
ENTIRE = (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh)
# Points per axis of the first search for a maximum and of its refinements.
SEARCH, ZOOM, ROUNDS = 121, 21, 3
# Relative size below which a tail is cut off.
SMALL = 1e-22


@dataclass(frozen=True)
class Samples:
    """||T_s||/||T_0|| at small hbar.

    Attributes:
        hbars: descending.
        ratios: {(measure, s): array over hbar}; NaN where nothing was measured.
        slopes: {(measure, s): slope of the logarithms between the two smallest hbar}.
        reasons: {measure: why nothing was measured}.
    """

    hbars: np.ndarray
    ratios: dict[tuple[str, int], np.ndarray]
    slopes: dict[tuple[str, int], float]
    reasons: dict[str, str]


def sampled(table: Any, hbars: Sequence[str] = HBARS) -> Samples:
    """Measure the terms of a table.

    Arguments:
        table: a ClassicalLimit.
        hbars: values of hbar, descending.

    Raises:
        InputError: for symbols without numbers.
    """
    number = len(hbars)
    ratios = {(m, s): np.full(number, np.nan) for m in table.measures for s in table.terms}
    reasons: dict[str, str] = {}
    with mpmath.workdps(PRECISION):
        subject = _Subject(table)
        for i, text in enumerate(hbars):
            hbar = mpmath.mpf(text)
            for measure in table.measures:
                if measure in reasons:
                    continue
                reason = subject.refusal(measure)
                if reason:
                    reasons[measure] = reason
                    continue
                sizes = subject.measured(measure, hbar)
                for s in table.terms:
                    if sizes[0]:
                        ratios[measure, s][i] = float(sizes[s] / sizes[0])
    # A term that is identically zero has no slope.
    slopes = {}
    steps = np.log([float(h) for h in hbars])
    for key, values in ratios.items():
        good = number > 1 and np.all(values[-2:] > 0)
        slopes[key] = float(np.diff(np.log(values[-2:]))[0] / (steps[-1] - steps[-2])) if good else float("nan")
    return Samples(np.array([float(h) for h in hbars]), ratios, slopes, reasons)


class _Subject:
    """The numbers of one table."""

    def __init__(self, table: Any) -> None:
        self.table, self.space = table, table.space
        self.values = {s: mpmath.mpf(sp.Rational(v).p) / sp.Rational(v).q for s, v in self.space.defaults.items()}
        (self.x,), (self.p,) = self.space.x, self.space.p
        self.orders = (0, *table.terms)
        self.kinetic = table.part == "kinetic"
        self.q, self.r = (self.p, self.x) if self.kinetic else (self.x, self.p)
        self.derivatives = {s: self._put(sp.diff(table.hamiltonian, self.q, 2 * s + 1)) for s in self.orders}
        self.compiled: dict[int, Any] = {}
        self.entire, self.step = _entire(table.hamiltonian, self.q), STEP
        self.functions = {s: sp.lambdify(self.q, d, "mpmath") for s, d in self.derivatives.items()}

    def _put(self, expression: sp.Expr) -> sp.Expr:
        found = expression.xreplace({s: sp.Rational(v) for s, v in self.space.defaults.items()})
        numerical(found, {**{self.x: 0, self.p: 0, self.space.hbar: 1}})  # refuses what has no number
        return found

    def refusal(self, measure: str) -> str:
        if self.kinetic and measure != "sup":
            return "The density matrix is integrated in the position representation, where d_p is a factor."
        if measure == "weak" and not self._factors():
            return f"The observable {self.table.observable} neither decays in p nor is a polynomial in p."
        return ""

    def measured(self, measure: str, hbar: Any) -> dict[int, Any]:
        """||T_s|| of every order in a measure, by steps along q that are fine enough for H."""
        self.step = STEP
        sizes = getattr(self, measure)(hbar)
        if self.entire or measure == "sup":
            return sizes
        for _ in range(HALVINGS):
            self.step /= 2
            coarse, sizes = sizes, getattr(self, measure)(hbar)
            if all(abs(sizes[s] - coarse[s]) <= AGREE * abs(sizes[s]) for s in sizes):
                break
        return sizes

    def _prefactor(self, s: int) -> Any:
        return mpmath.mpf(1) / (4**s * factorial(2 * s + 1))

    # -- L2 --------------------------------------------------------------------------------------------------

    def l2(self, hbar: Any) -> dict[int, Any]:
        """iint (T_s)^2 = c iint U^(n)(x)^2 (y/hbar)^(2n) |<x + y/2|rho|x - y/2>|^2 dx dy."""
        rho = density(self.table.family, self.space, hbar, self.values)
        totals = dict.fromkeys(self.orders, mp.zero)
        for middles, aparts, area in _rectangles(rho.spots, self.step):
            squares = {s: [f(x) ** 2 for x in middles] for s, f in self.functions.items()}
            for i, x in enumerate(middles):
                # sum_y |rho|^2 y^(2n) for all n at once
                sums = [mp.zero] * (max(self.orders) + 1)
                for y in aparts:
                    element, y2 = rho.element(x + y / 2, x - y / 2), y * y
                    size, y4 = (mpmath.re(element) ** 2 + mpmath.im(element) ** 2) * y2, y2 * y2
                    for s in range(len(sums)):
                        sums[s] += size
                        size *= y4
                for s in self.orders:
                    totals[s] += area * squares[s][i] * sums[s]
        return {s: self._prefactor(s) * mpmath.sqrt(total) for s, total in totals.items()}

    # -- against an observable -------------------------------------------------------------------------------

    def _factors(self) -> list[tuple[sp.Expr, sp.Expr]]:
        """A as a sum of u(x) g(p) with g a polynomial or decaying; empty where that is not so."""
        found = []
        for term in sp.Add.make_args(sp.expand(self._put(self.table.observable))):
            u, g = term.as_independent(self.p, as_Add=False)
            if g.has(self.x):
                return []
            if not g.is_polynomial(self.p) and _extent(sp.lambdify(self.p, g, "mpmath")) is None:
                return []
            found.append((u, g))
        return found

    def weak(self, hbar: Any) -> dict[int, Any]:
        """iint A T_s = c iint u(x) U^(n)(x) (-i v)^n g^(v) <x + hbar v/2|rho|x - hbar v/2> dx dv."""
        rho = density(self.table.family, self.space, hbar, self.values)
        totals = dict.fromkeys(self.orders, mp.zero)
        for u, g in self._factors():
            along = sp.lambdify(self.x, u, "mpmath")
            moments = self._polynomial(rho, g, hbar) if g.is_polynomial(self.p) else self._decaying(rho, g, hbar)
            for nodes, width in _diagonal(rho.spots, self.step):
                for x in nodes:
                    found = moments(x)
                    for s in self.orders:
                        totals[s] += width * along(x) * self.functions[s](x) * found[s]
        return {s: self._prefactor(s) * hbar ** (2 * s) * abs(total) for s, total in totals.items()}

    def _decaying(self, rho: Density, g: sp.Expr, hbar: Any) -> Callable:
        function = sp.lambdify(self.p, g, "mpmath")
        low, high = _extent(function) or (0, 0)
        number = 64
        dp = (high - low) / number
        momenta = [low + k * dp for k in range(number + 1)]
        samples = [function(p) for p in momenta]
        most = max(abs(v) for v in samples) * (high - low) / (2 * mp.pi)
        # The sum over v repeats p with the period 2 pi/dv, longer than g and W together.
        dv = 2 * mp.pi / (1.6 * (high - low))
        rows: list[tuple[Any, list[Any]]] = []
        while len(rows) * dv < mp.pi / dp:
            v = (len(rows) + mpmath.mpf(1) / 2) * dv
            value = dp / (2 * mp.pi) * sum(s * mpmath.expj(-p * v) for p, s in zip(momenta, samples, strict=True))
            # rho(-v) and g^(-v) are the complex conjugates: half of the sum is enough.
            rows.append((hbar * v / 2, [2 * dv * value * (-1j * v) ** (2 * s + 1) for s in self.orders]))
            if len(rows) > 8 and abs(value) < SMALL * most:
                break

        def moments(x: Any) -> dict[int, Any]:
            found = [mp.zero] * len(self.orders)
            for half, weights in rows:
                element = rho.element(x + half, x - half)
                for k, weight in enumerate(weights):
                    found[k] += mpmath.re(weight * element)
            return dict(zip(self.orders, found, strict=True))

        return moments

    def _polynomial(self, rho: Density, g: sp.Expr, hbar: Any) -> Callable:
        """int g d_p^n W dp by derivatives of rho across the diagonal: p is i d/dv at v = 0."""
        derived = {s: sp.Poly((-1) ** (2 * s + 1) * sp.diff(g, self.p, 2 * s + 1), self.p) for s in self.orders}
        # rho varies across the diagonal over its shortest lump.
        unit = min(spot.length for spot in rho.spots) / hbar

        def moments(x: Any) -> dict[int, Any]:
            def across(v: Any) -> Any:
                return rho.element(x + hbar * unit * v / 2, x - hbar * unit * v / 2)

            degree = max((poly.degree() for poly in derived.values() if not poly.is_zero), default=0)
            series = mpmath.taylor(across, 0, degree)
            powers = [mpmath.mpc(0, 1) ** k * factorial(k) * series[k] / unit**k for k in range(degree + 1)]
            return {
                s: sum((numerical(c, {}) * powers[k] for (k,), c in poly.terms()), mp.zero)
                if not poly.is_zero
                else mp.zero
                for s, poly in derived.items()
            }

        return moments

    # -- sup -------------------------------------------------------------------------------------------------

    def sup(self, hbar: Any) -> dict[int, Any]:
        """The largest |T_s| over windows around the pieces of W."""
        windows = _windows(self.table.family, self.space, float(hbar), self.values)
        found = {}
        for s in self.orders:
            if self.derivatives[s] == 0:
                found[s] = mp.zero
                continue
            quick, precise = self._term(s)
            number = float(hbar)
            at = max((_searched(quick, number, window) for window in windows), key=lambda one: one[0])
            value = abs(precise(mpmath.mpf(at[1]), mpmath.mpf(at[2]), hbar))
            found[s] = self._prefactor(s) * hbar ** (2 * s) * value
        return found

    def _term(self, s: int) -> tuple[Callable, Callable]:
        """U^(n) d_p^n W as functions of arrays and of mpf."""
        if s not in self.compiled:
            if not self.compiled:
                self.slopes = [self._put(self.table.family.wigner(self.space))]
            while len(self.slopes) < 2 * s + 2:
                self.slopes.append(sp.diff(self.slopes[-1], self.r))
            term = self.derivatives[s] * self.slopes[2 * s + 1]
            arguments = (self.x, self.p, self.space.hbar)
            self.compiled[s] = tuple(sp.lambdify(arguments, term, module, cse=True) for module in ("numpy", "mpmath"))
        return self.compiled[s]


def _entire(function: sp.Expr, variable: sp.Symbol) -> bool:
    """Whether a function has no poles or branch points anywhere in the complex plane."""
    if not function.has(variable) or function == variable:
        return True
    if function.is_Pow and not isinstance(function, sp.exp):
        known = function.exp.is_Integer and function.exp.is_positive
    else:
        known = function.is_Add or function.is_Mul or isinstance(function, ENTIRE)
    return bool(known) and all(_entire(part, variable) for part in function.args)


def _rectangles(spots: Iterable[Spot], along: float) -> list[tuple[list, list, Any]]:
    """Trapezoidal nodes over the spots of |rho|^2, steps along q in widths; spots that touch share a rectangle."""
    boxes: list[list[Any]] = []
    for spot in spots:
        # |rho|^2 is narrower than rho by the square root of two; powers of y reach further.
        reach = REACH / mpmath.sqrt(2) + (mpmath.sqrt(2 * spot.quanta + 1) if spot.quanta else 0)
        half = [reach * w for w in (spot.width, spot.length)]
        box = [spot.middle - half[0], spot.middle + half[0], spot.apart - half[1], spot.apart + half[1],
               spot.width, spot.length]  # fmt: skip
        merged = True
        while merged:
            merged = False
            for other in boxes:
                if box[0] < other[1] and other[0] < box[1] and box[2] < other[3] and other[2] < box[3]:
                    boxes.remove(other)
                    box = [min(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), max(box[3], other[3]),
                           min(box[4], other[4]), min(box[5], other[5])]  # fmt: skip
                    merged = True
                    break
        boxes.append(box)
    found = []
    for x0, x1, y0, y1, wx, wy in boxes:
        nodes = []
        for low, high, w, share in ((x0, x1, wx, along), (y0, y1, wy, STEP)):
            number = int(mpmath.ceil((high - low) / (share * w / mpmath.sqrt(2)))) + 1
            step = (high - low) / number
            nodes.append(([low + k * step for k in range(number + 1)], step))
        found.append((nodes[0][0], nodes[1][0], nodes[0][1] * nodes[1][1]))
    return found


def _diagonal(spots: Iterable[Spot], along: float) -> list[tuple[list, Any]]:
    """Trapezoidal nodes along the diagonal, where rho(x, x) is."""
    intervals: list[list[Any]] = []
    for spot in sorted(spots, key=lambda one: one.middle):
        reach = (REACH + (mpmath.sqrt(2 * spot.quanta + 1) if spot.quanta else 0)) * spot.width
        low, high = spot.middle - reach, spot.middle + reach
        if intervals and low < intervals[-1][1]:
            intervals[-1][1] = max(high, intervals[-1][1])
            intervals[-1][2] = min(spot.width, intervals[-1][2])
        else:
            intervals.append([low, high, spot.width])
    found = []
    for low, high, width in intervals:
        number = int(mpmath.ceil((high - low) / (along * width))) + 1
        step = (high - low) / number
        found.append(([low + k * step for k in range(number + 1)], step))
    return found


def _extent(g: Callable) -> tuple[Any, Any] | None:
    """Where a decaying function is larger than SMALL times its maximum; None where it does not decay."""
    points = [mpmath.mpf(k) / 8 for k in range(-800, 801)]
    sizes = [abs(g(p)) for p in points]
    most = max(sizes)
    large = [p for p, size in zip(points, sizes, strict=True) if size > SMALL * most]
    return None if large[0] == points[0] or large[-1] == points[-1] else (large[0] - 1, large[-1] + 1)


def _windows(state: State, space: Any, hbar: float, values: Any) -> list[tuple[float, float, float, float]]:
    """(x from, to, p from, to) around every piece of W, and around a few fringes of a cat."""
    if isinstance(state, Mixture):
        return [w for part in state.states for w in _windows(part, space, hbar, values)]
    numbers = {**values, space.hbar: hbar}
    boxes = [tuple(float(numerical(v, numbers)) for v in piece) for piece in state.extent(space)]
    if isinstance(state, CatState):
        b, a = (float(numerical(v[0], numbers)) for v in (state.b, state.a))
        middle, w = (boxes[0][0] + boxes[1][0]) / 2, boxes[0][3]
        # Wave number 2 b hbar/(a w)^2; 2 b/hbar where nothing is smeared.
        boxes += [(middle, a, 0.0, w), (middle, a, 0.0, min(w, (a * w) ** 2 / (abs(b) * hbar) if b else w))]
    return [(x - 3 * a, x + 3 * a, p - 3 * w, p + 3 * w) for x, a, p, w in boxes]


def _searched(function: Callable, hbar: float, window: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """(largest |function|, x, p) on a grid that is refined around it."""
    number, best = SEARCH, (0.0, 0.0, 0.0)
    x0, x1, p0, p1 = window
    for _ in range(ROUNDS):
        x, p = np.linspace(x0, x1, number), np.linspace(p0, p1, number)
        with np.errstate(all="ignore"):
            sizes = np.abs(np.broadcast_to(function(x[:, None], p[None, :], hbar), (number, number)))
        i, k = np.unravel_index(int(np.nanargmax(sizes)), sizes.shape)
        best = (float(sizes[i, k]), float(x[i]), float(p[k]))
        dx, dp = x[1] - x[0], p[1] - p[0]
        x0, x1, p0, p1 = x[i] - dx, x[i] + dx, p[k] - dp, p[k] + dp
        number = ZOOM
    return best

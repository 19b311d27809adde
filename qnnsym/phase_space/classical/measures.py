"""The size of F(x) d_p^n W at small hbar, in L2, in the sup norm and against an observable: power and coefficient.

Every width tends to a power of hbar. Where a piece of W shrinks in x, F is replaced by its first derivative that does
not vanish at the centre; where its width is fixed, F is averaged in closed form. Cross terms between pieces whose
distance in widths diverges are smaller than every power of hbar and drop out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, factorial
from typing import Any

import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.classical.pieces import Piece, central_moment, laguerre_moment
from qnnsym.phase_space.classical.scaling import (
    NOTHING,
    Power,
    Series,
    add,
    gaussian_average,
    is_zero,
    leading,
    limit,
    lowest,
    power_series,
    product,
)

# So many derivatives are tried for the first that does not vanish.
DEEPEST = 24


@dataclass(frozen=True)
class Packet:
    """A piece of W seen along the axis q of F(q) and the axis r that is differentiated; one degree of freedom.

    Attributes:
        weight, suppression, level: as of a Piece.
        q, r: centres, complex where the packet is half of a fringe.
        a2, w2: squared widths along q and r.
    """

    weight: sp.Expr
    suppression: sp.Expr
    q: sp.Expr
    a2: sp.Expr
    r: sp.Expr
    w2: sp.Expr
    level: sp.Expr

    @classmethod
    def of(cls, piece: Piece, kinetic: bool) -> Packet:
        """x is the axis of U(x), p that of T(p)."""
        x, p = piece.x[0], piece.p[0] + sp.I * piece.mu[0]
        axes = (p, piece.w2[0], x, piece.a2[0]) if kinetic else (x, piece.a2[0], p, piece.w2[0])
        return cls(piece.weight, piece.suppression, *axes, piece.level[0])


@dataclass(frozen=True)
class Factor:
    """F near a centre: F = sum_j jet(q - centre)^j, or F itself over a width that stays.

    Attributes:
        function: expression in the variable.
        variable: q.
    """

    function: sp.Expr
    variable: sp.Symbol

    def vanishing(self, centre: Any) -> tuple[int, sp.Expr]:
        """(j, F^(j)/j!) of the first derivative that is not zero at a point."""
        derivative = self.function
        for j in range(DEEPEST):
            value = derivative.subs(self.variable, centre)
            if value.has(sp.nan, sp.zoo, sp.oo):
                raise InputError(
                    f"The derivatives of H are not finite at the centre {self.variable} = {centre} of the state."
                )
            if not is_zero(value):
                return j, value / factorial(j)
            derivative = sp.diff(derivative, self.variable)
        raise InputError(
            f"{self.function} and its first {DEEPEST} derivatives vanish at {self.variable} = {centre}: it is no "
            "analytic function there, and no exponent exists."
        )

    def mean_square(self, centre: sp.Expr, square: sp.Expr, hbar: sp.Symbol) -> Power:
        """The leading term of the average of F^2 over a Gaussian of the given centre and squared width."""
        width = leading(square, hbar)
        if width.exponent < 0:
            return self._wide(centre, square, hbar)
        at = _point(centre, hbar)
        if width.exponent == 0:
            value = gaussian_average(self.function**2, self.variable, at, width.coefficient)
            return Power(value, sp.Integer(0))
        j, slope = self.vanishing(at)
        offset = leading(centre - at, hbar)
        scale = min(offset.exponent, width.exponent / 2)
        d = offset.coefficient if offset.exponent == scale else sp.Integer(0)
        a2 = width.coefficient if width.exponent / 2 == scale else sp.Integer(0)
        mean = sp.Add(*(
            comb(2 * j, k) * d ** (2 * j - k) * central_moment(k) * a2 ** (k // 2) for k in range(0, 2 * j + 1, 2)
        ))  # fmt: skip
        return Power(slope**2 * mean, 2 * j * scale)

    def _wide(self, centre: sp.Expr, square: sp.Expr, hbar: sp.Symbol) -> Power:
        """A width that grows: closed forms only, whose exponentials die out."""
        size = sp.Dummy("A", positive=True)
        closed = gaussian_average(self.function**2, self.variable, centre, size)
        return leading(closed.subs(size, square), hbar)


def _point(centre: Any, hbar: sp.Symbol) -> sp.Expr:
    at = limit(centre, hbar)
    if at.has(sp.oo):
        raise InputError(f"The centre {centre} of the state runs away as {hbar} goes to zero; keep it finite.")
    return at


# -- L2 ------------------------------------------------------------------------------------------------------


def norm_squared(packets: Sequence[Packet], f: Factor, n: int, hbar: sp.Symbol) -> Power:
    """The leading term of iint (F d_r^n W)^2.

    By Parseval along r: int d^n g_j d^n g_k* dr = (2 pi V)^(-1/2) exp(-D^2/2V) E[theta^2n], theta normal with mean
    -i D/V and variance 1/V; D is the distance of the centres, V = (w_j^2 + w_k^2)/2.
    """
    t, u = (sp.Dummy(name, positive=True) for name in "tu")
    total: list[Power] = []
    for i, one in enumerate(packets):
        for k, other in enumerate(packets):
            found = _pair(_heated(one, t), _heated(other, u), f, n, hbar)
            coefficient = found.coefficient
            if coefficient != 0:
                levels = {t: int(packets[i].level), u: int(packets[k].level)}
                total.append(Power(_extracted(coefficient, levels), found.exponent))
    result = lowest(add(total))
    return Power(_tidy(result.coefficient), result.exponent)


def _heated(packet: Packet, t: sp.Symbol) -> Packet:
    """The generating function of Fock states: widths times (1 + t)/(1 - t), weight over 1 - t."""
    if packet.level == 0:
        return packet
    ratio = (1 + t) / (1 - t)
    return Packet(
        packet.weight / (1 - t), packet.suppression, packet.q, packet.a2 * ratio, packet.r, packet.w2 * ratio,
        packet.level,
    )  # fmt: skip


def _pair(one: Packet, other: Packet, f: Factor, n: int, hbar: sp.Symbol) -> Power:
    q2, r2 = _conjugate(other.q), _conjugate(other.r)
    s, v = one.a2 + other.a2, (one.w2 + other.w2) / 2
    gap, d = sp.expand(one.q - q2), sp.expand(one.r - r2)
    exponent = sp.together(-one.suppression - other.suppression - gap**2 / s - d**2 / (2 * v))
    # The widths of Fock states are heated by parameters t, u that are set to zero in the end.
    heat = {v: 0 for v in exponent.free_symbols if isinstance(v, sp.Dummy)}
    if _weight_of(exponent.subs(heat), hbar) == 0:
        return NOTHING
    share = _weight_of(exponent, hbar)
    mean = sp.together((one.q * other.a2 + q2 * one.a2) / s)
    square = f.mean_square(mean, sp.together(one.a2 * other.a2 / s), hbar)
    norms = [leading(w, hbar) for w in (one.weight, other.weight, 1 / s, 1 / v)]
    drift, variance = leading(-sp.I * d / v, hbar), norms[3]
    scale = min(drift.exponent, variance.exponent / 2)
    m = drift.coefficient if drift.exponent == scale else sp.Integer(0)
    var = variance.coefficient if variance.exponent / 2 == scale else sp.Integer(0)
    moment = sp.Add(*(
        comb(2 * n, k) * m ** (2 * n - k) * sp.factorial2(k - 1) * var ** (k // 2) for k in range(0, 2 * n + 1, 2)
    ))  # fmt: skip
    coefficient = (
        share * norms[0].coefficient * norms[1].coefficient * sp.sqrt(norms[2].coefficient / sp.pi)
        * sp.sqrt(norms[3].coefficient / (2 * sp.pi)) * square.coefficient * moment
    )  # fmt: skip
    powers = norms[0].exponent + norms[1].exponent + (norms[2].exponent + norms[3].exponent) / 2
    return Power(coefficient, powers + square.exponent + 2 * n * scale)


def _conjugate(centre: sp.Expr) -> sp.Expr:
    """Centres are real but for an explicit imaginary unit; symbols of widths may be declared anyhow."""
    return centre.xreplace({sp.I: -sp.I})


def _weight_of(exponent: sp.Expr, hbar: sp.Symbol) -> sp.Expr:
    """exp(exponent) at hbar -> 0; zero beyond every power."""
    at = limit(exponent, hbar)
    if at == sp.oo:
        raise InputError("A piece of the Wigner function grows faster than every power of hbar; no exponent exists.")
    return sp.Integer(0) if at == -sp.oo else sp.exp(at)


def _extracted(coefficient: sp.Expr, levels: dict[sp.Symbol, int]) -> sp.Expr:
    """The coefficient of t^n u^m."""
    present = {s: n for s, n in levels.items() if n or coefficient.has(s)}
    if not present:
        return coefficient
    coefficient = sp.powdenest(sp.factor(sp.powsimp(sp.together(coefficient))), force=True)
    rational = sp.cancel(coefficient) if not coefficient.has(sp.exp) else coefficient
    symbols = list(levels)
    if rational.is_rational_function(*symbols):
        numerator, denominator = (sp.Poly(part, *symbols) for part in sp.fraction(sp.together(rational)))
        return _quotient(dict(numerator.terms()), dict(denominator.terms()), tuple(levels.values()))
    for symbol, n in present.items():
        coefficient = sp.diff(coefficient, symbol, n).subs(symbol, 0) / factorial(n)
    return coefficient


def _quotient(numerator: dict, denominator: dict, wanted: tuple[int, int]) -> sp.Expr:
    """A Taylor coefficient of a quotient of polynomials in two variables."""
    first = denominator[0, 0]
    found: dict[tuple[int, int], sp.Expr] = {}
    for i in range(wanted[0] + 1):
        for k in range(wanted[1] + 1):
            value = numerator.get((i, k), sp.Integer(0))
            for (a, b), c in denominator.items():
                if (a or b) and a <= i and b <= k:
                    value -= c * found[i - a, k - b]
            found[i, k] = sp.cancel(value / first)
    return found[wanted]


def _tidy(coefficient: sp.Expr) -> sp.Expr:
    return sp.expand(coefficient) if coefficient.has(sp.I) else coefficient


# -- against an observable -----------------------------------------------------------------------------------


def functional(packets: Sequence[Packet], f: sp.Expr, q: sp.Symbol, r: sp.Symbol, hbar: sp.Symbol) -> Power:
    """The leading term of iint f(q, r) W.

    A Gaussian of centre X = X0 + dX and squared width A0 + e acts on f as sum_j E[(dX + sqrt(e) xi)^j]/j! times the
    average of f^(j) over the Gaussian (X0, A0), along both axes.

    Raises:
        InputError: when no term is found, or a width grows.
    """
    if is_zero(f):
        return NOTHING
    prepared = [p for packet in packets for p in [_Prepared.of(packet, hbar)] if p is not None]
    scale = min((e for p in prepared for e in (p.q_scale, p.r_scale)), default=sp.oo)
    averages: dict[tuple, sp.Expr] = {}
    terms = _separated(f, q, r)
    total: Series = {}
    for degree in range(DEEPEST):
        # Derivatives of this total degree, and all lower ones before.
        for packet in prepared:
            for i in range(degree + 1):
                series = product(packet.weights(i, degree - i), packet.weight)
                if series:
                    value = packet.average(terms, q, r, i, degree - i, averages)
                    if value != 0:
                        total = add(
                            [
                                *(Power(c, e) for e, c in total.items()),
                                *(Power(c * value, e) for e, c in series.items()),
                            ]
                        )
        found = lowest(total)
        if scale == sp.oo:
            return found
        lightest = min((min(p.weight, default=sp.oo) for p in prepared), default=sp.oo)
        if found.exponent < lightest + (degree + 1) * scale:
            return Power(_tidy(found.coefficient), found.exponent)
    raise InputError(
        f"The average of {f} over the state vanishes through the first {DEEPEST} orders; give another observable=."
    )


@dataclass(frozen=True)
class _Prepared:
    """A packet with its limits and what is left of them."""

    weight: Series
    at: tuple[sp.Expr, sp.Expr]
    base: tuple[sp.Expr, sp.Expr]
    offsets: tuple[Series, Series]
    spreads: tuple[Series, Series]
    level: int

    @classmethod
    def of(cls, packet: Packet, hbar: sp.Symbol) -> _Prepared | None:
        share = _weight_of(-sp.together(packet.suppression), hbar)
        if share == 0:
            return None
        at, base, offsets, spreads = [], [], [], []
        for centre, square in ((packet.q, packet.a2), (packet.r, packet.w2)):
            width = limit(square, hbar)
            if width == sp.oo:
                raise InputError(
                    f"A width of the state grows as {hbar} goes to zero (its square is {square}); the average against "
                    'an observable has no exponent then. Leave "weak" out of measures.'
                )
            if packet.level != 0 and width != 0:
                raise InputError("The widths of a Fock state have to shrink with hbar; leave its mass and omega fixed.")
            at.append(_point(centre, hbar))
            base.append(width)
            offsets.append(power_series(sp.expand(centre - at[-1]), hbar))
            spreads.append(power_series(square - width if square.has(hbar) else 0, hbar))
        weight = {e: c * share for e, c in power_series(packet.weight, hbar).items()}
        return cls(weight, tuple(at), tuple(base), tuple(offsets), tuple(spreads), int(packet.level))

    @property
    def q_scale(self) -> Any:
        return self._scale(0)

    @property
    def r_scale(self) -> Any:
        return self._scale(1)

    def _scale(self, axis: int) -> Any:
        return min(min(self.offsets[axis], default=sp.oo), min(self.spreads[axis], default=sp.oo) / 2)

    def weights(self, i: int, k: int) -> Series:
        """E[(dq)^i (dr)^k]/(i! k!)."""
        found: Series = {}
        for a in range(0, i + 1, 2):
            for b in range(0, k + 1, 2):
                number = (
                    comb(i, a) * comb(k, b) * central_moment(a) * central_moment(b)
                    * laguerre_moment(self.level, (a + b) // 2) / sp.Integer(factorial(i) * factorial(k))
                )  # fmt: skip
                term: Series = {sp.Integer(0): number}
                for series, power in (
                    (self.offsets[0], i - a), (self.spreads[0], a // 2),
                    (self.offsets[1], k - b), (self.spreads[1], b // 2),
                ):  # fmt: skip
                    for _ in range(power):
                        term = product(term, series)
                found = add([*(Power(c, e) for e, c in found.items()), *(Power(c, e) for e, c in term.items())])
        return found

    def average(self, f: list[Term], q: sp.Symbol, r: sp.Symbol, i: int, k: int, known: dict) -> sp.Expr:
        """The average of d_q^i d_r^k f over the Gaussian that the packet tends to."""
        if not any(isinstance(term, tuple) for term in f):
            key = (self.at, self.base, i, k)
            if key not in known:
                inner = gaussian_average(sp.diff(f[0], (q, i), (r, k)), q, self.at[0], self.base[0])
                known[key] = gaussian_average(inner, r, self.at[1], self.base[1])
            return known[key]
        total = sp.Integer(0)
        for term in f:
            value = sp.Integer(1)
            for axis, symbol, order in ((0, q, i), (1, r, k)):
                key = (term[axis], symbol, order, self.at[axis], self.base[axis])
                if key not in known:
                    derivative = sp.diff(term[axis], (symbol, order))
                    known[key] = gaussian_average(derivative, symbol, self.at[axis], self.base[axis])
                value *= known[key]
            total += value
        return total


Term = Any  # (function of q, function of r), or one function of both


def _separated(f: sp.Expr, q: sp.Symbol, r: sp.Symbol) -> list[Term]:
    """f as a sum of products u(q) v(r), or f itself."""
    # Denominators stay whole: multiplied out, they would take in the exponentials of both variables.
    masks = {
        power: sp.Dummy(positive=power.is_positive)
        for power in f.atoms(sp.Pow)
        if power.exp.is_negative and power.base.is_Add and len(power.free_symbols & {q, r}) == 1
    }
    back = {mask: power for power, mask in masks.items()}
    of_q, of_r = ({v, *(mask for power, mask in masks.items() if power.has(v))} for v in (q, r))
    found: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(sp.expand(f.xreplace(masks), power_base=False, log=False, trig=False)):
        constant, dependent = term.as_independent(*of_r, as_Add=False)
        if dependent.has(*of_q):
            return [f]
        found[constant] = found.get(constant, sp.Integer(0)) + dependent
    collected: dict[sp.Expr, sp.Expr] = {}
    for u, v in found.items():
        number, u = u.as_independent(*of_q, as_Add=False)
        collected[u] = collected.get(u, sp.Integer(0)) + number * v
    by_r: dict[sp.Expr, sp.Expr] = {}
    for u, v in collected.items():
        number, v = sp.factor_terms(v).as_independent(*of_r, as_Add=False)
        by_r[v] = by_r.get(v, sp.Integer(0)) + number * u
    return [(u.xreplace(back), v.xreplace(back)) for v, u in by_r.items()]

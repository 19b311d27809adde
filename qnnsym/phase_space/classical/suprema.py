"""The sup norm of F(q) d_r^n W at small hbar: power and coefficient.

Pieces of W that overlap are added up in the units of their widths; the largest of the groups that then lie apart is the
supremum. One Gaussian separates into a factor in q and one in r, whose maxima are roots of polynomials; fringes that
lie ever closer have the maximum of their envelope. What is left (a cat of fixed width, Fock states) is maximised
numerically with DIGITS digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.classical.measures import Factor, Packet, _point, _weight_of
from qnnsym.phase_space.classical.scaling import DIGITS, NOTHING, Power, is_zero, leading

XI, ETA = sp.Symbol("xi", real=True), sp.Symbol("eta", real=True)
# Where the maximum is looked for, in widths, and on how many points an axis.
REACH, POINTS = 5, 401
FAST = sp.oo
# A supremum that stays as it is until the ratio is formed: the same factor above and below cancels exactly.
HEIGHT = sp.Function("sup", positive=True)


def evaluated(value: sp.Expr) -> tuple[sp.Expr, bool]:
    """(the value with its remaining suprema as numbers, whether there were none)."""
    found = value.atoms(HEIGHT)
    return (value.xreplace({h: maximum(h.args[0]) for h in found}), False) if found else (value, True)


def _height(function: sp.Expr) -> sp.Expr:
    constant, rest = sp.factor_terms(function).as_independent(XI, ETA, as_Add=False)
    return sp.Abs(constant) * HEIGHT(-rest if rest.could_extract_minus_sign() else rest)


@dataclass(frozen=True)
class _Ripple:
    """A real piece of W: amplitude * exp(-(q-Q)^2/a^2 - (r-R)^2/w^2) * cos(kq (q-Q)) * cos(kr (r-R)), at small hbar.

    Attributes:
        amplitude: at the centre.
        q, r: centres.
        a, w: widths.
        kq, kr: wave numbers times widths; FAST where they grow.
        fringes: the wave number kr itself, a Power.
        level: of a Fock state.
    """

    amplitude: Power
    q: sp.Expr
    r: sp.Expr
    a: Power
    w: Power
    kq: sp.Expr
    kr: sp.Expr
    fringes: Power
    level: int


def supremum(packets: Sequence[Packet], f: Factor, n: int, hbar: sp.Symbol) -> Power:
    """The leading term of sup |F d_r^n W|; suprema without a closed form stand as HEIGHT(...) in the coefficient.

    Raises:
        InputError: where numbers are needed and symbols are given, or pieces of different widths compete.
    """
    groups = _groups(_ripples(packets, hbar), hbar)
    sizes = [(_size(group, f, n, hbar), group) for group in groups]
    sizes = [(size, group) for size, group in sizes if size.coefficient != 0]
    if not sizes:
        return NOTHING
    exponent = min(size.exponent for size, _ in sizes)
    first = [(size, group) for size, group in sizes if size.exponent == exponent]
    for i, (_, one) in enumerate(first):
        for _, other in first[:i]:
            if _concentric(one[0], other[0], hbar):
                raise InputError(
                    "Two pieces of the state with different widths lie on top of each other and are equally large in "
                    'the sup norm, which is not resolved; leave "sup" out of measures.'
                )
    return Power(_largest([size.coefficient for size, _ in first]), exponent)


def _largest(values: list[sp.Expr]) -> sp.Expr:
    if len(set(values)) == 1:
        return values[0]
    numbers = [evaluated(value)[0] for value in dict.fromkeys(values)]
    if all(number.is_number for number in numbers):
        sizes = [sp.N(number, DIGITS) for number in numbers]
        return list(dict.fromkeys(values))[sizes.index(max(sizes))]
    # Mirror images have the same size.
    different: list[sp.Expr] = []
    for value in dict.fromkeys(values):
        if not any(is_zero(value - other) for other in different):
            different.append(value)
    return different[0] if len(different) == 1 else sp.Max(*different)


def _ripples(packets: Sequence[Packet], hbar: sp.Symbol) -> list[_Ripple]:
    found = []
    for packet in packets:
        (q, shift_q), (r, shift_r) = (_parts(centre) for centre in (packet.q, packet.r))
        if shift_q.could_extract_minus_sign() or shift_r.could_extract_minus_sign():
            continue  # the conjugate of a piece that is counted twice
        # exp(-(r - R - i m)^2/w^2) = exp(m^2/w^2) exp(-(r-R)^2/w^2) exp(2 i m (r-R)/w^2)
        damping = sp.together(-packet.suppression + shift_q**2 / packet.a2 + shift_r**2 / packet.w2)
        share = _weight_of(damping, hbar)
        if share == 0:
            continue
        twice = 1 if shift_q == 0 == shift_r else 2
        weight, a2, w2 = (leading(v, hbar) for v in (packet.weight, packet.a2, packet.w2))
        a, w = (Power(sp.sqrt(v.coefficient), v.exponent / 2) for v in (a2, w2))
        amplitude = Power(
            twice * share * weight.coefficient / (sp.pi * a.coefficient * w.coefficient),
            weight.exponent - a.exponent - w.exponent,
        )
        kq, kr = (
            _per_width(sp.sqrt(sp.cancel(4 * shift**2 / square)), hbar) if shift != 0 else sp.Integer(0)
            for shift, square in ((shift_q, packet.a2), (shift_r, packet.w2))
        )
        fringes = leading(sp.cancel(2 * shift_r / packet.w2), hbar) if shift_r != 0 else NOTHING
        found.append(_Ripple(amplitude, q, r, a, w, kq, kr, fringes, int(packet.level)))
    return found


def _parts(centre: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    expanded = sp.expand(centre)
    imaginary = expanded.coeff(sp.I)
    return expanded - sp.I * imaginary, imaginary


def _per_width(k: sp.Expr, hbar: sp.Symbol) -> sp.Expr:
    square = leading(sp.expand(k**2), hbar)
    if square.coefficient == 0 or square.exponent > 0:
        return sp.Integer(0)
    return sp.sqrt(square.coefficient) if square.exponent == 0 else FAST


def _separation(one: _Ripple, other: _Ripple, hbar: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """Distances of the centres in widths of the first, at hbar -> 0."""
    found = []
    for gap, width in ((other.q - one.q, one.a), (other.r - one.r, one.w)):
        first = leading(sp.expand(gap), hbar)
        if first.coefficient == 0 or first.exponent > width.exponent:
            found.append(sp.Integer(0))
        elif first.exponent == width.exponent:
            found.append(first.coefficient / width.coefficient)
        else:
            found.append(sp.oo)
    return found[0], found[1]


def _groups(ripples: list[_Ripple], hbar: sp.Symbol) -> list[list[_Ripple]]:
    """Pieces that overlap and share their scales."""
    groups: list[list[_Ripple]] = []
    for ripple in ripples:
        together = [g for g in groups if any(_overlap(ripple, other, hbar) for other in g)]
        merged = [ripple, *(r for g in together for r in g)]
        groups = [*(g for g in groups if g not in together), merged]
    return groups


def _overlap(one: _Ripple, other: _Ripple, hbar: sp.Symbol) -> bool:
    scales = (one.a.exponent, one.w.exponent) == (other.a.exponent, other.w.exponent)
    # Fast fringes average out on what they lie upon, and are taken by their envelope.
    slow = FAST not in (one.kq, one.kr, other.kq, other.kr)
    return scales and slow and sp.oo not in _separation(one, other, hbar)


def _concentric(one: _Ripple, other: _Ripple, hbar: sp.Symbol) -> bool:
    return sp.oo not in _separation(one, other, hbar) or sp.oo not in _separation(other, one, hbar)


def _size(group: list[_Ripple], f: Factor, n: int, hbar: sp.Symbol) -> Power:
    """sup of one group."""
    least = min(r.amplitude.exponent for r in group)
    group = [r for r in group if r.amplitude.exponent == least]
    first = group[0]
    along, power, kind = _along_q(first, f, hbar)
    exponent = least + power
    if first.kr == FAST:
        k = first.fringes
        value = first.amplitude.coefficient * k.coefficient**n * _envelope(along, kind)
        return Power(value, exponent + n * k.exponent)
    exponent -= n * first.w.exponent
    places = [_separation(first, other, hbar) for other in group]
    ratios = [(r.a.coefficient / first.a.coefficient, r.w.coefficient / first.w.coefficient) for r in group]
    scale = first.w.coefficient ** (-n)
    calm = all(r.kr == 0 and r.level == 0 for r in group) and (len(group) == 1 or all(r.kq != FAST for r in group))
    if calm and all(is_zero(place[1]) and is_zero(ratio[1] - 1) for place, ratio in zip(places, ratios, strict=True)):
        # One factor in r for all of them.
        factor = scale * hermite_maximum(n)
        if all(
            is_zero(place[0]) and is_zero(ratio[0] - 1) for place, ratio in zip(places, ratios, strict=True)
        ) and all(r.kq in (0, FAST) for r in group):
            amplitude = sp.Add(*(r.amplitude.coefficient for r in group))
            return Power(amplitude * factor * _envelope(along, kind), exponent)
        profile = sp.Add(*(_profile(r, p, ratio) for r, p, ratio in zip(group, places, ratios, strict=True)))
        return Power(factor * _height(along * profile.subs(ETA, 0)), exponent)
    if any(r.kq == FAST for r in group):
        along_fringe = [r for r in group if r.kq == FAST]
        raise InputError(f"Fringes along q with {along_fringe[0].level} quanta are not resolved in the sup norm.")
    profile = sp.Add(*(_profile(r, place, ratio) for r, place, ratio in zip(group, places, ratios, strict=True)))
    return Power(scale * _height(along * sp.diff(profile, ETA, n)), exponent)


def _profile(ripple: _Ripple, place: tuple, ratio: tuple) -> sp.Expr:
    """The piece in the units of the first of its group."""
    xi, eta = (XI - place[0]) / ratio[0], (ETA - place[1]) / ratio[1]
    waves = sp.cos(ripple.kq * xi) * sp.cos(ripple.kr * eta)
    quanta = (-1) ** ripple.level * sp.laguerre(ripple.level, 2 * (xi**2 + eta**2))
    return ripple.amplitude.coefficient * waves * quanta * sp.exp(-(xi**2) - eta**2)


def _along_q(ripple: _Ripple, f: Factor, hbar: sp.Symbol) -> tuple[sp.Expr, Any, str]:
    """(F in units of the width, its power of hbar, "narrow" or "fixed")."""
    at = _point(ripple.q, hbar)
    if ripple.a.exponent < 0:
        raise InputError(
            f'A width of the state grows as {hbar} goes to zero; the sup norm is not resolved there. Leave "sup" out.'
        )
    if ripple.a.exponent == 0:
        return f.function.subs(f.variable, at + ripple.a.coefficient * XI), sp.Integer(0), "fixed"
    j, slope = f.vanishing(at)
    offset = leading(sp.expand(ripple.q - at), hbar)
    scale = min(offset.exponent, ripple.a.exponent)
    d = offset.coefficient if offset.exponent == scale else sp.Integer(0)
    a = ripple.a.coefficient if ripple.a.exponent == scale else sp.Integer(0)
    return slope * (d + a * XI) ** j, j * scale, "narrow"


def _envelope(along: sp.Expr, kind: str) -> sp.Expr:
    """sup |F(xi)| exp(-xi^2), exact for polynomials F."""
    if not along.has(XI):
        return sp.Abs(along)
    if along.is_polynomial(XI):
        polynomial = sp.Poly(along, XI)
        stationary = sp.Poly(sp.diff(along, XI) - 2 * XI * along, XI)
        roots: list[Any] = []
        if len(polynomial.terms()) == 1 and kind == "narrow":
            roots = [sp.sqrt(sp.Rational(polynomial.degree(), 2))]
        elif all(c.is_Rational for c in stationary.all_coeffs()):
            roots = stationary.real_roots()
        elif stationary.degree() <= 2:
            roots = sp.solve(stationary.as_expr(), XI)
        if roots:
            heights = [sp.Abs(sp.simplify(along.subs(XI, root))) * sp.exp(-(root**2)) for root in dict.fromkeys(roots)]
            return _largest(heights)
    return _height(along * sp.exp(-(XI**2)))


def hermite_maximum(n: int) -> sp.Expr:
    """sup |d^n/du^n exp(-u^2)|, exact: |H_n(u)| exp(-u^2) at the root of H_(n+1) next to zero.

    The maxima fall with the distance from the origin, because exp(-u^2) falls faster than their heights would grow.
    """
    u = sp.Dummy("u")
    if n % 2 == 0:
        return sp.Abs(sp.hermite(n, 0))
    square = sp.Dummy("v")
    # H_(n+1) is even: a polynomial in u^2 of half the degree.
    even = sp.Poly(sp.hermite(n + 1, u), u)
    halved = sp.Poly({(k // 2,): c for (k,), c in even.terms()}, square)
    roots = [halved.real_roots()[0]] if halved.degree() > 2 else [min(sp.solve(halved.as_expr(), square), key=sp.N)]
    nearest = roots[0]
    return (
        sp.Abs(sp.hermite(n, u)).subs(u, sp.sqrt(nearest)) * sp.exp(-nearest)
        if halved.degree() > 2
        else (sp.sqrt(sp.simplify(sp.expand(sp.hermite(n, u) ** 2).subs(u, sp.sqrt(nearest)))) * sp.exp(-nearest))
    )


@lru_cache(maxsize=256)
def maximum(function: sp.Expr) -> sp.Expr:
    """sup |function| over XI and ETA, numerically with DIGITS digits.

    Raises:
        InputError: for symbols without numbers.
    """
    symbols = [s for s in (XI, ETA) if function.has(s)]
    unknown = sorted(function.free_symbols - set(symbols), key=str)
    if unknown:
        raise InputError(
            f"The sup norm has no closed form here, and no number is known for {', '.join(map(str, unknown))}; "
            'declare them with space.parameters(name=number), put numbers in, or leave "sup" out of measures.'
        )
    axis = np.linspace(-REACH, REACH, POINTS)
    grid = np.meshgrid(*[axis] * len(symbols), indexing="ij")
    values = np.abs(np.broadcast_to(sp.lambdify(symbols, sp.N(function, 17), "numpy")(*grid), grid[0].shape))
    best = np.unravel_index(int(np.argmax(values)), values.shape)
    start = [float(g[best]) for g in grid]
    gradient = [sp.diff(function, s) for s in symbols]
    with mpmath.workdps(DIGITS + 10):
        slopes = sp.lambdify(symbols, gradient, "mpmath")
        height = sp.lambdify(symbols, function, "mpmath")
        try:
            at = mpmath.findroot(lambda *z: slopes(*z), start, tol=mpmath.mpf(10) ** (-2 * DIGITS), maxsteps=60)
        except (ValueError, ZeroDivisionError) as error:
            raise InputError(f"The maximum of {function} was not found ({error}).") from None
        at = list(at)
        found = abs(height(*at))
        if not (
            max(abs(a - b) for a, b in zip(at, start, strict=True)) < 3 * 2 * REACH / POINTS and found >= values[best]
        ):
            raise InputError(f"The maximum of {function} was not found.")
        return sp.Float(mpmath.nstr(found, DIGITS + 5), DIGITS)

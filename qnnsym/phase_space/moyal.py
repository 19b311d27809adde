"""The star product and the Moyal bracket.

    f * g = f exp[(i hbar/2)(<-d_x ->d_p - <-d_p ->d_x)] g,      {{f, g}} = (f*g - g*f)/(i hbar)

Four ways lead to a result, and all sum the same series: ring elements (exact, fast), plain SymPy derivatives
where an undefined function keeps the ring from closing, and shifted arguments where one operand is a sum of
polynomials times exponentials (or sines, cosines) of linear forms, for which the infinite series sums to a
translation; Gaussian integration (`gaussians`) serves where both are polynomials times Gaussians. A bracket that
none of them closes is returned as an integral (`integral_form`), with a warning that says why.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import factorial, inf
from numbers import Integral
from typing import Any

import sympy as sp
from flint import fmpq

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.gaussians import GaussianTerm, exponent_of, gaussian_terms, masked_parameters, star_gaussians
from qnnsym.phase_space.ring import Element, NotClosed, Ring, element
from qnnsym.phase_space.space import PhaseSpace

Operand = Any  # SymPy expression or ring Element


def star(f: Operand, g: Operand, space: PhaseSpace, order: int | str | None = None) -> Any:
    """The star product f * g.

    Arguments:
        f, g: SymPy expressions or ring elements (`space.polynomial`); symbols not of the space are
            parameters.
        space: the phase space.
        order: the highest power of hbar kept, None or "exact" for the exact product. Where f and g are polynomials in
            hbar, all powers are counted, theirs and those of the series; where hbar occurs otherwise
            (exp(-p**2/hbar)) a power cannot be read off, and only those of the series are counted.

    Returns:
        A SymPy expression; a ring element if f or g is one (and the other can become one).

    Raises:
        InputError: when order is None and no closed form is found, saying what to do.

    Source: H. J. Groenewold, Physica 12, 405 (1946); J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949).
    """
    return _product(f, g, space, order, bracket=False)


def moyal_bracket(f: Operand, g: Operand, space: PhaseSpace, order: int | str | None = None) -> Any:
    """The Moyal bracket {{f, g}} = (f*g - g*f)/(i hbar), the Poisson bracket at hbar -> 0.

    Arguments, Returns and Raises: as for `star`; the series has even powers of hbar only. For order=None and terms
    p^j g(x), x^j g(p) without a closed form (kinetic plus potential energy on an undefined W), the integral form is
    returned with a SeriesWarning that says whether the series converges.

    Source: J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949):
        {{f, g}} = sum_s (-1)^s (hbar/2)^{2s} sum_{|a|+|b|=2s+1} (-1)^{|b|}/(a! b!)
        (d_x^a d_p^b f)(d_p^a d_x^b g).
    """
    return _product(f, g, space, order, bracket=True)


def _product(f: Operand, g: Operand, space: PhaseSpace, order: int | str | None, bracket: bool) -> Any:
    order = check_order(order)
    wants_element = isinstance(f, Element) or isinstance(g, Element)
    try:
        left, right = _elements(f, g, space)
    except NotClosed:
        left_expr, right_expr = as_function(f), as_function(g)
        top = _top_order_of_expressions(left_expr, right_expr, space)
        if order is None and top == inf:
            return _closed_form(left_expr, right_expr, space, bracket)
        return _sympy_series(left_expr, right_expr, space, order, top, bracket)
    top = _top_order(left, right, space)
    if order is None and top == inf:
        closed = _closed_form(left.as_expr(), right.as_expr(), space, bracket)
        return space.polynomial(closed) if wants_element else closed
    result = _ring_series(left, right, space, order, top, bracket)
    return result if wants_element else result.as_expr()


def check_order(order: Any) -> int | None:
    """A non-negative integer, or None for all orders, which may also be written "exact"."""
    if order is None or (isinstance(order, str) and order == "exact"):
        return None
    if isinstance(order, (Integral, sp.Integer)) and not isinstance(order, bool) and order >= 0:
        return int(order)
    raise InputError(
        f"order is {order!r}; give the highest power of hbar to be kept (0, 2, 4, ...), or None or \"exact\" for all "
        "of them."
    )


def as_function(f: Operand) -> sp.Expr:
    """An operand as a SymPy expression with exact numbers.

    Raises:
        InputError: for what is no expression, or one that is undefined or infinite.
    """
    if isinstance(f, Element):
        return f.as_expr()
    try:
        expression = sp.sympify(f, strict=True)
    except sp.SympifyError:
        expression = None
    if not isinstance(expression, sp.Expr):
        raise InputError(
            f"{f!r} is not a function on phase space; give a SymPy expression or space.polynomial(...)."
        )
    if is_undefined(expression):
        raise InputError(f"{f} is undefined or infinite; give a function that has values on phase space.")
    return exact_decimals(expression)


def is_undefined(expression: sp.Basic) -> bool:
    """Whether nan or an infinity occurs; bounds of integrals, sums and limits may be infinite."""
    if not expression.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        return False
    if expression in (sp.nan, sp.zoo, sp.oo, -sp.oo):
        return True
    bounded = isinstance(expression, (sp.Integral, sp.Sum, sp.Product, sp.Limit))
    return any(map(is_undefined, expression.args[:1] if bounded else expression.args))


def _elements(f: Operand, g: Operand, space: PhaseSpace) -> tuple[Element, Element]:
    """Both operands in one ring."""
    for operand in (f, g):
        if isinstance(operand, Element) and operand.ring.variables != space.variables:
            raise InputError(
                f"An operand was made for the variables {operand.ring.variables}, not for those of "
                f"{space!r}; "
                "make it with this space's polynomial()."
            )
    if isinstance(f, Element) and isinstance(g, Element):
        ring = f.ring.union(g.ring)
        return ring.embed(f), ring.embed(g)
    if isinstance(f, Element) or isinstance(g, Element):
        known, expression = (f, as_function(g)) if isinstance(f, Element) else (g, as_function(f))
        other = element(expression, space)
        ring = known.ring.union(other.ring)
        pair = ring.embed(known), ring.embed(other)
        return pair if isinstance(f, Element) else (pair[1], pair[0])
    left, right = as_function(f), as_function(g)
    ring = Ring.of((left, right), space)
    return ring.element(left), ring.element(right)


def _top_order(f: Element, g: Element, space: PhaseSpace) -> float:
    """A bound on the order at which the series ends; infinity when it does not."""
    total = 0.0
    for x, p in zip(space.x, space.p, strict=True):
        total += min(f.degree(x), g.degree(p)) + min(f.degree(p), g.degree(x))
    return min(total, f.total_degree(space.variables), g.total_degree(space.variables))


# -- the series on ring elements -----------------------------------------------------------------------------


def _ring_series(
    f: Element, g: Element, space: PhaseSpace, order: int | None, top: float, bracket: bool
) -> Element:
    """Sum the series level by level; a pair of derivatives that vanishes ends its branch."""
    ring = f.ring
    symbols = space.variables
    partners = space.p + space.x  # a derivative of f along x goes with one of g along p, and conversely
    n, width = space.dimension, 2 * space.dimension
    last = top if order is None else min(top, order + 1 if bracket else order)
    if bracket and last % 2 == 0:
        last -= 1
    hbar = ring.gens[ring.hbar_index]
    unit = ring.gens[ring.unit_index]
    total = ring.context.constant(0)
    differentiate = ring.differentiate
    # multi-index (x part, p part of the derivatives of f), entries of f (divided by the factorials) and g,
    # and the first position that may still grow: every multi-index is reached along one path only.
    level: list[tuple[tuple[int, ...], Any, Any, int]] = [((0,) * width, f.poly, g.poly, 0)]
    k = 0
    while level and k <= last:
        if not bracket or k % 2:
            part = ring.context.constant(0)
            for alpha, df, dg, _ in level:
                term = df * dg
                part = part - term if sum(alpha[n:]) % 2 else part + term
            if bracket:
                s = k // 2
                total = total + part * (hbar ** (2 * s) * fmpq((-1) ** s, 4**s))
            else:
                weight = fmpq((-1) ** (k // 2), 2**k)
                total = total + part * (hbar**k * weight if k % 2 == 0 else hbar**k * unit * weight)
        if k == last:
            break
        below: list[tuple[tuple[int, ...], Any, Any, int]] = []
        for alpha, df, dg, start in level:
            for j in range(start, width):
                next_f = differentiate(df, symbols[j])
                if next_f.is_zero():
                    continue
                next_g = differentiate(dg, partners[j])
                if next_g.is_zero():
                    continue
                if alpha[j]:
                    next_f = next_f * fmpq(1, alpha[j] + 1)
                below.append(((*alpha[:j], alpha[j] + 1, *alpha[j + 1:]), next_f, next_g, j))
        level, k = below, k + 1
    if order is not None and not (f.irregular_in(ring.hbar) or g.irregular_in(ring.hbar)):
        total = divmod(total, hbar ** (order + 1))[1]
    return Element(ring, total)


# -- the series by SymPy's own derivatives -------------------------------------------------------------------


def multi_indices(width: int, total: int) -> Iterator[tuple[int, ...]]:
    """All tuples of `width` non-negative integers with the given sum, first entries descending."""
    if width == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in multi_indices(width - 1, total - first):
            yield (first, *rest)


def _degree(f: sp.Expr, symbol: Any) -> float:
    if symbol not in f.free_symbols:
        return 0
    return float(sp.degree(f, symbol)) if f.is_polynomial(symbol) else inf


def _top_order_of_expressions(f: sp.Expr, g: sp.Expr, space: PhaseSpace) -> float:
    return sum(
        min(_degree(f, x), _degree(g, p)) + min(_degree(f, p), _degree(g, x))
        for x, p in zip(space.x, space.p, strict=True)
    )


def _sympy_series(
    f: sp.Expr, g: sp.Expr, space: PhaseSpace, order: int | None, top: float, bracket: bool
) -> sp.Expr:
    n: int = space.dimension
    hbar: Any = space.hbar
    polynomial = f.is_polynomial(hbar) and g.is_polynomial(hbar)
    last = int(top if order is None else min(top, order + 1 if bracket else order))
    found: dict[tuple[bool, tuple[int, ...]], sp.Expr] = {}

    def derivative(left: bool, alpha: tuple[int, ...]) -> sp.Expr:
        key = (left, alpha)
        if key not in found:
            j = next((i for i in range(2 * n - 1, -1, -1) if alpha[i]), None)
            if j is None:
                found[key] = f if left else g
            else:
                inner = derivative(left, (*alpha[:j], alpha[j] - 1, *alpha[j + 1:]))
                found[key] = sp.diff(inner, space.variables[j]) if inner != 0 else inner
        return found[key]

    terms = []
    for k in range(1 if bracket else 0, last + 1, 2 if bracket else 1):
        if bracket:
            weight = (-1) ** (k // 2) * (hbar / 2) ** (k - 1)
        else:
            weight = (sp.I * hbar / 2) ** k
        for alpha in multi_indices(2 * n, k):
            a, b = alpha[:n], alpha[n:]
            df = derivative(True, alpha)
            if df != 0:
                dg = derivative(False, b + a)
                weights = sp.Rational((-1) ** sum(b), sp.prod([factorial(i) for i in alpha]))
                terms.append(weight * weights * df * dg)
    total = sp.Add(*terms)
    if order is not None and polynomial and (f.has(hbar) or g.has(hbar)):
        parts: Any = sp.collect(sp.expand(total), hbar, evaluate=False)
        total = sp.Add(*(power * c for power, c in parts.items() if sp.degree(power, hbar) <= order))
    return total


# -- closed forms --------------------------------------------------------------------------------------------


def _closed_form(f: sp.Expr, g: sp.Expr, space: PhaseSpace, bracket: bool) -> sp.Expr:
    """Waves translate what they are multiplied with, and Gaussians compose; other products are refused.

    exp(L) * g is a translation of g for linear L: (P e^L) * g = e^L (P * g~) with
    g~(x, p) = g(x - (i hbar/2) dL/dp, p + (i hbar/2) dL/dx), and g * (P e^L) with the opposite translation.
    """
    left_terms, right_terms = gaussian_terms(f, space.variables), gaussian_terms(g, space.variables)
    for left, terms, other in ((True, left_terms, g), (False, right_terms, f)):
        if terms is None or not all(term.flat for term in terms):
            continue
        waves = [(term.polynomial, exponent_of(term, space.variables)) for term in terms]
        result = sp.Add(*(_translated(wave, other, space, left) for wave in waves))
        if bracket:
            reverse = sp.Add(*(_translated(wave, other, space, not left) for wave in waves))
            result = (
                (result - reverse) / (sp.I * space.hbar)
                if left
                else -(reverse - result) / (sp.I * space.hbar)
            )
        return _presented(result, space)
    if left_terms is not None and right_terms is not None:
        result = _gaussian_product(left_terms, right_terms, space)
        if bracket:
            reverse = _gaussian_product(right_terms, left_terms, space)
            result = sp.expand((result - reverse) / (sp.I * space.hbar), power_exp=False)
        return real_gaussians(result, space)
    if bracket:
        integral = _integral_form(f, g, space)
        if integral is not None:
            return integral
    raise InputError(
        f"No closed form was found for the {'Moyal bracket' if bracket else 'star product'} of {_short(f)} "
        f"and {_short(g)}: "
        "the series in hbar does not end, and they are not sums of polynomials times exponentials, sines or cosines "
        "of linear forms (one of them) or of Gaussians (both). Give order=2 (or another power of hbar) for a truncated "
        "result, or take the integral form, star_integral(f, g, space)."
    )


def _integral_form(f: sp.Expr, g: sp.Expr, space: PhaseSpace) -> sp.Expr | None:
    """The bracket as an integral, where one operand has terms p^j g(x) and x^j g(p) only; says so by a warning."""
    from qnnsym.phase_space import integral_form

    for sign, first, second in ((1, f, g), (-1, g, f)):
        try:
            integral = integral_form.bracket_integral(first, second, space)
        except InputError:
            continue
        verdict = integral_form.series_verdict(first, space)
        warnings.warn(
            f"The Moyal series does not end and has no closed form. {verdict.sentence} The bracket is returned in its "
            "integral form; give order=2 (or another power of hbar) for the series cut there.",
            integral_form.SeriesWarning,
            stacklevel=5,
        )
        return sign * integral
    return None


def _gaussian_product(left: list[GaussianTerm], right: list[GaussianTerm], space: PhaseSpace) -> sp.Expr:
    """Pair by pair; where one factor is a polynomial the series ends and is quicker than the integral."""
    variables = space.variables
    parts = []
    for f in left:
        for g in right:
            plain = any(term.flat and term.linear.is_zero_matrix for term in (f, g))
            if plain:
                f_expr, g_expr = (t.polynomial * sp.exp(exponent_of(t, variables)) for t in (f, g))
                parts.append(_product(f_expr, g_expr, space, None, bracket=False))
            else:
                parts.append(star_gaussians([f], [g], space))
    return sp.Add(*parts)


def real_gaussians(result: sp.Expr, space: PhaseSpace) -> sp.Expr:
    """Conjugate pairs of exponentials as cosines, where that leaves no imaginary unit; exponents stay whole."""
    if not result.has(sp.I) or not _real_somewhere(result):
        return result
    replaced: dict[Any, Any] = {}
    for e in result.atoms(sp.exp):
        if e.args[0].has(sp.I):
            real, imaginary = sp.expand(e.args[0]).as_real_imag()
            replaced[e] = sp.exp(real) * (sp.cos(imaginary) + sp.I * sp.sin(imaginary))
    masks: dict[Any, Any] = {}
    masked = masked_parameters(result.xreplace(replaced), space.variables, masks)
    trigonometric = sp.expand(masked, power_exp=False).xreplace({mask: e for e, mask in masks.items()})
    if trigonometric.has(sp.I):
        trigonometric = sp.expand(trigonometric, power_exp=False)
    return result if trigonometric.has(sp.I) else trigonometric


def _real_somewhere(result: sp.Expr) -> bool:
    """Whether a value at one point is real: where it is not, there is nothing to write with cosines."""
    symbols = sorted(result.free_symbols, key=str)
    point = {s: sp.Rational(2 * i + 7, 3 * i + 11) for i, s in enumerate(symbols)}
    value = result.xreplace(point).evalf(20)
    return not value.is_number or abs(sp.im(value)) < sp.Float(10) ** -12 * (1 + abs(value))


def _presented(result: sp.Expr, space: PhaseSpace) -> sp.Expr:
    """Real where it is, and in the ring's canonical form where it has one."""
    result = real_form(result)
    try:
        return element(result, space).as_expr()
    except NotClosed:
        return result


def _translated(wave: tuple[sp.Expr, sp.Expr], g: sp.Expr, space: PhaseSpace, left: bool) -> sp.Expr:
    polynomial, exponent = wave
    sign = 1 if left else -1
    half = sp.I * space.hbar / 2 * sign
    shifts: Any = {x: x - half * sp.diff(exponent, p) for x, p in zip(space.x, space.p, strict=True)}
    shifts |= {p: p + half * sp.diff(exponent, x) for x, p in zip(space.x, space.p, strict=True)}
    moved = g.xreplace(shifts) if not g.has(sp.Derivative) else g.subs(shifts, simultaneous=True)
    pair = (polynomial, moved) if left else (moved, polynomial)
    return sp.exp(exponent) * _product(*pair, space, None, bracket=False)


def real_form(expression: sp.Expr) -> sp.Expr:
    """Conjugate exponentials back to real functions where that leaves no imaginary unit behind."""
    expanded = sp.expand(expression)
    if not expanded.has(sp.I):
        return expanded
    pairs = {e for e in expanded.atoms(sp.exp) if e.args[0].has(sp.I)}
    replaced = {}
    for e in pairs:
        real, imaginary = sp.expand(e.args[0]).as_real_imag()
        replaced[e] = sp.exp(real) * (sp.cos(imaginary) + sp.I * sp.sin(imaginary))
    trigonometric = sp.expand(expanded.xreplace(replaced)) if replaced else expanded
    return expanded if trigonometric.has(sp.I) else trigonometric


def _short(f: sp.Expr) -> str:
    text = str(f)
    return text if len(text) <= 60 else text[:57] + "..."

"""Symbols in closed form: the parity, |n><m|, exponentials of quadratic forms; and delta functions put in order."""

from __future__ import annotations

from typing import Any

import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.weyl.operators import KetBra


def parity_symbol(space: PhaseSpace) -> Any:
    """(h/2)^n delta(x) delta(p) over all degrees of freedom."""
    return (sp.pi * space.hbar) ** space.dimension * sp.Mul(*(sp.DiracDelta(v) for v in space.variables))


def ket_bra_symbol(operator: KetBra, space: PhaseSpace) -> Any:
    """The symbol of |n><m|: 2 (-1)^m sqrt(m!/n!) (2 conj(alpha))^{n-m} L_m^{n-m}(4|alpha|^2) exp(-2|alpha|^2), n >= m.

    alpha = (m omega x + i p)/sqrt(2 m omega hbar); for n < m the complex conjugate of the symbol of |m><n|.

    Source: H. J. Groenewold, Physica 12, 405 (1946); M. S. Bartlett and J. E. Moyal, Proc. Camb. Phil. Soc. 45, 545
        (1949).
    """
    factors = []
    for n, m, s, x, p in zip(operator.n, operator.m, operator.stiffness, space.x, space.p, strict=True):
        low, gap = min(n, m), abs(n - m)
        alpha = (s * x + (sp.I if n < m else -sp.I) * p) / sp.sqrt(2 * s * space.hbar)
        square = sp.expand((s * x**2 + p**2 / s) / (2 * space.hbar))
        weight = 2 * (-1) ** low * sp.sqrt(sp.Rational(sp.factorial(low), sp.factorial(low + gap)))
        laguerre = sp.expand(sp.assoc_laguerre(low, gap, 4 * square))
        factors.append(weight * sp.expand((2 * alpha) ** gap * laguerre) * sp.exp(-2 * square))
    return sp.Mul(*factors)


def deltas_reduced(expression: Any, space: PhaseSpace) -> Any:
    """x^k delta^(n)(x - a) by derivatives of delta alone, so that every coefficient is free of the variable."""
    terms = []
    for term in sp.Add.make_args(sp.expand(expression, power_exp=False)):
        pending = [term]
        for v in space.variables:
            pending = [piece for t in pending for piece in _delta_taken(t, v)]
        terms += pending
    return sp.Add(*terms)


def _delta_taken(term: Any, v: Any) -> list[Any]:
    """f(v) delta^(n)(v - a) = sum_k (-1)^k C(n, k) f^(k)(a) delta^(n-k)(v - a)."""
    delta = next((d for d in term.atoms(sp.DiracDelta) if d.has(v)), None)
    if delta is None:
        return [term]
    order = int(delta.args[1]) if len(delta.args) > 1 else 0
    slope = sp.diff(delta.args[0], v)
    if not slope.is_Rational:
        return [term]
    scale = sp.Abs(slope) * slope**order
    centre = sp.expand(v - delta.args[0] / slope)
    rest = term / delta / scale
    pieces = []
    for k in range(order + 1):
        value = sp.diff(rest, v, k).subs(v, centre)
        shifted = sp.DiracDelta(v - centre, order - k) if order > k else sp.DiracDelta(v - centre)
        pieces.append((-1) ** k * sp.binomial(order, k) * value * shifted)
    return [piece for piece in pieces if piece != 0]


def exponential_symbol(form: Any, x: Any, p: Any, hbar: Any, expression: Any) -> Any:
    """The symbol of exp(Q), Q the Weyl quantisation of a quadratic form: (1/cosh u) exp(Q tanh(u)/u + ...).

    Source: solution of d/dt E = Q * E for a Gaussian E (F. Bayen et al., Ann. Phys. 111, 111 (1978)); the linear
        terms are those of Q completed to a square, written so that they survive a vanishing determinant.
    """
    poly = sp.Poly(form, x, p)
    a, b, c = 2 * poly.coeff_monomial(x**2), poly.coeff_monomial(x * p), 2 * poly.coeff_monomial(p**2)
    lx, lp = poly.coeff_monomial(x), poly.coeff_monomial(p)
    d = sp.factor(a * c - b**2)
    linear = lx**2 * c - 2 * lx * lp * b + lp**2 * a
    if d == 0:
        return sp.exp(form - sp.expand(hbar**2 * linear / 24))
    u = sp.simplify(hbar * _root(d) / 2)
    cosh = sp.cosh(u)
    if cosh.equals(0):
        raise InputError(
            f"{expression} is singular: a turn by half a period, whose symbol is a delta function. Write it with "
            "space.parity()."
        )
    slope = sp.tanh(u) / u
    if slope.has(sp.I):
        slope = sp.simplify(slope)
    return sp.exp(slope * form + sp.expand(linear) * (slope - 1) / (2 * d)) / cosh


def _root(d: Any) -> Any:
    """A square root of d of either sign, without the absolute values of squares: only even functions of it are used."""
    return sp.Mul(*(b ** (e / 2) if e.is_even else sp.sqrt(b**e) for b, e in d.as_powers_dict().items()))

"""Wigner functions of sums of polynomials times Gaussians, by exact Gaussian integration."""

from __future__ import annotations

from math import comb
from typing import Any, NamedTuple

import sympy as sp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.moyal import real_form
from qnnsym.phase_space.space import PhaseSpace


class _Piece(NamedTuple):
    """polynomial * exp(quadratic)."""

    polynomial: sp.Expr
    exponent: sp.Expr


def wigner_function(psi: Any, space: PhaseSpace) -> sp.Expr:
    """The Wigner function of a pure state, W = (1/h) int e^{-ipy/hbar} psi(x + y/2) psi*(x - y/2) dy.

    Arguments:
        psi: SymPy expression in x (and hbar, parameters): a sum of polynomials times exponentials of
            quadratic forms whose real part decays (Fock, coherent, squeezed, cat states); it need not be
            normalised. Parameters without assumptions count as complex.
        space: a phase space of one degree of freedom.

    Returns:
        W as an expression in x, p, hbar with iint W = 1.

    Raises:
        InputError: for other wave functions or more degrees of freedom.

    Source: E. Wigner, Phys. Rev. 40, 749 (1932); W. B. Case, Am. J. Phys. 76, 937 (2008).
    """
    if space.dimension != 1:
        raise InputError(
            f"wigner_function integrates over one coordinate and {space!r} has {space.dimension}; multiply "
            f"the Wigner "
            "functions of the factors, or give the state numerically."
        )
    (x,), (p,), hbar = space.x, space.p, space.hbar
    try:
        expression = sp.sympify(psi, strict=True)
    except sp.SympifyError:
        expression = None
    if not isinstance(expression, sp.Expr) or not expression.is_commutative:
        raise InputError(f"The wave function is {psi!r}; give a SymPy expression in {x}.")
    if expression.has(p):
        raise InputError(
            f"The wave function {expression} contains the momentum {p}; give it in the position {x} alone."
        )
    pieces = _pieces(exact_decimals(expression), x)
    y = sp.Dummy("y", real=True)
    norm: Any = sp.Integer(0)
    total: Any = sp.Integer(0)
    for left in pieces:
        for right in pieces:
            bra = _Piece(sp.conjugate(right.polynomial), sp.expand(sp.conjugate(right.exponent)))
            density = sp.expand(left.exponent + bra.exponent)
            norm += _integral(sp.expand(left.polynomial * bra.polynomial), density, x, expression)
            exponent = (
                left.exponent.subs(x, x + y / 2) + bra.exponent.subs(x, x - y / 2) - sp.I * p * y / hbar
            )
            factor = left.polynomial.subs(x, x + y / 2) * bra.polynomial.subs(x, x - y / 2)
            total += _integral(sp.expand(factor), sp.expand(exponent), y, expression)
    norm = sp.simplify(real_form(norm))
    if norm == 0:
        raise InputError(f"The wave function {expression} is zero; it has no Wigner function.")
    return sp.Add(
        *(
            sp.powsimp(term / (2 * sp.pi * hbar * norm))
            for term in sp.Add.make_args(real_form(sp.expand(total, power_exp=False)))
        )
    )


def _pieces(psi: sp.Expr, x: Any) -> list[_Piece]:
    waves = [t for t in psi.atoms(sp.sin, sp.cos, sp.sinh, sp.cosh) if t.has(x)]
    rewritten = psi.xreplace({t: t.rewrite(sp.exp) for t in waves})
    found: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(sp.expand(rewritten, power_exp=False)):
        polynomial: Any = sp.Integer(1)
        exponent: Any = sp.Integer(0)
        for factor in sp.Mul.make_args(term):
            if isinstance(factor, sp.exp) and factor.has(x):
                exponent += factor.args[0]
            else:
                polynomial *= factor
        exponent = sp.expand(exponent)
        if not (polynomial.is_polynomial(x) and exponent.is_polynomial(x) and sp.degree(exponent, x) == 2):
            raise InputError(
                f"The wave function {psi} is not a sum of polynomials times Gaussians in {x} (the term "
                f"{term} is not); "
                "its Wigner function has no closed form here: give the state numerically, or as a Gaussian "
                "superposition."
            )
        found[exponent] = found.get(exponent, sp.Integer(0)) + polynomial
    return [_Piece(polynomial, exponent) for exponent, polynomial in found.items()]


def _integral(polynomial: sp.Expr, exponent: sp.Expr, y: sp.Symbol, psi: sp.Expr) -> sp.Expr:
    """int polynomial exp(exponent) dy over the real line, exponent = -alpha y^2 + beta y + gamma."""
    form = sp.Poly(exponent, y)
    alpha = sp.simplify(-form.coeff_monomial(y**2))
    beta, gamma = form.coeff_monomial(y), form.coeff_monomial(1)
    real = sp.re(alpha)
    if real.is_nonpositive:
        raise InputError(f"The wave function {psi} does not decay at infinity, so it cannot be normalised.")
    mean = sp.expand(beta / (2 * alpha))
    moments: Any = sp.Integer(0)
    for (n,), coefficient in sp.Poly(polynomial, y).terms():
        for k in range(n // 2 + 1):
            moments += (
                coefficient
                * comb(n, 2 * k)
                * sp.factorial2(2 * k - 1)
                / (2 * alpha) ** k
                * mean ** (n - 2 * k)
            )
    return sp.sqrt(sp.pi / alpha) * sp.expand(moments) * sp.exp(sp.expand(gamma + beta**2 / (4 * alpha)))

"""Powers of hbar: leading terms and expansions of what states and potentials are made of, and Gaussian averages.

Quantities are a finite sum or a convergent series of c hbar^r with rational r, and exponentials of such sums. An
exponential that vanishes faster than every power of hbar counts as zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import mpmath
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.classical.pieces import central_moment

Series = dict[sp.Rational, sp.Expr]
# Digits of what has no closed form.
DIGITS = 30
# Terms taken of series that do not end.
LENGTH = 6


class Power(NamedTuple):
    """coefficient * hbar**exponent; the coefficient is zero where there is nothing."""

    coefficient: Any
    exponent: Any


NOTHING = Power(sp.Integer(0), sp.oo)


def power_series(expression: Any, hbar: sp.Symbol, length: int = LENGTH) -> Series:
    """{exponent: coefficient} of an expression at small hbar.

    Arguments:
        expression: what is expanded.
        hbar: the small symbol.
        length: number of terms where the series does not end.

    Raises:
        InputError: for what has no such expansion (logarithms, essential singularities).
    """
    expression = _exponentials_resolved(sp.sympify(expression), hbar)
    if not expression.has(hbar):
        return {sp.Integer(0): expression} if not is_zero(expression) else {}
    found = _finite(sp.expand(expression), hbar)
    if found is None:
        root = sp.Dummy("z", positive=True)
        q = sp.ilcm(1, 1, *(e.exp.q for e in expression.atoms(sp.Pow) if e.base == hbar and e.exp.is_Rational))
        inner = expression.subs(hbar, root**q)
        found = _quotient(inner, root, length)
        if found is None:
            try:
                _, lowest = inner.leadterm(root)
                series = sp.series(inner, root, 0, int(lowest) + length + 1).removeO()
                found = _finite(sp.expand(series), root)
            # What SymPy raises where a series does not exist, each for its own reason.
            except (ValueError, NotImplementedError, TypeError, sp.PoleError) as error:
                raise InputError(
                    f"{expression} has no expansion in powers of {hbar} ({error}); give widths, centres and weights as "
                    f"powers of {hbar} times constants."
                ) from None
        if found is None:
            raise InputError(
                f"{expression} does not scale as a power of {hbar}; give widths, centres and weights as powers of "
                f"{hbar} times constants, with numbers as exponents."
            )
        found = {power / q: c for power, c in found.items()}
    return {power: c for power, c in sorted(found.items()) if not is_zero(c)}


def leading(expression: Any, hbar: sp.Symbol) -> Power:
    """The term of the lowest power of hbar."""
    series = power_series(expression, hbar)
    if not series:
        return NOTHING
    exponent = min(series)
    return Power(series[exponent], exponent)


def limit(expression: Any, hbar: sp.Symbol) -> sp.Expr:
    """The value at hbar -> 0: a finite expression, or a signed infinity."""
    first = leading(expression, hbar)
    if first.coefficient == 0 or first.exponent > 0:
        return sp.Integer(0)
    return first.coefficient if first.exponent == 0 else _sign(first.coefficient) * sp.oo


def _sign(coefficient: sp.Expr) -> sp.Expr:
    if coefficient.is_positive or coefficient.is_negative:
        return sp.sign(coefficient)
    value = sp.simplify(coefficient)
    if value.is_positive or value.is_negative:
        return sp.sign(value)
    raise InputError(f"The sign of {coefficient} is not known; declare its symbols positive or give numbers.")


def _exponentials_resolved(expression: sp.Expr, hbar: sp.Symbol) -> sp.Expr:
    """exp(u) with u -> -oo is zero to every power of hbar; those that diverge are refused."""
    replaced = {}
    for e in expression.atoms(sp.exp):
        if e.has(hbar):
            at = limit(e.args[0], hbar)
            if at == -sp.oo:
                replaced[e] = sp.Integer(0)
            elif at == sp.oo:
                raise InputError(f"{e} grows faster than every power of {hbar}; no exponent exists.")
    return expression.xreplace(replaced) if replaced else expression


def _finite(expression: sp.Expr, symbol: sp.Symbol) -> Series | None:
    """A sum of powers read off, or None."""
    found: Series = {}
    for term in sp.Add.make_args(expression):
        coefficient, dependent = term.as_independent(symbol, as_Add=False)
        base, exponent = dependent.as_base_exp()
        if dependent == 1:
            exponent = sp.Integer(0)
        elif base != symbol or not exponent.is_Rational:
            return None
        found[exponent] = found.get(exponent, sp.Integer(0)) + coefficient
    return found


def _quotient(expression: sp.Expr, z: sp.Symbol, length: int) -> Series | None:
    """The expansion of a rational function by long division, or None."""
    numerator, denominator = sp.fraction(sp.together(expression))
    if not (numerator.is_polynomial(z) and denominator.is_polynomial(z)):
        return None
    above, below = ({k: c for (k,), c in sp.Poly(part, z).terms()} for part in (numerator, denominator))
    if not any(above.values()):
        return {}
    first = min(below)
    start = min(above) - first
    found: Series = {}
    for k in range(start, start + length):
        value = above.get(k + first, sp.Integer(0))
        for power, c in below.items():
            if power > first and k + first - power >= start:
                value -= c * found[sp.Integer(k + first - power)]
        found[sp.Integer(k)] = sp.cancel(value / below[first]) if value != 0 else sp.Integer(0)
    return found


def is_zero(expression: Any) -> bool:
    """Whether an expression without x, p and hbar is zero, exactly where SymPy can tell."""
    expression = sp.sympify(expression)
    if expression.is_zero is not None:
        return bool(expression.is_zero)
    # Nearly always the answer is no, and one value says so.
    symbols = sorted(expression.free_symbols, key=str)
    value = expression.xreplace({v: sp.sqrt(sp.prime(20 + i)) / 7 for i, v in enumerate(symbols)}).evalf(25)
    if value.is_number and value.is_finite and abs(value) > sp.Float("1e-18"):
        return False
    expanded = sp.expand(expression)
    if expanded == 0:
        return True
    found = expanded.equals(0)
    return bool(found) if found is not None else abs(sp.N(value, 25)) < sp.Float("1e-18")


def add(series: Iterable[Power]) -> Series:
    """Powers collected."""
    total: Series = {}
    for coefficient, exponent in series:
        if coefficient != 0:
            total[exponent] = total.get(exponent, sp.Integer(0)) + coefficient
    return total


def product(one: Series, other: Series) -> Series:
    """The product of two expansions."""
    return add(Power(c * d, r + s) for r, c in one.items() for s, d in other.items())


def lowest(series: Series) -> Power:
    """The lowest power whose coefficient is not zero."""
    for exponent in sorted(series):
        if not is_zero(series[exponent]):
            return Power(series[exponent], exponent)
    return NOTHING


def gaussian_average(f: Any, variable: sp.Symbol, centre: Any, square: Any) -> sp.Expr:
    """int f(x) exp(-(x-centre)^2/square)/sqrt(pi square) dx.

    Arguments:
        f: expression in the variable; polynomials times exponentials, sines and cosines of quadratic forms are done
            in closed form, anything else numerically with DIGITS digits.
        centre, square: of the Gaussian; square = 0 takes the value at the centre.

    Raises:
        InputError: for a divergent integral, or a numerical one whose symbols have no numbers.
    """
    f = sp.sympify(f)
    if not f.has(variable):
        return f
    if square == 0:
        return f.subs(variable, centre)
    closed = _closed_average(f, variable, centre, square)
    return closed if closed is not None else _numerical_average(f, variable, centre, square)


def _closed_average(f: sp.Expr, x: sp.Symbol, centre: Any, square: Any) -> sp.Expr | None:
    functions = f.atoms(sp.sin, sp.cos, sp.sinh, sp.cosh)
    complex_form = sp.expand(f.xreplace({t: t.rewrite(sp.exp) for t in functions if t.has(x)}))
    total = sp.Integer(0)
    for term in sp.Add.make_args(sp.powsimp(complex_form) if complex_form.has(sp.exp) else complex_form):
        polynomial, exponent = sp.Integer(1), sp.Integer(0)
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if isinstance(factor, sp.exp) and factor.has(x):
                exponent += factor.args[0]
            elif isinstance(base, sp.exp) and base.has(x) and power.is_Integer:
                exponent += base.args[0] * power
            else:
                polynomial *= factor
        form = sp.Poly(exponent, x) if exponent.is_polynomial(x) else None
        if form is None or form.degree() > 2 or not polynomial.is_polynomial(x):
            return None
        g, h, k = (form.coeff_monomial(x**i) for i in (2, 1, 0))
        # -(x-c)^2/s + g x^2 + h x + k = -(x-m)^2/v + rest
        inverse = sp.together(1 / sp.sympify(square) - g)
        if inverse.is_nonpositive:
            raise InputError(f"The average of {f} over a Gaussian of squared width {square} diverges.")
        v = 1 / inverse
        m = v * (centre / sp.sympify(square) + h / 2)
        rest = sp.expand(m**2 / v - sp.sympify(centre) ** 2 / square + k)
        moments = sp.Add(*(
            c * sp.binomial(i, r) * m ** (i - r) * central_moment(r) * v ** (r // 2)
            for (i,), c in sp.Poly(polynomial, x).terms()
            for r in range(0, i + 1, 2)
        ))  # fmt: skip
        total += sp.expand(moments) * sp.exp(rest) * sp.sqrt(v / square)
    if total.has(sp.I):
        total = _real(total)
    return total


def _real(total: sp.Expr) -> sp.Expr:
    """Conjugate exponentials as sines and cosines."""
    replaced = {}
    for e in total.atoms(sp.exp):
        if e.has(sp.I):
            real, imaginary = sp.expand(e.args[0]).as_real_imag()
            replaced[e] = sp.exp(real) * (sp.cos(imaginary) + sp.I * sp.sin(imaginary))
    return sp.expand(total.xreplace(replaced))


def _numerical_average(f: sp.Expr, x: sp.Symbol, centre: Any, square: Any) -> sp.Expr:
    unknown = sorted(
        (f.free_symbols | sp.sympify(centre).free_symbols | sp.sympify(square).free_symbols) - {x}, key=str
    )
    if unknown:
        raise InputError(
            f"The average of {f} has no closed form, and no number is known for {', '.join(map(str, unknown))}; "
            "declare them with space.parameters(name=number) or put numbers in."
        )
    with mpmath.workdps(DIGITS + 10):
        function = sp.lambdify(x, f, "mpmath")
        c, w = (mpmath.mpmathify(sp.N(v, DIGITS + 10)) for v in (centre, sp.sqrt(square)))
        edges = [-12, -6, -3, -1, 0, 1, 3, 6, 12]
        value = mpmath.quad(lambda u: function(c + w * u) * mpmath.exp(-u * u), edges) / mpmath.sqrt(mpmath.pi)
        return sp.Float(mpmath.nstr(mpmath.re(value), DIGITS + 5), DIGITS)

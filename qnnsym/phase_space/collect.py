"""Find the generators of the smallest differential ring that holds given SymPy expressions.

Every expression is walked once. A transcendental piece is registered after the pieces it is made of, and its
derivatives are walked in turn, until nothing new appears; a piece whose derivatives never close is refused.
"""

from __future__ import annotations

from math import gcd, lcm
from typing import Any, NamedTuple

import sympy as sp

from qnnsym.errors import InputError

# sin(u) needs cos(u), exp(u) nothing: honest closures are short. Bessel functions of fixed argument never
# end.
LARGEST_NUMBER_OF_PIECES = 60

# Not smooth, or not evaluated: none of these has derivatives that are functions of the same kind.
NOT_SMOOTH = (
    sp.Abs,
    sp.sign,
    sp.Heaviside,
    sp.DiracDelta,
    sp.Piecewise,
    sp.Max,
    sp.Min,
    sp.floor,
    sp.ceiling,
    sp.Derivative,
    sp.Subs,
    sp.Integral,
)


class NotClosed(InputError):
    """An expression has pieces whose derivatives do not close into finitely many generators."""


class Generator(NamedTuple):
    """One generator of a ring: g = base**exponent.

    kind is "symbol", "unit" (the imaginary unit), "constant", "inverse", "root", "power", "exp" or
    "function"; argument and content give the exponent of "exp" and "power" as content * argument; partner is
    its inverse.
    """

    kind: str
    expr: Any
    base: Any
    exponent: Any
    argument: Any = None
    content: Any = None
    partner: Any = None


class PowerParts(NamedTuple):
    """factor * base**power * base**(content * argument), symbolic = (content, argument)."""

    base: Any
    power: Any
    symbolic: tuple[Any, Any] | None
    factor: Any


def exponential_parts(expression: Any) -> tuple[Any, Any]:
    """exp(u) as exp(content * argument), content rational: exp(u) and exp(-2u) share a generator."""
    return _content(sp.Integer(1) if expression is sp.S.Exp1 else expression.args[0])


def power_parts(expression: Any) -> PowerParts:
    """Bring a power to the form shared by all powers of the same base."""
    base, exponent = expression.base, expression.exp
    factor = sp.Integer(1)
    if exponent.is_Integer and exponent.is_negative and base.is_Add:
        content, base = _content(base)
        factor = content**exponent
    power, rest = exponent.as_coeff_Add(rational=True)
    return PowerParts(base, power, None if rest == 0 else _content(rest), factor)


def _content(expression: Any) -> tuple[Any, Any]:
    if expression.is_Add:
        content, rest = expression.primitive()
    else:
        content, rest = expression.as_coeff_Mul(rational=True)
    if rest.could_extract_minus_sign():
        content, rest = -content, -rest
    return content, rest


class Collector:
    """Walks expressions and hands out the generators they need.

    Arguments:
        variables: the symbols along which derivatives have to close.
    """

    def __init__(self, variables: tuple[sp.Symbol, ...]):
        self.variables = variables
        self._active = frozenset(variables)
        self._symbols: set[sp.Symbol] = set()
        self._seen: set[sp.Expr] = set()
        # In order of registration: inner pieces before outer ones.
        self._pieces: dict[tuple[str, sp.Expr], dict] = {}

    def walk(self, expression: Any) -> None:
        """Register everything the expression is made of.

        Raises:
            NotClosed: naming the piece that cannot be a generator.
        """
        if expression in self._seen:
            return
        self._seen.add(expression)
        if expression.is_Add or expression.is_Mul:
            for argument in expression.args:
                self.walk(argument)
        elif expression.is_Symbol:
            if not expression.is_commutative:
                raise NotClosed(
                    f"{expression} is an operator; star products act on commuting functions of x and p."
                )
            self._symbols.add(expression)
        elif expression.is_Rational or expression is sp.I:
            pass
        elif (
            not isinstance(expression, sp.Expr)
            or not expression.is_commutative
            or expression.is_finite is False
        ):
            raise NotClosed(f"{expression} is not a commuting, finite function of phase space.")
        elif isinstance(expression, sp.exp) or expression is sp.S.Exp1:
            self._exponential(expression)
        elif expression.is_Pow and not self._varies(expression.args[1]):
            self._power(expression)
        else:
            self._function(expression)

    def _varies(self, expression: Any) -> bool:
        return not self._active.isdisjoint(expression.free_symbols)

    def _exponential(self, expression: Any) -> None:
        content, argument = exponential_parts(expression)
        if self._varies(argument):
            self.walk(argument)
        self._piece("exp", argument).setdefault("contents", []).append(content)
        self._close(argument)

    def _power(self, expression: Any) -> None:
        parts = power_parts(expression)
        self.walk(parts.base)
        self.walk(parts.factor)
        if parts.symbolic is None and parts.power.is_Integer and parts.power > 0:
            return
        piece = self._piece("power", parts.base)
        whole = sp.floor(parts.power)
        fraction: Any = parts.power - whole
        # d(u**e) = e u**(e - 1) du: every power that is not a polynomial brings 1/u with it.
        if whole < 0 or self._varies(parts.base):
            piece["inverse"] = True
        if fraction:
            piece["root"] = lcm(piece.get("root", 1), int(fraction.q))
        if parts.symbolic is not None:
            content, argument = parts.symbolic
            piece.setdefault("powers", {}).setdefault(argument, []).append(content)
            self.walk(content * argument)
        self._close(parts.base)

    def _function(self, expression: Any) -> None:
        if self._varies(expression):
            if isinstance(expression, NOT_SMOOTH):
                raise NotClosed(f"The derivatives of {expression} are not functions the exact engine knows.")
            if expression.is_Function and isinstance(expression.func, sp.core.function.UndefinedFunction):
                raise NotClosed(f"The function {expression} is undefined, so its derivatives do not close.")
            for argument in expression.args:
                if isinstance(argument, sp.Expr):
                    self.walk(argument)
        self._piece("function", expression)
        self._close(expression)

    def _close(self, expression: sp.Expr) -> None:
        free = expression.free_symbols
        for variable in self.variables:
            if variable in free:
                self.walk(sp.diff(expression, variable))

    def _piece(self, kind: str, expression: sp.Expr) -> dict:
        piece = self._pieces.setdefault((kind, expression), {})
        if len(self._pieces) > LARGEST_NUMBER_OF_PIECES:
            raise NotClosed(
                f"The derivatives of the expression need more than {LARGEST_NUMBER_OF_PIECES} distinct "
                f"functions "
                f"(the last one {expression}); they do not close."
            )
        return piece

    def generators(self, hbar: sp.Symbol) -> tuple[Generator, ...]:
        """The generators from the outermost to the first variable."""
        # Sorted by name: the order must not depend on what was met first, or equal rings would differ.
        others = sorted(self._symbols.difference(self.variables, (hbar,)), key=sp.default_sort_key)
        found = [Generator("symbol", s, s, sp.Integer(1)) for s in (*self.variables, hbar, *others)]
        found.append(Generator("unit", sp.I, sp.I, sp.Integer(1)))
        for (kind, expression), piece in self._pieces.items():
            if kind == "function":
                found.append(Generator("function", expression, expression, sp.Integer(1)))
            elif kind == "exp":
                found += _exponentials("exp", sp.S.Exp1, expression, piece["contents"])
            else:
                if piece.get("inverse"):
                    found.append(Generator("inverse", 1 / expression, expression, sp.Integer(-1)))
                if "root" in piece:
                    order = sp.Rational(1, piece["root"])
                    found.append(Generator("root", expression**order, expression, order))
                for argument, contents in piece.get("powers", {}).items():
                    found += _exponentials("power", expression, argument, contents)
        return tuple(reversed(found))


def _exponentials(kind: str, base: sp.Expr, argument: sp.Expr, contents: list[Any]) -> list[Generator]:
    """base**(c * argument) for all contents c: powers of one generator and of its inverse."""
    numerator = gcd(*(int(c.p) * (lcm(*(int(d.q) for d in contents)) // int(c.q)) for c in contents))
    unit = sp.Rational(numerator, lcm(*(int(c.q) for c in contents)))
    signs = sorted({1 if c > 0 else -1 for c in contents}, reverse=True)
    expressions = {s: base ** (s * unit * argument) for s in signs}
    return [
        Generator(
            kind,
            expressions[s],
            base,
            s * unit * argument,
            argument,
            s * unit,
            expressions[-s] if len(signs) == 2 else None,
        )
        for s in signs
    ]

"""Read SymPy expressions as polynomials in the generators of a ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp
from flint import fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from qnnsym.phase_space.collect import Generator, NotClosed, exponential_parts, power_parts

NOT_CLOSED = (
    "is not made of the generators of this ring; write H with powers, roots, exponentials, and trigonometric or "
    "hyperbolic functions."
)


class Reader:
    """Reads expressions over one tuple of generators; what was read once is kept.

    Arguments:
        generators: those of the ring.
        context: its polynomial context.
    """

    def __init__(self, generators: Sequence[Generator], context: fmpq_mpoly_ctx):
        self._generators = generators
        self._context = context
        self._gens: tuple[fmpq_mpoly, ...] = context.gens()
        self.plain = {g.expr: i for i, g in enumerate(generators) if g.kind == "symbol"}
        self._inverse = {
            g.base: i for i, g in enumerate(generators) if g.kind == "inverse" and g.base.is_Symbol
        }
        self._families: dict[Any, list[int]] = {}
        for i, g in enumerate(generators):
            self._families.setdefault(g.base, []).append(i)
        self._memo: dict[Any, fmpq_mpoly] = {g.expr: self._gens[i] for i, g in enumerate(generators)}

    def read(self, expression: Any) -> fmpq_mpoly:
        """The polynomial of an expression, all of whose pieces must be generators.

        Raises:
            NotClosed: naming the piece that is not.
        """
        if isinstance(expression, sp.Add):
            return self._sum(expression)
        known = self._memo.get(expression)
        if known is None:
            known = self._memo[expression] = self._convert(expression)
        return known

    def _sum(self, expression: Any) -> fmpq_mpoly:
        """Read monomials into one dictionary; only what is not a monomial takes the general way."""
        monomials: dict[tuple[int, ...], Any] = {}
        rest = None
        plain, inverse, size = self.plain, self._inverse, len(self._generators)
        for term in expression.args:
            exponents = [0] * size
            coefficient = 1
            for factor in term.args if term.is_Mul else (term,):
                if factor.is_Symbol:
                    i = plain.get(factor)
                    if i is None:
                        break
                    exponents[i] += 1
                elif factor.is_Pow and factor.exp.is_Integer and factor.base.is_Symbol:
                    power = factor.exp.p
                    i = (plain if power > 0 else inverse).get(factor.base)
                    if i is None:
                        break
                    exponents[i] += abs(power)
                elif factor.is_Rational:
                    coefficient = fmpq(factor.p, factor.q)
                else:
                    break
            else:
                key = tuple(exponents)
                if key in monomials:
                    coefficient = monomials[key] + coefficient
                monomials[key] = coefficient
                continue
            rest = self.read(term) if rest is None else rest + self.read(term)
        total = self._context.from_dict(monomials)
        return total if rest is None else total + rest

    def _convert(self, expression: Any) -> fmpq_mpoly:
        if expression.is_Rational:
            return self._context.constant(fmpq(expression.p, expression.q))
        if expression.is_Mul:
            product = self._context.constant(1)
            for factor in expression.args:
                product = product * self.read(factor)
            return product
        if isinstance(expression, sp.exp):
            return self._exponential(expression)
        if expression.is_Pow:
            return self._power(expression)
        raise NotClosed(f"{expression} {NOT_CLOSED}")

    def _exponential(self, expression: Any) -> fmpq_mpoly:
        content, argument = exponential_parts(expression)
        for i in self._families[sp.S.Exp1]:
            c, u = self._generators[i].content, self._generators[i].argument
            if u == argument and (content / c).is_positive:
                return self._gens[i] ** int(content / c)
        raise NotClosed(f"{expression} {NOT_CLOSED}")

    def _power(self, expression: Any) -> fmpq_mpoly:
        parts = power_parts(expression)
        if parts.power >= 0 and parts.power.is_Integer and parts.symbolic is None:
            return self.read(parts.base) ** int(parts.power) * self.read(parts.factor)
        members = [(self._generators[i], i) for i in self._families.get(parts.base, ())]
        product = self.read(parts.factor)
        if parts.symbolic is not None:
            content, argument = parts.symbolic
            for g, i in members:
                if g.kind == "power" and g.argument == argument and (content / g.content).is_positive:
                    product = product * self._gens[i] ** int(content / g.content)
                    break
            else:
                raise NotClosed(f"{expression} {NOT_CLOSED}")
        whole = sp.floor(parts.power)
        fraction = parts.power - whole
        if fraction:
            g, i = _of_kind(members, "root", expression)
            product = product * self._gens[i] ** int(fraction / g.exponent)
        if whole > 0:
            product = product * self.read(parts.base) ** int(whole)
        elif whole < 0:
            _, i = _of_kind(members, "inverse", expression)
            product = product * self._gens[i] ** int(-whole)
        return product


def _of_kind(members: list[tuple[Any, int]], kind: str, expression: sp.Expr) -> tuple[Any, int]:
    """The generator of a kind, with its position."""
    for g, i in members:
        if g.kind == kind:
            return g, i
    raise NotClosed(f"{expression} {NOT_CLOSED}")

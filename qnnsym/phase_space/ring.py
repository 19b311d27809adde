"""One differential ring for everything the Moyal calculus touches, on python-flint's exact sparse
polynomials.

Generators are symbols, the imaginary unit, and transcendental pieces closed under d/dx and d/dp: exp(u), sin
and cos, tanh, log, 1/u, roots and symbolic powers of u, and every function whose derivative SymPy can write
with such pieces. An element is one polynomial in them, kept in normal form modulo the algebraic relations
between them (i^2 = -1, u (1/u) = 1, exp(u) exp(-u) = 1, sin^2 + cos^2 = 1, w^q = u). Polynomials are the case
without transcendental generators; there is no second mechanism. `collect.py` finds the generators,
`reading.py` and `printing.py` are the way in from SymPy and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp
from flint import Ordering, fmpq_mpoly, fmpq_mpoly_ctx

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.collect import Collector, Generator, NotClosed
from qnnsym.phase_space.printing import Printer
from qnnsym.phase_space.reading import Reader
from qnnsym.phase_space.space import PhaseSpace

__all__ = ["Element", "NotClosed", "Ring", "derivatives", "element"]

# Rings are kept for speed; a forgotten one is made again and its elements still embed.
MOST_RINGS_KEPT = 1000
_RINGS: dict[tuple, Ring] = {}


class Ring:
    """A differential ring over the rationals; build it with `Ring.of`.

    Attributes:
        variables: the phase-space variables, x then p.
        hbar: the Symbol of hbar.
        generators: from the outermost transcendental one to x: lexicographic order eliminates in that
            direction.
    """

    @staticmethod
    def of(expressions: Iterable[sp.Expr], space: PhaseSpace) -> Ring:
        """The smallest ring that holds the expressions, the variables of the space and all derivatives."""
        collector = Collector(space.variables)
        for expression in expressions:
            collector.walk(expression)
        return Ring._cached(collector.generators(space.hbar), space.variables, space.hbar)

    @staticmethod
    def _cached(generators: tuple[Generator, ...], variables: tuple[sp.Symbol, ...], hbar: sp.Symbol) -> Ring:
        key = (generators, variables)
        ring = _RINGS.get(key)
        if ring is None:
            if len(_RINGS) >= MOST_RINGS_KEPT:
                _RINGS.clear()
            ring = _RINGS[key] = Ring(generators, variables, hbar)
        return ring

    def __init__(self, generators: tuple[Generator, ...], variables: tuple[sp.Symbol, ...], hbar: sp.Symbol):
        self.generators = generators
        self.variables = variables
        self.hbar = hbar
        self.context = fmpq_mpoly_ctx.get([f"g{i}" for i in range(len(generators))], Ordering.lex)
        self.gens: tuple[fmpq_mpoly, ...] = self.context.gens()
        self.index = {g.expr: i for i, g in enumerate(generators)}
        self.unit_index = self.index[sp.I]
        self.hbar_index = self.index[hbar]
        self.reader = Reader(generators, self.context)
        self.plain = self.reader.plain
        self._dependent: dict[sp.Symbol, list[int]] = {v: self._depending_on(v) for v in variables}
        self._generator_derivatives: dict[tuple[int, sp.Symbol], fmpq_mpoly] = {}
        self._embeddings: dict[Ring, list[fmpq_mpoly]] = {}
        self.printer = Printer(generators)
        self.relations = self._relations()

    def _relations(self) -> list[tuple[int, fmpq_mpoly]]:
        """(generator index, polynomial that is zero), outermost first; the generator leads."""
        found: list[tuple[int, fmpq_mpoly]] = []
        one = self.context.constant(1)
        for i, g in enumerate(self.generators):
            gen = self.gens[i]
            if g.kind == "unit":
                found.append((i, gen**2 + one))
            elif g.kind == "inverse":
                found.append((i, gen * self.reader.read(g.base) - one))
            elif g.kind == "root":
                found.append((i, gen ** int(g.exponent.q) - self.reader.read(g.base)))
            elif g.kind in ("exp", "power") and g.partner is not None and i < self.index[g.partner]:
                found.append((i, gen * self.gens[self.index[g.partner]] - one))
            elif g.kind == "function" and g.expr.func in (sp.sin, sp.cosh):
                other = sp.cos(g.expr.args[0]) if g.expr.func is sp.sin else sp.sinh(g.expr.args[0])
                j = self.index.get(other)
                if j is not None:
                    sign = 1 if g.expr.func is sp.sin else -1
                    found.append((min(i, j), gen**2 + sign * self.gens[j] ** 2 - one))
        return found

    def reduce(self, poly: fmpq_mpoly) -> fmpq_mpoly:
        """Normal form modulo the relations."""
        for _ in range(8):
            degrees = poly.degrees()
            again = False
            for i, relation in self.relations:
                if degrees[i]:
                    reduced = divmod(poly, relation)[1]
                    if reduced != poly:
                        poly, again = reduced, True
                        degrees = poly.degrees()
            if not again:
                break
        return poly

    # -- from SymPy ------------------------------------------------------------------------------------------

    def element(self, expression: sp.Expr) -> Element:
        """The element that stands for the expression, all of whose pieces must be generators of this ring."""
        return Element(self, self.reader.read(expression))

    # -- derivatives -----------------------------------------------------------------------------------------

    def differentiate(self, poly: fmpq_mpoly, symbol: sp.Symbol) -> fmpq_mpoly:
        """d/d(symbol) by the chain rule over the generators that occur (not reduced)."""
        i = self.plain.get(symbol)
        derivative = poly.derivative(i) if i is not None else self.context.constant(0)
        dependent = self._dependent.get(symbol)
        if dependent is None:
            dependent = self._dependent[symbol] = self._depending_on(symbol)
        if dependent:
            degrees = poly.degrees()
            for j in dependent:
                if degrees[j]:
                    inner = self.generator_derivative(j, symbol)
                    if not inner.is_zero():
                        derivative = derivative + poly.derivative(j) * inner
        return derivative

    def _depending_on(self, symbol: sp.Symbol) -> list[int]:
        return [
            j
            for j, g in enumerate(self.generators)
            if g.kind not in ("symbol", "unit") and symbol in g.expr.free_symbols
        ]

    def generator_derivative(self, j: int, symbol: sp.Symbol) -> fmpq_mpoly:
        """The derivative of one generator, from SymPy once and kept."""
        key = (j, symbol)
        known = self._generator_derivatives.get(key)
        if known is None:
            g = self.generators[j]
            if symbol in g.expr.free_symbols:
                known = self.reduce(self.reader.read(sp.diff(g.expr, symbol)))
            else:
                known = self.context.constant(0)
            self._generator_derivatives[key] = known
        return known

    # -- other rings -----------------------------------------------------------------------------------------

    def embed(self, other: Element) -> Element:
        """The same element in this ring, which must have the generators of the other."""
        if other.ring is self:
            return other
        images = self._embeddings.get(other.ring)
        if images is None:
            images = self._embeddings[other.ring] = [self.reader.read(g.expr) for g in other.ring.generators]
        return Element(self, other.poly.compose(*images, ctx=self.context))

    def union(self, other: Ring) -> Ring:
        """The ring that holds the generators of both."""
        if other is self:
            return self
        if other.variables != self.variables:
            raise InputError(
                f"The operands live on different phase spaces, {self.variables} and {other.variables}; "
                "build both from the same PhaseSpace."
            )
        collector = Collector(self.variables)
        for ring in (self, other):
            for g in reversed(ring.generators):
                collector.walk(g.expr)
        return Ring._cached(collector.generators(self.hbar), self.variables, self.hbar)


class Element:
    """An element of a Ring in normal form; immutable, with its derivatives kept.

    Operations: +, -, *, ** with a non-negative integer, ==, `diff`, `derivative`, `as_expr`, `is_zero`, `len`
        (terms).
    """

    __slots__ = ("_derivatives", "_expr", "poly", "ring")

    def __init__(self, ring: Ring, poly: fmpq_mpoly):
        self.ring = ring
        self.poly = ring.reduce(poly)
        self._derivatives: dict[sp.Symbol, Element] = {}
        self._expr: sp.Expr | None = None

    def diff(self, symbol: sp.Symbol, times: int = 1) -> Element:
        """The derivative with respect to a symbol (kept, so that asking again costs nothing)."""
        result = self
        for _ in range(times):
            found = result._derivatives.get(symbol)
            if found is None:
                found = Element(self.ring, self.ring.differentiate(result.poly, symbol))
                result._derivatives[symbol] = found
            result = found
        return result

    def derivative(self, multiindex: Sequence[int]) -> Element:
        """The mixed derivative; `multiindex` counts derivatives along x_1, ..., x_n, p_1, ..., p_n."""
        if len(multiindex) != len(self.ring.variables):
            raise InputError(
                f"The multi-index {tuple(multiindex)} has {len(multiindex)} entries; give one per variable "
                f"of {self.ring.variables}."
            )
        result = self
        for symbol, times in zip(self.ring.variables, multiindex, strict=True):
            result = result.diff(symbol, times)
        return result

    @property
    def is_zero(self) -> bool:
        """Whether the element vanishes modulo the relations of the ring (identities between distinct
        functions, such as those of tanh x and exp x, are not looked for)."""
        return self.poly.is_zero() or _vanishes(self.ring, self.poly)

    def degree(self, symbol: sp.Symbol) -> float:
        """The degree as a polynomial in a symbol; infinity when a transcendental generator depends on it."""
        if self.poly.is_zero():
            return 0
        degrees = self.poly.degrees()
        for j, g in enumerate(self.ring.generators):
            if degrees[j] and g.kind != "symbol" and symbol in g.expr.free_symbols:
                return float("inf")
        i = self.ring.plain.get(symbol)
        return 0 if i is None else int(degrees[i])

    def total_degree(self, symbols: Sequence[sp.Symbol]) -> float:
        """The joint degree in several symbols; infinity when another generator depends on one of them."""
        if self.poly.is_zero():
            return 0
        if any(self.degree(symbol) == float("inf") for symbol in symbols):
            return float("inf")
        indices = [self.ring.plain[symbol] for symbol in symbols if symbol in self.ring.plain]
        return max(sum(int(exponents[i]) for i in indices) for exponents in self.poly.monoms())

    def irregular_in(self, symbol: sp.Symbol) -> bool:
        """Whether a symbol occurs otherwise than as an explicit non-negative power."""
        if self.poly.is_zero():
            return False
        degrees = self.poly.degrees()
        return any(
            degrees[i] and g.kind != "symbol" and symbol in g.expr.free_symbols
            for i, g in enumerate(self.ring.generators)
        )

    def coefficients(self, symbol: sp.Symbol) -> dict[int, Element]:
        """{power of the symbol: coefficient}, counting explicit powers only."""
        i = self.ring.plain[symbol]
        return {n: Element(self.ring, c) for n, c in _by_power(self.ring, self.poly, i).items()}

    @property
    def real(self) -> Element:
        """The part without the imaginary unit."""
        return Element(self.ring, _by_power(self.ring, self.poly, self.ring.unit_index).get(0, self.poly * 0))

    @property
    def imag(self) -> Element:
        """The factor of the imaginary unit."""
        return Element(self.ring, _by_power(self.ring, self.poly, self.ring.unit_index).get(1, self.poly * 0))

    def as_expr(self) -> sp.Expr:
        """The SymPy expression, expanded in the generators and in SymPy's canonical form."""
        expression = self._expr
        if expression is None:
            expression = self._expr = self.ring.printer.expression(self.poly)
        return expression

    def __len__(self) -> int:
        return len(self.poly)

    def __bool__(self) -> bool:
        return not self.is_zero

    def _operand(self, other: Any) -> tuple[Ring, Element, Element] | None:
        if isinstance(other, Element):
            if other.ring is self.ring:
                return self.ring, self, other
            ring = self.ring.union(other.ring)
            return ring, ring.embed(self), ring.embed(other)
        if isinstance(other, int):
            return self.ring, self, Element(self.ring, self.ring.context.constant(other))
        if isinstance(other, sp.Expr):
            collector = Collector(self.ring.variables)
            for g in reversed(self.ring.generators):
                collector.walk(g.expr)
            other = exact_decimals(other)
            collector.walk(other)
            ring = Ring._cached(collector.generators(self.ring.hbar), self.ring.variables, self.ring.hbar)
            return ring, ring.embed(self), ring.element(other)
        return None

    def _binary(self, other: Any, operation: str) -> Element:
        found = self._operand(other)
        if found is None:
            return NotImplemented
        ring, left, right = found
        return Element(ring, getattr(left.poly, operation)(right.poly))

    def __add__(self, other: Any) -> Element:
        return self._binary(other, "__add__")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Element:
        return self._binary(other, "__sub__")

    def __rsub__(self, other: Any) -> Element:
        return -self + other

    def __mul__(self, other: Any) -> Element:
        return self._binary(other, "__mul__")

    __rmul__ = __mul__

    def __neg__(self) -> Element:
        return Element(self.ring, -self.poly)

    def __pow__(self, exponent: int) -> Element:
        if not isinstance(exponent, int) or exponent < 0:
            raise InputError(
                f"A ring element was raised to {exponent}; only non-negative integers stay in the ring."
            )
        return Element(self.ring, self.poly**exponent)

    def __eq__(self, other: object) -> bool:
        found = self._operand(other)
        if found is None:
            return NotImplemented
        ring, left, right = found
        return left.poly == right.poly or _vanishes(ring, ring.reduce(left.poly - right.poly))

    def __hash__(self) -> int:
        return hash(self.as_expr())

    def __repr__(self) -> str:
        count = len(self)
        return str(self.as_expr()) if count <= 20 else f"<element of {count} terms in {self.ring.variables}>"


def element(f: Any, space: PhaseSpace) -> Element:
    """The ring element of a SymPy expression, in the smallest ring that holds it.

    Raises:
        NotClosed: (an InputError) naming the piece that does not close under differentiation.
    """
    if isinstance(f, Element):
        return f
    expression = exact_decimals(sp.sympify(f))
    return Ring.of([expression], space).element(expression)


def derivatives(f: Any, symbol: sp.Symbol, number: int) -> list[Element]:
    """f and its first `number` derivatives with respect to one symbol, as ring elements.

    Arguments:
        f: SymPy expression or ring element.
        symbol: the variable of differentiation (any name).
        number: the highest derivative.

    Raises:
        NotClosed: when f does not close under d/d(symbol).
    """
    if not isinstance(f, Element):
        f = exact_decimals(sp.sympify(f))
        collector = Collector((symbol,))
        collector.walk(f)
        hbar = sp.Symbol("hbar", positive=True)
        f = Ring._cached(collector.generators(hbar), (symbol,), hbar).element(f)
    found = [f]
    for _ in range(number):
        found.append(found[-1].diff(symbol))
    return found


def _by_power(ring: Ring, poly: fmpq_mpoly, i: int) -> dict[int, fmpq_mpoly]:
    parts: dict[int, dict[tuple[int, ...], Any]] = {}
    for exponents, coefficient in poly.to_dict().items():
        n = int(exponents[i])
        parts.setdefault(n, {})[(*exponents[:i], 0, *exponents[i + 1:])] = coefficient
    return {n: ring.context.from_dict(part) for n, part in sorted(parts.items())}


def _vanishes(ring: Ring, poly: fmpq_mpoly) -> bool:
    """Whether a polynomial is zero once every 1/u is cleared: with several, normal forms differ."""
    if poly.is_zero():
        return True
    for i, g in enumerate(ring.generators):
        if g.kind == "inverse":
            parts = _by_power(ring, poly, i)
            top = max(parts)
            if top:
                denominator = ring.reader.read(g.base)
                poly = ring.context.constant(0)
                for n, part in parts.items():
                    poly = poly + part * denominator ** (top - n)
                poly = ring.reduce(poly)
                if poly.is_zero():
                    return True
    return False

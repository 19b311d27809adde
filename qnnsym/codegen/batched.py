"""A fourth emitter: NumPy text for many copies of some arrays at once, their sums as matrix products.

Copies (patterns of a training set, tangent vectors) are a leading axis of the arrays that have them; the others are
shared. Every node of an equation becomes one line; equal nodes become one line; a sum over an index of one operand with
copies and one without is a matrix product, which BLAS does in blocks. An output without copies, whose terms have them,
is the sum over all copies, kept apart from the terms that have none and count once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from qnnsym.codegen.printing import NUMPY, Printer
from qnnsym.equations.calculus import peel
from qnnsym.equations.indexed import Array, EquationSet
from qnnsym.errors import InputError

COPY = sp.Symbol("copy", integer=True)


@dataclass(frozen=True)
class _Value:
    """A line's result: its name in the text and the index of every axis."""

    name: str
    axes: tuple[sp.Symbol, ...]


Values = Mapping[sp.Expr, tuple[sp.Symbol, ...]]


def batched_text(
    equations: EquationSet, copied: Collection[str], totals: Collection[str] = (), given: Values | None = None,
    kept: Values | None = None,
) -> str:  # fmt: skip
    """The text of a function of (t, sizes, scalars, arrays[, given]) giving the outputs in order.

    Arguments:
        equations: without irregular entries.
        copied: names of the arrays with a leading axis of copies.
        totals: names of outputs that are summed over the copies; each gives two arrays, the sum and the terms without
            copies.
        given: values that are arguments and not computed, see `common_values`.
        kept: values that are given back behind the outputs.
    """
    return _Writer(equations, copied, totals, given, kept).text()


def common_values(
    first: EquationSet, second: EquationSet, copied: Collection[str], totals: Collection[str] = ()
) -> Values:
    """The largest expressions over sums that the texts of both sets compute for every copy, with their axes.

    Arguments:
        first, second: equation sets with the same arrays.  copied: as for `batched_text`.
        totals: those of the second set.
    """
    writers = _Writer(first, copied), _Writer(second, copied, totals)
    for writer in writers:
        writer.text()
    mine, other = (writer.known for writer in writers)
    both = {
        e: value.axes
        for e, value in mine.items()
        if isinstance(e, sp.Expr) and e.has(sp.Sum) and COPY in value.axes and e in other
    }
    return {e: axes for e, axes in both.items() if not any(o != e and o.has(e) for o in both)}


def batched_function(
    equations: EquationSet, copied: Collection[str], totals: Collection[str] = (), given: Values | None = None,
    kept: Values | None = None,
) -> Callable[..., tuple[Any, ...]]:  # fmt: skip
    """The function of `batched_text`: f(t, sizes, scalars, arrays) -> tuple of arrays."""
    import numpy as np
    from scipy.special import expit

    namespace: dict[str, Any] = {
        "np": np,
        "logistic": expit,
        "softplus": lambda u: np.logaddexp(0.0, u),
        "relu": lambda u: np.maximum(u, 0.0),
        "step": lambda u: np.where(u > 0, 1.0, 0.0),
    }
    text = batched_text(equations, copied, totals, given, kept)
    exec(compile(text, f"<batched {equations.name}>", "exec"), namespace)
    return namespace[equations.name]


class _Writer:
    def __init__(
        self, equations: EquationSet, copied: Collection[str], totals: Collection[str] = (),
        given: Values | None = None, kept: Values | None = None,
    ) -> None:  # fmt: skip
        if equations.entries:
            raise InputError("Equations with terms at single entries have no form for many copies at once.")
        self.equations, self.copied, self.totals = equations, set(copied), set(totals)
        self.lines: list[str] = []
        self.given, self.kept = dict(given or {}), list(kept or {})
        self.known: dict[Any, _Value] = {
            e: _Value(f"given{n}_", axes) for n, (e, axes) in enumerate(self.given.items())
        }
        self.print = Printer(NUMPY)
        self.arrays = {a.base: a for a in equations.arrays}
        self.extent: dict[sp.Symbol, sp.Expr] = {}

    def text(self) -> str:
        e = self.equations
        head = [f"def {e.name}(t, sizes, scalars, arrays{', given' if self.given else ''}):"]
        if self.given:
            head.append(f"{', '.join(f'given{n}_' for n in range(len(self.given)))}, = given")
        for names, source in ((e.sizes, "sizes"), (e.scalars, "scalars"), (e.arrays, "arrays")):
            if names:
                head.append(f"{', '.join(n.name for n in names)}, = {source}")
        for stack in e.stacks:
            self._stack(stack)
        results = []
        for output, equation in zip(e.outputs, e.equations, strict=True):
            free, rhs = _rows_alike(tuple(equation.target.indices), _alike(equation.rhs)[0])
            for index, axis in zip(free, output.axes, strict=True):
                self.extent[index] = axis.extent
            if output.name in self.totals:
                results += self._total(rhs, free)
            else:
                value = self._value(rhs)
                wanted = (COPY, *free) if COPY in value.axes else free
                results.append(self._aligned(value, wanted) if value.axes else value.name)
        results += [self.known[e].name for e in self.kept]
        return "\n    ".join([*head, *self.lines, f"return {', '.join(results)},"]) + "\n"

    # pieces ----------------------------------------------------------------------------------------------------
    def _line(self, key: Any, text: str, axes: tuple[sp.Symbol, ...]) -> _Value:
        value = _Value(f"v{len(self.known)}_", axes)
        self.lines.append(f"{value.name} = {text}")
        self.known[key] = value
        return value

    def _stack(self, stack: Any) -> None:
        copied = [p.name for p, _ in stack.pieces if isinstance(p, Array) and p.name in self.copied]
        if copied:
            self.copied.add(stack.name)
        self.arrays[stack.base] = Array(stack.name, (stack.axis,))
        lead = f"{copied[0]}.shape[0], " if copied else ""
        self.lines.append(f"{stack.name} = np.zeros(({lead}{self.print.integer(stack.axis.extent)}))")
        at = "..., " if copied else ""
        for (piece, axis), offset in zip(stack.pieces, stack.offsets(), strict=True):
            start = self.print.integer(offset)
            stop = self.print.integer(sp.expand(offset + (axis.extent if axis is not None else 1)))
            value = piece.name if isinstance(piece, Array) else repr(float(piece))
            if value != "0.0":
                self.lines.append(f"{stack.name}[{at}{start}:{stop}] = {value}")

    def _value(self, e: sp.Expr) -> _Value:
        """The line that holds e, written unless it is there."""
        if e in self.known:
            return self.known[e]
        if e.is_Number or isinstance(e, (sp.Symbol, sp.NumberSymbol)):
            return _Value(self.print(e), ())
        if isinstance(e, sp.Indexed):
            return self._entry(e)
        if isinstance(e, sp.Sum):
            return self._sum(e)
        if isinstance(e, sp.Add):
            return self._difference(e)
        if isinstance(e, sp.Mul):
            return self._elementwise(e, list(e.args), "*")
        if isinstance(e, sp.Pow) and e.exp == 2:
            base = self._value(e.base)
            return self._line(e, f"{base.name}*{base.name}", base.axes)
        arguments = [self._value(a) for a in e.args]
        axes = _union(arguments)
        stand_in = e.func(*(sp.Symbol(self._aligned(a, axes)) for a in arguments))
        return self._line(e, self.print(stand_in), axes)

    def _entry(self, e: sp.Indexed) -> _Value:
        array = self.arrays[e.base]
        lead = (COPY,) if array.name in self.copied else ()
        cuts, axes = [], []
        for index, axis in zip(e.indices, array.axes, strict=True):
            symbols = [s for s in index.free_symbols if s not in self.equations.sizes]
            if len(symbols) != 1:
                raise InputError(f"The entry {e} has no form for many copies at once.")
            axes.append(symbols[0])
            offset = sp.expand(index - symbols[0])
            extent = self.extent.get(symbols[0], axis.extent)
            whole = offset == 0 and sp.expand(extent - axis.extent) == 0
            start, stop = self.print.integer(offset), self.print.integer(sp.expand(offset + extent))
            cuts.append(":" if whole else f"{start}:{stop}")
        if all(c == ":" for c in cuts):
            return _Value(array.name, (*lead, *axes))
        return self._line(e, f"{array.name}[{', '.join([*(':' for _ in lead), *cuts])}]", (*lead, *axes))

    def _elementwise(self, key: Any, parts: Sequence[sp.Expr], sign: str) -> _Value:
        values = [self._value(p) for p in parts]
        axes = _union(values)
        # Few axes first: a product of scalars is not spread over a matrix before it has to be.
        values.sort(key=lambda v: len(v.axes))
        return self._line(key, sign.join(self._aligned(v, axes) for v in values), axes)

    def _difference(self, e: sp.Add) -> _Value:
        """A sum, its negative terms taken off: no pass over an array is spent on a sign."""
        negative = [a for a in e.args if a.as_coeff_Mul()[0] == -1]
        positive = [a for a in e.args if a not in negative]
        if not negative or not positive:
            return self._elementwise(e, list(e.args), " + ")
        added, taken = ([self._value(a) for a in part] for part in (positive, [-a for a in negative]))
        axes = _union([*added, *taken])
        added.sort(key=lambda v: len(v.axes))
        plus = " + ".join(self._aligned(v, axes) for v in added)
        return self._line(e, " - ".join([plus, *(self._aligned(v, axes) for v in taken)]), axes)

    def _product(self, factors: Sequence[sp.Expr]) -> _Value:
        return self._value(sp.Mul(*factors)) if len(factors) != 1 else self._value(factors[0])

    def _sum(self, e: sp.Sum) -> _Value:
        body, index, extent = peel(e)
        self.extent[index] = extent
        factors = list(sp.Mul.make_args(body))
        outside = [f for f in factors if not f.has(index)]
        inside = [f for f in factors if f.has(index)]
        # One operand over the index and the copies at most, the other with the rest.
        narrow = [f for f in inside if set(self._value(f).axes) <= {COPY, index}]
        wide = [f for f in inside if f not in narrow]
        if not narrow or not wide:
            value = self._product(inside)
            axis = value.axes.index(index)
            rest = tuple(a for a in value.axes if a != index)
            result = self._line((e, "sum"), f"{value.name}.sum(axis={axis})", rest)
        else:
            result = self._contract(e, self._product(narrow), self._product(wide), index)
        if outside:
            rest = self._product(outside)
            axes = _union([rest, result])
            return self._line(e, f"{self._aligned(rest, axes)}*{self._aligned(result, axes)}", axes)
        self.known[e] = result
        return result

    def _contract(self, key: Any, a: _Value, b: _Value, index: sp.Symbol) -> _Value:
        kept = [x for x in (*a.axes, *b.axes) if x != index]
        axes = tuple(sorted(dict.fromkeys(kept), key=lambda s: s != COPY))
        if len(b.axes) == 2 and COPY not in b.axes and len(kept) == len(a.axes):
            matrix = b.name if b.axes[0] == index else f"{b.name}.T"
            return self._line((key, "sum"), f"{a.name} @ {matrix}", axes)
        return self._line((key, "sum"), self._einsum(a, b, axes), axes)

    def _einsum(self, a: _Value, b: _Value, axes: tuple[sp.Symbol, ...]) -> str:
        letters = {s: chr(97 + n) for n, s in enumerate(dict.fromkeys((*a.axes, *b.axes)))}
        left, right, out = ("".join(letters[s] for s in part) for part in (a.axes, b.axes, axes))
        return f"np.einsum('{left},{right}->{out}', {a.name}, {b.name}, optimize=True)"

    def _total(self, rhs: sp.Expr, free: tuple[sp.Symbol, ...]) -> list[str]:
        summed, once = [], []
        for term in sp.Add.make_args(rhs):
            factors = list(sp.Mul.make_args(term))
            values = [self._value(f) for f in factors]
            with_copies = [f for f, v in zip(factors, values, strict=True) if COPY in v.axes]
            without = [f for f in factors if f not in with_copies]
            if not with_copies:
                once.append(self._aligned(self._value(term), free))
                continue
            groups: list[list[sp.Expr]] = [
                [f for f in with_copies if self._value(f).axes == (COPY, index)] for index in free
            ]
            rest = [f for f in with_copies if not any(f in g for g in groups)]
            groups = [g for g in groups if g]
            if len(groups) == 2 and not rest:
                a, b = (self._product(g) for g in groups)
                result = self._line((term, "total"), f"{a.name}.T @ {b.name}", free)
            else:
                value = self._product(with_copies)
                rest_axes = tuple(x for x in value.axes if x != COPY)
                result = self._line((term, "total"), f"{value.name}.sum(axis=0)", rest_axes)
            text = self._aligned(result, free)
            if without:
                text = f"{self._aligned(self._product(without), free)}*{text}"
            summed.append(text)
        return [" + ".join(summed) or "0.0", " + ".join(once) or "0.0"]

    def _aligned(self, value: _Value, axes: tuple[sp.Symbol, ...]) -> str:
        """The value's name with its axes brought into place by broadcasting."""
        if not value.axes or value.axes == axes[len(axes) - len(value.axes) :]:
            return f"({value.name})" if value.name.startswith("-") else value.name
        order = [a for a in axes if a in value.axes]
        name = value.name
        if tuple(order) != value.axes:
            name += f".transpose({', '.join(str(value.axes.index(a)) for a in order)})"
        cuts = ", ".join(":" if a in value.axes else "None" for a in axes)
        return f"{name}[{cuts}]"


def _union(values: Sequence[_Value]) -> tuple[sp.Symbol, ...]:
    """All axes, the copies first, then in the order of their first appearance."""
    found = dict.fromkeys(a for v in sorted(values, key=lambda v: -len(v.axes)) for a in v.axes)
    return tuple(sorted(found, key=lambda s: s != COPY))


def _alike(e: sp.Expr) -> tuple[sp.Expr, int]:
    """(the expression with bound indices named by the number of sums within, that number): equal sums become equal."""
    if not isinstance(e, sp.Basic) or not e.has(sp.Sum):
        return e, 0
    if isinstance(e, sp.Sum):
        body, index, extent = peel(e)
        inner, height = _alike(body)
        name = sp.Symbol(f"bound{height}_{sp.sstr(extent).replace(' ', '')}", integer=True)
        return sp.Sum(inner.xreplace({index: name}), (name, 0, extent - 1)), height + 1
    parts = [_alike(a) for a in e.args]
    return e.func(*(p for p, _ in parts)), max(h for _, h in parts)


def _rows_alike(free: tuple[sp.Symbol, ...], rhs: sp.Expr) -> tuple[tuple[sp.Symbol, ...], sp.Expr]:
    """A transposed contraction sums over rows; its row index takes the name that rows have in the other equations."""
    outer = {s.limits[-1][0] for s in rhs.atoms(sp.Sum) if s.has(*free) and s.function.has(sp.Sum)}
    if len(free) != 1 or len(outer) != 1:
        return free, rhs
    other = outer.pop()
    return (other,), rhs.xreplace({free[0]: other, other: free[0]})

"""From a schedule to the loop form: views into the flat buffers, rows, inner loops."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import sympy as sp

from qnnsym.codegen.loops import Accumulate, Assign, Function, Let, Loop, Row, View
from qnnsym.equations.indexed import Array, EquationSet, IndexSet
from qnnsym.equations.schedule import Definition, Nest, schedule

BUFFERS = {"state": "state", "external": "ext", "parameter": "par"}


@lru_cache(maxsize=64)
def lower(equations: EquationSet) -> Function:
    """The loop form of an equation set (any family: networks and pointwise fields alike).

    Kept for sets seen before: a solver asks for the size of the work array of every run.
    """
    return _Lowering(equations).function()


class _Lowering:
    def __init__(self, equations: EquationSet) -> None:
        self.equations = equations
        self.plan = schedule(equations)
        self.views: dict[str, View] = {}
        self.sizes = dict.fromkeys(("state", "ext", "par", "work", "rates"), sp.S.Zero)
        self.sizes["par"] = sp.Integer(len(equations.scalars))
        for array in equations.arrays:
            self._place(array.name, BUFFERS[array.role], array)
        for array in equations.outputs:
            self._place(array.name, "rates", array)

    def _place(self, name: str, buffer: str, array: Array) -> None:
        extents = tuple(axis.extent for axis in array.axes)
        self.views[name] = View(name, buffer, self.sizes[buffer], extents)
        self.sizes[buffer] = sp.expand(self.sizes[buffer] + array.size)

    def _workspace(self, name: str, home: IndexSet) -> None:
        self.views[name] = View(name, "work", self.sizes["work"], (home.extent,))
        self.sizes["work"] = sp.expand(self.sizes["work"] + home.extent)

    def function(self) -> Function:
        for stack in self.equations.stacks:
            self._workspace(stack.name, stack.axis)
        for d in self.plan.definitions:
            if d.stored and d.home is not None:
                self._workspace(d.symbol.name, d.home)
        body: list = [Let(d.symbol.name, d.expression) for d in self.plan.scalars]
        body += self._stacks()
        for nest in self.plan.nests:
            body += self._nest(nest)
        for entry in self.equations.entries:
            body.append(Accumulate(self._flat(entry.target), self._flat(entry.rhs)))
        eq = self.equations
        return Function(
            eq.name,
            eq.sizes,
            eq.scalars,
            tuple(self.views.values()),
            tuple(body),
            work=self.sizes["work"],
            state_size=self.sizes["state"],
            output_size=self.sizes["rates"],
            external_size=self.sizes["ext"],
            parameter_size=self.sizes["par"],
        )

    def _stacks(self) -> list:
        """Fill assembled vectors before anything reads them."""
        body: list = []
        for stack in self.equations.stacks:
            for (piece, axis), offset in zip(stack.pieces, stack.offsets(), strict=True):
                if axis is None:
                    body.append(Assign(stack.base[offset], sp.Float(piece) if piece else sp.S.Zero))
                    continue
                index = axis.index(0)
                value = piece.base[index] if isinstance(piece, Array) else sp.sympify(piece)
                name = f"{stack.name}_{piece.name if isinstance(piece, Array) else axis.letter}"
                part = View(name, "work", self.views[stack.name].offset + offset, (axis.extent,))
                self.views[part.name] = part
                target = sp.IndexedBase(sp.Symbol(part.name, real=True))[index]
                body.append(Loop(index, axis.extent, (Assign(target, value),)))
        return body

    # nests ------------------------------------------------------------------------------------------------
    def _nest(self, nest: Nest) -> list:
        sums = [d for d in nest.definitions if d.kind == "accumulate"]
        before: list = []
        for d in sums:
            if d.row is None:
                before.append(Let(d.symbol.name, sp.S.Zero))
            else:
                assert d.home is not None
                before.append(Loop(d.row, d.home.extent, (Assign(d.entry, sp.S.Zero),)))
        if nest.home is None:
            return before + [Let(d.symbol.name, d.expression) for d in nest.definitions]
        row = nest.home.index(0)
        body: list = []
        own = [d for d in nest.definitions if d.kind != "accumulate"]
        local = {d.entry: d.symbol for d in own if not d.stored}
        for stage in range(max((d.stage for d in own), default=-1) + 1):
            body += self._reductions([d for d in own if d.kind == "reduce" and d.stage == stage], local)
            body += [self._value(d, local) for d in own if d.kind == "value" and d.stage == stage]
        for s in nest.statements:
            if s.column is None:
                node = Accumulate if s.accumulate else Assign
                body.append(node(s.target, s.expression.xreplace(local)))
        for d in sums:
            if d.row is None:
                body.append(Accumulate(d.symbol, d.expression.xreplace(local)))
        body += self._inner(nest, sums, local)
        rows, body = self._rows(body, row)
        return [*before, Loop(row, nest.home.extent, (*rows, *body))]

    def _value(self, d: Definition, local: dict):
        value = d.expression.xreplace(local)
        return Assign(d.entry, value) if d.stored else Let(d.symbol.name, value)

    def _reductions(self, definitions: list[Definition], local: dict) -> list:
        """Reductions of one stage over the same range share one inner loop."""
        # A stored sum is gathered in a scalar of its own: its name already belongs to the array.
        totals = {
            d.symbol: sp.Symbol(d.symbol.name + "_sum", real=True) if d.stored else d.symbol for d in definitions
        }
        body: list = [Let(totals[d.symbol].name, sp.S.Zero) for d in definitions]
        for index, home in dict.fromkeys((d.bound, d.bound_home) for d in definitions):
            assert index is not None and home is not None
            group = [d for d in definitions if d.bound == index]
            inner = tuple(Accumulate(totals[d.symbol], d.expression.xreplace(local)) for d in group)
            body.append(Loop(index, home.extent, inner))
        body += [Assign(d.entry, totals[d.symbol]) for d in definitions if d.stored]
        return body

    def _inner(self, nest: Nest, sums: list[Definition], local: dict) -> list:
        """Statements with a column index, fused by column range; common subexpressions shared inside."""
        groups: dict[tuple, list] = {}
        for s in nest.statements:
            if s.column is not None:
                node = Accumulate if s.accumulate else Assign
                groups.setdefault((s.column, s.column_home), []).append(node(s.target, s.expression.xreplace(local)))
        for d in sums:
            if d.row is not None:
                column, expression = d.row, d.expression
                if d.row == nest.home.index(0):  # the free index must not be the row's name
                    column = nest.home.index(1)
                    swap = sp.Dummy(integer=True)
                    expression = expression.subs(d.row, swap).subs(d.bound, d.row).subs(swap, column)
                target = sp.IndexedBase(d.symbol)[column]
                groups.setdefault((column, d.home), []).append(Accumulate(target, expression.xreplace(local)))
        return [Loop(column, home.extent, self._shared(_merged(nodes))) for (column, home), nodes in groups.items()]

    @staticmethod
    def _shared(nodes: list) -> tuple:
        names = (sp.Symbol(f"c{n}", real=True) for n in range(10_000))
        pairs, values = sp.cse([n.value for n in nodes], symbols=names, order="none")
        lets = [Let(symbol.name, value) for symbol, value in pairs]
        return (*lets, *(type(n)(n.target, v) for n, v in zip(nodes, values, strict=True)))

    def _rows(self, body: list, row: sp.Symbol) -> tuple[list[Row], list]:
        """Replace matrix entries A[row, start + j] by entries of row pieces, each taken once."""
        rows: dict[tuple[str, sp.Expr], Row] = {}

        def entry(part: sp.Expr) -> sp.Expr:
            if isinstance(part, sp.Indexed) and len(part.indices) == 2:
                name = str(part.base.label)
                column = [s for s in part.indices[1].free_symbols if s in self._columns]
                start = part.indices[1] - column[0] if column else part.indices[1]
                known = rows.get((name, start))
                if known is None:
                    count = sum(r.view.name == name for r in rows.values())
                    label = f"{name}_row" + (str(count) if count else "")
                    known = rows[name, start] = Row(label, self.views[name], row, start)
                return sp.IndexedBase(sp.Symbol(known.name, real=True))[column[0] if column else 0]
            if not part.args or isinstance(part, sp.Indexed):
                return part
            return part.func(*(entry(a) for a in part.args))

        return_body = [_mapped(node, entry) for node in body]
        return list(rows.values()), return_body

    @property
    def _columns(self) -> set[sp.Symbol]:
        return {s.index(n) for s in self.equations.index_sets() for n in range(6)}

    def _flat(self, expression: sp.Expr) -> sp.Expr:
        """Entries with integer indices of any rank, as entries of the flat view."""

        def walk(part: sp.Expr) -> sp.Expr:
            if isinstance(part, sp.Indexed):
                view = self.views[str(part.base.label)]
                position = part.indices[0]
                for index, extent in zip(part.indices[1:], view.extents[1:], strict=True):
                    position = position * extent + index
                return part.func(part.base, sp.expand(position))
            return part.func(*(walk(a) for a in part.args)) if part.args else part

        return walk(expression)


def _merged(nodes: list) -> list:
    """Accumulations into the same entry as one: the entry is read and written once."""
    merged: dict[tuple, list] = {}
    for node in nodes:
        merged.setdefault((type(node), node.target), []).append(node.value)
    return [kind(target, sp.Add(*values)) for (kind, target), values in merged.items()]


def _mapped(node, entry):
    if isinstance(node, Loop):
        return Loop(node.index, node.extent, tuple(_mapped(n, entry) for n in node.body))
    if isinstance(node, (Assign, Accumulate)):
        return type(node)(entry(node.target), entry(node.value))
    return Let(node.name, entry(node.value)) if isinstance(node, Let) else node


def walk(nodes: Iterable) -> Iterable:
    """Every node of a body, loops opened."""
    for node in nodes:
        yield node
        if isinstance(node, Loop):
            yield from walk(node.body)

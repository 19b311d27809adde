"""From a schedule to the loop form: views into the flat buffers, rows, inner loops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from qnnsym.codegen.elementary import PACKED
from qnnsym.codegen.loops import Accumulate, Assign, Function, Let, Loop, Row, View
from qnnsym.equations.indexed import Array, EquationSet, IndexSet
from qnnsym.equations.schedule import Definition, Nest, schedule

BUFFERS = {"state": "state", "external": "ext", "parameter": "par"}
# Rows whose activations are evaluated together: two vectors of eight, and their weights are still in the cache when the
# rows are read again (all rows at once would read W from memory twice).
BLOCK = 16


@dataclass(frozen=True)
class Blocked(Loop):
    """A row loop whose activations wait for sums over the row; only the numba emitter takes it in parts.

    A value that passes from one part to the next has a buffer of one block, named like the value with `_row` after it.
    """

    before: tuple = ()  # up to the sums, storing the arguments of the activations
    packed: tuple = ()  # one assignment per activation, in place
    after: tuple = ()  # the rest
    buffers: tuple[str, ...] = ()


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
        self.buffers: list[str] = []
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
        entrywise = [s for s in nest.statements if self._entrywise(s, row)]
        body += self._inner([s for s in nest.statements if s not in entrywise], nest, sums, local)
        rows, body = self._rows(body, row)
        loop = blocked(Loop(row, nest.home.extent, (*rows, *body)), len(self.buffers))
        for name in loop.buffers if isinstance(loop, Blocked) else ():
            self.views[name] = View(name, "work", self.sizes["work"], (sp.Integer(BLOCK),))
            self.sizes["work"] += BLOCK
            self.buffers.append(name)
        return [*before, *map(self._whole, entrywise), *([loop] if body else [])]

    def _entrywise(self, s, row: sp.Symbol) -> bool:
        """Whether a statement takes a matrix from other matrices entry by entry, with nothing of its row or column."""
        if s.column is None or s.accumulate:
            return False
        entries = s.expression.atoms(sp.Indexed)
        inside = {i for e in entries for i in e.indices} | {row, s.column}
        plain = all(tuple(e.indices) == (row, s.column) for e in (*entries, s.target))
        return plain and not (s.expression.free_symbols - _symbols_of(entries)) & (inside | self._rowwise)

    def _whole(self, s) -> Loop:
        """One loop over all entries of a matrix."""
        view = self.views[str(s.target.base.label)]
        at = sp.Symbol("entry", integer=True)

        def flat(e: sp.Indexed) -> sp.Indexed:
            return e.base[at]

        value = s.expression.xreplace({e: flat(e) for e in s.expression.atoms(sp.Indexed)})
        return Loop(at, sp.expand(sp.Mul(*view.extents)), (Assign(flat(s.target), value),))

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

    def _inner(self, statements: list, nest: Nest, sums: list[Definition], local: dict) -> list:
        """Statements with a column index, fused by column range; common subexpressions shared inside."""
        groups: dict[tuple, list] = {}
        for s in statements:
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
    def _rowwise(self) -> set[sp.Symbol]:
        """Symbols of values that a row has of its own."""
        return {d.symbol for d in self.plan.definitions if d.row is not None}

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


def blocked(loop: Loop, number: int = 0) -> Loop:
    """A row loop cut at its first activation, if that follows a sum over the row; the loop itself otherwise.

    An activation that waits for its sum costs the row 20 ns, be it a call of the C library or the sixty instructions of
    this package's own text; by blocks it costs 8 with everything, and no row is fetched from memory twice.

    Arguments:
        loop: the loop.
        number: of the first activation that no statement has named yet; it is called f<number>.
    """
    rows = [n for n in loop.body if isinstance(n, Row)]
    body = [n for n in loop.body if not isinstance(n, Row)]
    cut = next((n for n, node in enumerate(body) if _activations(node)), 0)
    if not any(isinstance(node, Loop) for node in body[:cut]):
        return loop
    # What the rest of the row computes first is not known when the arguments are stored.
    later = {n.name for n in walk(body[cut:]) if isinstance(n, Let)}
    for node in walk(body[cut:]):
        if isinstance(node, (Assign, Accumulate)):
            later.add(str(node.target.base.label if isinstance(node.target, sp.Indexed) else node.target))
    calls: dict[sp.Expr, sp.Symbol] = {}
    for node in body[cut:]:
        for call in _activations(node):
            if call not in calls and not _names(call) & later:
                named = isinstance(node, Let) and node.value == call
                calls[call] = sp.Symbol(node.name if named else f"f{number + len(calls)}", real=True)
    if not calls:
        return loop
    after = [_mapped(node, lambda e: e.xreplace(calls)) for node in body[cut:]]
    after = [node for node in after if not (isinstance(node, Let) and node.name == str(node.value))]
    needed = {name for node in walk(after) for name in _names(*_expressions(node))}
    passed = [sp.Symbol(n.name, real=True) for n in body[:cut] if isinstance(n, Let) and n.name in needed]
    at = loop.index - sp.Symbol(f"{loop.index}_row", integer=True)

    def buffer(symbol: sp.Symbol, index: sp.Expr) -> sp.Expr:
        return sp.IndexedBase(sp.Symbol(f"{symbol.name}_row", real=True))[index]

    before = [*body[:cut], *(Assign(buffer(f, at), call.args[0]) for call, f in calls.items())]
    before += [Assign(buffer(s, at), s) for s in passed]
    packed = [Assign(buffer(f, loop.index), call.func(buffer(f, loop.index))) for call, f in calls.items()]
    after = [*(Let(s.name, buffer(s, at)) for s in (*calls.values(), *passed)), *after]

    def with_rows(nodes: list) -> tuple:
        named = {name for node in walk(nodes) for name in _names(*_expressions(node))}
        return (*(r for r in rows if r.name in named), *nodes)

    buffers = tuple(f"{s.name}_row" for s in (*calls.values(), *passed))
    return Blocked(loop.index, loop.extent, loop.body, with_rows(before), tuple(packed), with_rows(after), buffers)


def _activations(node) -> list[sp.Expr]:
    """Outermost calls, in a statement of a row, of functions that vectorise."""
    if isinstance(node, Loop):
        return []
    found: list[sp.Expr] = []

    def visit(part: sp.Expr) -> None:
        if type(part).__name__ in PACKED:
            found.append(part)
        else:
            for a in sorted(part.args, key=sp.default_sort_key):
                visit(a)

    visit(node.value)
    return found


def _expressions(node) -> tuple[sp.Expr, ...]:
    return tuple(e for e in (getattr(node, "value", None), getattr(node, "target", None)) if e is not None)


def _symbols_of(entries: Iterable[sp.Expr]) -> set[sp.Basic]:
    return {s for e in entries for s in e.free_symbols}


def _names(*expressions: sp.Expr) -> set[str]:
    """Scalars and arrays that expressions mention."""
    return {s.name for e in expressions for s in e.free_symbols if isinstance(s, sp.Symbol)}


def walk(nodes: Iterable) -> Iterable:
    """Every node of a body, loops opened."""
    for node in nodes:
        yield node
        if isinstance(node, Loop):
            yield from walk(node.body)

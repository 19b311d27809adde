"""From equations to loop nests: name sums, hoist by rank, then fuse by outer index.

    name        every sum inside a function or product becomes a rank-1 (or rank-0) definition, once
    hoist       factors that depend on the row index only, or on no index, become definitions of their own
    orient      a sum over the column index of a matrix is a reduction inside the row; a sum over its row index
                (a transposed contraction) becomes an accumulation in the same row
    fuse        everything over one row index and one dependency level shares one loop: one pass over memory

Definitions are numbered in the order of their creation, which is the order of the equations; no hash decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from qnnsym.equations.calculus import canonical, opened, peel
from qnnsym.equations.indexed import EquationSet, IndexSet
from qnnsym.errors import InputError


@dataclass
class Definition:
    """A named intermediate: `kind` is "scalar", "value", "reduce" (in the row) or "accumulate" (over rows)."""

    symbol: sp.Symbol
    kind: str
    row: sp.Symbol | None  # free index (None for rank 0)
    home: IndexSet | None
    expression: sp.Expr
    bound: sp.Symbol | None = None
    bound_home: IndexSet | None = None
    level: int = 0
    stage: int = 0
    stored: bool = False  # needs a work array: some use lies outside its own loop iteration

    @property
    def entry(self) -> sp.Expr:
        return self.symbol if self.row is None else sp.IndexedBase(self.symbol)[self.row]


@dataclass
class Statement:
    """target (+)= expression inside the loop over `row`, and inside `column` if the target or term has one."""

    target: sp.Indexed
    expression: sp.Expr
    accumulate: bool
    row: sp.Symbol
    home: IndexSet
    column: sp.Symbol | None = None
    column_home: IndexSet | None = None
    level: int = 0


@dataclass
class Nest:
    """One loop over an index set: staged definitions, then statements."""

    home: IndexSet | None
    level: int
    definitions: list[Definition] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)


@dataclass
class Schedule:
    """Scalars computed once, then the nests in order."""

    scalars: list[Definition]
    nests: list[Nest]
    definitions: list[Definition]


def schedule(equations: EquationSet) -> Schedule:
    """The loop nests of an equation set.

    Raises:
        InputError: where an intermediate would need two free indices (a matrix product inside a function).
    """
    pass_ = _Pass(equations)
    for equation in equations.equations:
        pass_.equation(equation.target, equation.rhs)
    return pass_.finish()


def _has_contraction(factor: sp.Expr) -> bool:
    """Whether a sum stands in the factor outside functions: only then do its terms go different ways."""
    return any(isinstance(f, sp.Sum) for term in factor.args for f in sp.Mul.make_args(term))


class _Pass:
    def __init__(self, equations: EquationSet) -> None:
        self.sets = equations.index_sets()
        self.owner = {s.index(n): s for s in self.sets for n in range(6)}
        self.stack_labels = {stack.base.label for stack in equations.stacks}
        self.definitions: list[Definition] = []
        self.by_symbol: dict[sp.Symbol, Definition] = {}
        self.known: dict[tuple, Definition] = {}
        self.statements: list[Statement] = []

    # naming -----------------------------------------------------------------------------------------------
    def indices(self, expression: sp.Expr) -> set[sp.Symbol]:
        return {s for s in expression.free_symbols if s in self.owner}

    def define(self, kind: str, expression: sp.Expr, row: sp.Symbol | None, bound=None) -> sp.Expr:
        """The entry that stands for this expression, reusing an equal definition."""
        home = self.owner[row] if row is not None else None
        bound_home = self.owner[bound] if bound is not None else None
        # One template per index set: the free index carries number 0, the bound one the next free name.
        first = home.index(0) if home is not None else None
        names = {row: first} if row is not None else {}
        if bound is not None:
            names[bound] = bound_home.index(1 if bound_home == home else 0)
            bound = names[bound]
        expression = expression.xreplace(names)
        key = (kind, expression, first, bound)
        found = self.known.get(key)
        if found is None:
            letter = {"scalar": "s", "value": "v", "reduce": "u", "accumulate": "a"}[kind]
            number = sum(d.kind == kind for d in self.definitions)
            found = Definition(
                sp.Symbol(f"{letter}{number}", real=True),
                kind,
                first,
                home,
                expression,
                bound,
                bound_home,
            )
            self.definitions.append(found)
            self.by_symbol[found.symbol] = found
            self.known[key] = found
        return found.symbol if row is None else sp.IndexedBase(found.symbol)[row]

    def name_sums(self, expression: sp.Expr) -> sp.Expr:
        """Replace every sum by its definition, innermost first."""
        if not expression.has(sp.Sum):
            return expression
        if not isinstance(expression, sp.Sum):
            return expression.func(*(self.name_sums(a) for a in expression.args))
        inner, index, _ = peel(expression)
        body = self.name_sums(inner)
        free = self.indices(body) - {index}
        if len(free) > 1:
            raise InputError(
                f"The sum over {index} keeps the free indices {', '.join(sorted(map(str, free)))} inside a function or "
                "product; only vectors are kept as intermediates. Rewrite the Hamiltonian without the matrix product."
            )
        row = free.pop() if free else None
        kind = "accumulate" if row is None or self.transposed(body, index) else "reduce"
        if kind == "reduce":
            return self.define("reduce", self.hoist(body, row, index), row, index)
        return self.define("accumulate", self.hoist(body, index, row), row, index)

    def transposed(self, body: sp.Expr, bound: sp.Symbol) -> bool:
        """Whether the bound index is the slow index of the matrices in the body; inner sums have rows of their own."""
        if isinstance(body, sp.Indexed):
            return len(body.indices) == 2 and body.indices[0].has(bound)
        return not isinstance(body, sp.Sum) and any(self.transposed(a, bound) for a in body.args)

    # hoisting ---------------------------------------------------------------------------------------------
    def hoist(self, expression: sp.Expr, row: sp.Symbol | None, column: sp.Symbol | None = None) -> sp.Expr:
        """Name what depends on fewer indices than the loop the expression sits in, and every function call."""
        free = self.indices(expression)
        if isinstance(expression, (sp.Indexed, sp.Sum)) or not expression.args:
            return expression
        if not free and not expression.is_number:
            return self.define("scalar", expression, None)
        if column is not None and free == {row}:
            return self.define("value", self.hoist(expression, row), row)
        if column is not None and free == {column} and expression.has(sp.Function):
            return self.define("value", self.hoist(expression, column), column)
        if isinstance(expression, (sp.Add, sp.Mul)):
            return self._regroup(expression, row, column)
        rebuilt = expression.func(*(self.hoist(a, row, column) for a in expression.args))
        if column is None and isinstance(expression, sp.Function) and len(free) == 1:
            return self.define("value", rebuilt, row)
        return rebuilt

    def _regroup(self, expression: sp.Expr, row, column) -> sp.Expr:
        """Collect the arguments of a sum or product by the indices they carry before hoisting the groups."""
        numbers, scalars, rows, rest = [], [], [], []
        for argument in expression.args:
            free = self.indices(argument)
            group = (
                numbers
                if argument.is_number
                else scalars
                if not free
                else rows
                if free == {row} and column is not None
                else rest
            )
            group.append(argument)
        if rows and isinstance(expression, sp.Mul):
            rows, scalars = scalars + rows, []
        parts = list(numbers)
        for group in (scalars, rows):
            if group:
                parts.append(self.hoist(expression.func(*group), row, column))
        parts.extend(self.hoist(a, row, column) for a in rest)
        return expression.func(*parts)

    # orientation --------------------------------------------------------------------------------------------
    def equation(self, target: sp.Indexed, rhs: sp.Expr) -> None:
        """Turn one equation into statements: an elementwise part and its transposed contractions."""
        rhs = canonical(rhs, self.sets, frozenset(target.indices))
        plain, transposed = [], []
        for term in opened(rhs, _has_contraction):
            sums = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.Sum)]
            one = len(sums) == 1 and len(target.indices) == 1
            if one and self.transposed(*peel(sums[0])[:2]):
                transposed.append((term, sums[0]))
            else:
                plain.append(term)
        row = target.indices[0]
        for term, contraction in transposed:
            self._accumulation(target, term, contraction)
        if plain or not transposed:
            column = target.indices[1] if len(target.indices) == 2 else None
            value = self.hoist(self.name_sums(sp.Add(*plain)), row, column)
            self.statements.append(
                Statement(
                    target,
                    value,
                    bool(transposed),
                    row,
                    self.owner[row],
                    column,
                    self.owner[column] if column is not None else None,
                )
            )

    def _accumulation(self, target: sp.Indexed, term: sp.Expr, contraction: sp.Sum) -> None:
        """sum_b c(i) g(b) A(b, i) -> for b: for i: target(i) += ..., with b renamed to the row index."""
        (free,), (inner, bound, _) = target.indices, peel(contraction)
        home, bound_home = self.owner[free], self.owner[bound]
        row = bound_home.index(0)
        column = home.index(1) if home == bound_home else home.index(0)
        factors = list(sp.Mul.make_args(term))
        factors.remove(contraction)
        body = self.name_sums(sp.Mul(*factors)) * self.name_sums(inner)
        swap = sp.Dummy(integer=True)
        body = body.subs(bound, swap).subs(free, column).subs(swap, row)
        self.statements.append(
            Statement(
                target.func(target.base, column),
                self.hoist(body, row, column),
                True,
                row,
                bound_home,
                column,
                home,
            )
        )

    # fusion -----------------------------------------------------------------------------------------------
    def _uses(self, expression: sp.Expr) -> list[tuple[Definition, sp.Expr | None]]:
        """Definitions used, with the index they are taken at (None for rank 0)."""
        found: list[tuple[Definition, sp.Expr | None]] = []
        for atom in expression.atoms(sp.Indexed):
            definition = self.by_symbol.get(atom.base.label)
            if definition is not None:
                found.append((definition, atom.indices[0]))
        # An indexed entry lists its array's label among the free symbols; only bare symbols are rank 0.
        found.extend((d, None) for s, d in self.by_symbol.items() if d.row is None and expression.has(s))
        return sorted(found, key=lambda pair: self.definitions.index(pair[0]))

    def _level(self, expression: sp.Expr, row: sp.Symbol | None, home: IndexSet | None) -> tuple[int, int]:
        """Earliest level at which the expression can be evaluated, and the stage inside that nest."""
        level = 0
        if any(e.base.label in self.stack_labels for e in expression.atoms(sp.Indexed)):
            level = 1
        uses = self._uses(expression)
        for used, index in uses:
            if used.kind == "scalar" and used.level < 0:
                continue
            same = index is not None and index == row and used.home == home and used.kind != "accumulate"
            level = max(level, used.level + (0 if same else 1))
        stage = max((u.stage for u, i in uses if i == row and u.level == level and u.home == home), default=0)
        return level, stage

    def finish(self) -> Schedule:
        """Assign levels, decide what is stored, and collect the nests."""
        for d in self.definitions:
            if d.kind == "scalar":
                rest = [u for u, _ in self._uses(d.expression) if not (u.kind == "scalar" and u.level < 0)]
                d.level = max((u.level + 1 for u in rest), default=-1)
            elif d.kind == "accumulate":
                assert d.bound is not None
                d.level = max(1, self._level(d.expression, d.bound, d.bound_home)[0])
            else:
                level, stage = self._level(d.expression, d.row, d.home)
                below = [
                    u for u, i in self._uses(d.expression) if i == d.row and u.level == level and u.home == d.home
                ]
                d.level, d.stage = level, stage + (1 if d.kind == "reduce" and below else 0)
        targets = {s.target.base for s in self.statements if s.accumulate}
        for s in self.statements:
            s.level = self._level(s.expression, s.row, s.home)[0]
        # Nothing reads an output, so matrix outputs wait for the last row loop and share its pass over memory.
        matrices = [s for s in self.statements if s.column is not None]
        for s in matrices:
            s.level = max(m.level for m in matrices if m.home == s.home)
        statements = list(self.statements)
        for base in sorted(targets, key=str):
            statements = self._initialised(base, statements)
        self._check_rows(statements)
        return self._collect(statements)

    def _check_rows(self, statements: list[Statement]) -> None:
        """Matrices are read along the rows of the loop they stand in; another orientation would read wrong entries."""
        readers = [(d.expression, d.bound if d.kind == "accumulate" else d.row) for d in self.definitions]
        readers += [(s.expression, s.row) for s in statements]
        for expression, row in readers:
            for entry in expression.atoms(sp.Indexed):
                if len(entry.indices) == 2 and entry.indices[0] != row:
                    raise InputError(
                        f"The matrix {entry.base} is needed along its rows and along its columns in one product "
                        f"({sp.sstr(expression)[:80]}); write the product as two terms or sums."
                    )

    def _initialised(self, base: sp.IndexedBase, statements: list[Statement]) -> list[Statement]:
        """Make sure an accumulated output is set before its first accumulation."""
        sums = [s for s in statements if s.target.base == base and s.column is not None]
        first = min(s.level for s in sums)
        own = [s for s in statements if s.target.base == base and s.column is None]
        if own and own[0].level < first:
            own[0].accumulate = False
            return statements
        home = sums[0].column_home
        assert home is not None
        zero = Statement(base[home.index(0)], sp.S.Zero, False, home.index(0), home, level=first - 1)
        return [zero, *statements]

    def _collect(self, statements: list[Statement]) -> Schedule:
        nests: dict[tuple[int, str], Nest] = {}

        def nest(home: IndexSet | None, level: int) -> Nest:
            key = (level, home.letter if home is not None else "")
            return nests.setdefault(key, Nest(home, level))

        scalars = [d for d in self.definitions if d.kind == "scalar" and d.level < 0]
        for d in self.definitions:
            if d.kind == "accumulate":
                nest(d.bound_home, d.level).definitions.append(d)
                d.stored = d.row is not None
            elif d.kind != "scalar" or d.level >= 0:
                nest(d.home, d.level).definitions.append(d)
        for s in statements:
            nest(s.home, s.level).statements.append(s)
        readers = [(d.expression, d.bound if d.kind == "accumulate" else d.row,
                    d.bound_home if d.kind == "accumulate" else d.home, d.level) for d in self.definitions]
        readers += [(s.expression, s.row, s.home, s.level) for s in statements]
        for expression, row, home, level in readers:
            for used, index in self._uses(expression):
                if index is not None and not (index == row and used.home == home and used.level == level):
                    used.stored = True
        ordered = sorted(nests.items(), key=lambda item: (item[0][0], item[0][1]))
        return Schedule(scalars, [n for _, n in ordered], self.definitions)

"""The second route of every indexed derivation: the same expressions with sizes put in and sums written out."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import sympy as sp

from qnnsym.equations.indexed import Array, EquationSet, Stack
from qnnsym.errors import InputError

MAX_TERMS = 400


def entry_symbol(name: str, indices: tuple[int, ...]) -> sp.Symbol:
    """The scalar symbol that stands for one array entry."""
    return sp.Symbol(f"{name}_" + "_".join(str(i) for i in indices), real=True)


def unroll(expression: sp.Expr, sizes: Mapping[sp.Symbol, int], stacks: tuple[Stack, ...] = ()) -> sp.Expr:
    """Replace sizes (and free indices given with them) by numbers, sums by their terms, entries by scalar symbols."""
    tables = {stack.base.label: _stack_entries(stack, sizes) for stack in stacks}

    def walk(part: sp.Expr, here: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
        if isinstance(part, sp.Symbol):
            return here.get(part, part)
        if isinstance(part, sp.Sum):
            *inner, (index, low, high) = part.limits
            body = sp.Sum(part.function, *inner) if inner else part.function
            span = range(int(walk(low, here)), int(walk(high, here)) + 1)
            return sp.Add(*(walk(body, {**here, index: sp.Integer(n)}) for n in span))
        if isinstance(part, sp.Indexed):
            indices = tuple(int(walk(i, here)) for i in part.indices)
            if part.base.label in tables:
                return tables[part.base.label][indices[0]]
            return entry_symbol(str(part.base.label), indices)
        if not part.args:
            return part
        return part.func(*(walk(a, here) for a in part.args))

    return walk(expression, {symbol: sp.Integer(n) for symbol, n in sizes.items()})


def _stack_entries(stack: Stack, sizes: Mapping[sp.Symbol, int]) -> list[sp.Expr]:
    entries: list[sp.Expr] = []
    for piece, axis in stack.pieces:
        count = 1 if axis is None else int(axis.extent.subs(sizes))
        for n in range(count):
            entries.append(entry_symbol(piece.name, (n,)) if isinstance(piece, Array) else sp.sympify(piece))
    return entries


def array_entries(array: Array, sizes: Mapping[sp.Symbol, int]) -> list[tuple[tuple[int, ...], sp.Symbol]]:
    """All entries of an array in memory order, with their scalar symbols."""
    ranges = [range(int(axis.extent.subs(sizes))) for axis in array.axes]
    return [(indices, entry_symbol(array.name, indices)) for indices in product(*ranges)]


def entry_sums(
    equations: EquationSet, sizes: Mapping[sp.Symbol, int]
) -> dict[tuple[str, tuple[int, ...]], sp.Expr]:
    """{(output array's name, indices): sum of the irregular terms added to this entry}, in scalar symbols."""
    sums: dict[tuple[str, tuple[int, ...]], sp.Expr] = {}
    for entry in equations.entries:
        place = str(entry.target.base.label), tuple(int(i) for i in entry.target.indices)
        sums[place] = sums.get(place, sp.S.Zero) + unroll(entry.rhs, sizes, equations.stacks)
    return sums


def unrolled_rates(equations: EquationSet, sizes: Mapping[sp.Symbol, int]) -> list[sp.Expr]:
    """Every scalar right-hand side in output order.

    Raises:
        InputError: above the budget of scalar terms; the indexed form is the one to use there.
    """
    total = sum(int(a.size.subs(sizes)) for a in equations.outputs)
    if total > MAX_TERMS:
        raise InputError(
            f"The equations unroll to {total} scalars, more than the budget of {MAX_TERMS}; "
            "use the indexed form, whose text does not depend on the size."
        )
    rates: list[sp.Expr] = []
    by_target = {e.target.base: e for e in equations.equations}
    extra = entry_sums(equations, sizes)
    for array in equations.outputs:
        equation = by_target[array.base]
        for indices, _ in array_entries(array, sizes):
            at = dict(zip(equation.target.indices, indices, strict=True))
            irregular = extra.get((array.name, indices), sp.S.Zero)
            rates.append(unroll(equation.rhs, {**sizes, **at}, equations.stacks) + irregular)
    return rates

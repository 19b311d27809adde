"""Two rows of a row loop at a time: what both rows read or add to is read and written once."""

from __future__ import annotations

import sympy as sp

from qnnsym.codegen.loops import Accumulate, Assign, Let, Loop, Row

SUFFIX = "_next"


def paired(body: tuple, index: sp.Symbol) -> tuple:
    """The body of a row loop for the rows `index` and `index + 1` together.

    Inner loops become one where every target belongs to both rows or is a scalar; a loop that writes into the row stays
    one for each row, because two more streams of stores cost more than they save.

    Arguments:
        body: nodes of the row loop; no row may read what another one writes.
        index: the row.
    """
    second = tuple(_next(node, index, _locals(body)) for node in body)
    nodes: list = []
    for first, other in zip(body, second, strict=True):
        if isinstance(first, Loop) and _shared(first, body):
            nodes.append(Loop(first.index, first.extent, _fused(first.body, other.body)))
        else:
            nodes += [first, other]
    return tuple(nodes)


def _locals(nodes: tuple) -> set[str]:
    """Names that a row gives to its own scalars and pieces of rows."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, (Let, Row)):
            names.add(node.name)
        elif isinstance(node, Loop):
            names |= _locals(node.body)
    return names


def _next(node, index: sp.Symbol, own: set[str]):
    """A node for the next row."""

    def moved(expression: sp.Expr) -> sp.Expr:
        names = {s: sp.Symbol(s.name + SUFFIX, real=True) for s in expression.free_symbols if s.name in own}
        return expression.xreplace({**names, index: index + 1})

    if isinstance(node, Loop):
        return Loop(node.index, node.extent, tuple(_next(n, index, own) for n in node.body))
    if isinstance(node, Row):
        return Row(node.name + SUFFIX, node.view, node.index + 1, node.start)
    if isinstance(node, Let):
        return Let(node.name + SUFFIX, moved(node.value))
    return type(node)(moved(node.target), moved(node.value))


def _shared(loop: Loop, body: tuple) -> bool:
    rows = {n.name for n in body if isinstance(n, Row)}
    targets = [n.target for n in loop.body if isinstance(n, (Assign, Accumulate))]
    plain = all(isinstance(n, (Let, Accumulate)) for n in loop.body)
    return plain and not any(isinstance(t, sp.Indexed) and t.base.label.name in rows for t in targets)


def _fused(first: tuple, second: tuple) -> tuple:
    lets = [n for n in (*first, *second) if isinstance(n, Let)]
    sums: dict[sp.Expr, list[sp.Expr]] = {}
    for node in (*first, *second):
        if isinstance(node, Accumulate):
            sums.setdefault(node.target, []).append(node.value)
    return (*lets, *(Accumulate(target, sp.Add(*values)) for target, values in sums.items()))

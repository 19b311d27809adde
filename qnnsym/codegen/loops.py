"""The loop form: seven kinds of nodes that every emitter understands.

Expressions inside nodes are SymPy expressions over scalars and one-index entries of views and rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp


@dataclass(frozen=True)
class View:
    """A named part of a flat buffer; two extents make it a matrix whose rows are taken with `Row`."""

    name: str
    buffer: str  # state, ext, par, work or rates
    offset: sp.Expr
    extents: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Let:
    """A local scalar."""

    name: str
    value: sp.Expr


@dataclass(frozen=True)
class Row:
    """A contiguous piece of one row of a matrix view, from `start` to the row's end."""

    name: str
    view: View
    index: sp.Symbol
    start: sp.Expr


@dataclass(frozen=True)
class Assign:
    """target = value."""

    target: sp.Expr
    value: sp.Expr


@dataclass(frozen=True)
class Accumulate:
    """target += value."""

    target: sp.Expr
    value: sp.Expr


@dataclass(frozen=True)
class Loop:
    """for index in range(extent): body."""

    index: sp.Symbol
    extent: sp.Expr
    body: tuple


@dataclass(frozen=True)
class Function:
    """A kernel: sizes from `dims`, scalars from `par`, views, then the body."""

    name: str
    sizes: tuple[sp.Symbol, ...]
    scalars: tuple[sp.Symbol, ...]
    views: tuple[View, ...]
    body: tuple
    work: sp.Expr = field(default_factory=lambda: sp.S.Zero)
    state_size: sp.Expr = field(default_factory=lambda: sp.S.Zero)
    output_size: sp.Expr = field(default_factory=lambda: sp.S.Zero)
    external_size: sp.Expr = field(default_factory=lambda: sp.S.Zero)
    parameter_size: sp.Expr = field(default_factory=lambda: sp.S.Zero)

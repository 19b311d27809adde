"""Declarations of index sets and arrays, and the equation set they carry.

An equation reads `target[k, j] = rhs`, where rhs is an ordinary SymPy expression in `Indexed` objects and
`Sum`s that start at 0. Nothing here knows a physical model; sizes stay symbols until a kernel is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp


@dataclass(frozen=True)
class IndexSet:
    """The integers 0 .. extent-1.

    Arguments:
        letter: printed name of its indices.
        extent: SymPy expression in integer size symbols.
    """

    letter: str
    extent: sp.Expr

    def index(self, number: int = 0) -> sp.Symbol:
        """The canonical index symbol with the given number (k, k1, k2, ...)."""
        return sp.Symbol(self.letter + (str(number) if number else ""), integer=True)

    def sum(self, body: sp.Expr, index: sp.Symbol) -> sp.Sum:
        """Sum of body over this set."""
        return sp.Sum(body, (index, 0, self.extent - 1))


@dataclass(frozen=True)
class Array:
    """An array over index sets.

    Arguments:
        name: printed name.
        axes: index sets, first axis slowest in memory.
        role: "state", "external" (values of other trajectories at t) or "parameter".
    """

    name: str
    axes: tuple[IndexSet, ...]
    role: str = "state"
    latex: str = ""

    @property
    def base(self) -> sp.IndexedBase:
        return sp.IndexedBase(sp.Symbol(self.name, real=True))

    def __getitem__(self, indices: Any) -> sp.Indexed:
        return self.base[indices]

    @property
    def size(self) -> sp.Expr:
        return sp.Mul(*(axis.extent for axis in self.axes))


@dataclass(frozen=True)
class Stack:
    """A vector assembled from pieces laid end to end: arrays of rank one and constants.

    Differentiating it gives a delta with the piece's offset; the offset is the inclusion of the piece's
    index set into the whole, so contracting that delta needs no case distinction.
    """

    name: str
    axis: IndexSet
    pieces: tuple[tuple[Any, IndexSet | None], ...]  # (Array or number, its index set or None for one entry)

    @property
    def base(self) -> sp.IndexedBase:
        return sp.IndexedBase(sp.Symbol(self.name, real=True))

    def __getitem__(self, index: Any) -> sp.Indexed:
        return self.base[index]

    def offsets(self) -> list[sp.Expr]:
        """Where each piece begins."""
        starts, position = [], sp.S.Zero
        for _, axis in self.pieces:
            starts.append(position)
            position = position + (axis.extent if axis is not None else 1)
        return starts


@dataclass(frozen=True)
class Equation:
    """target = rhs for all values of the target's indices; `scalar` equations add to single entries."""

    target: sp.Indexed
    rhs: sp.Expr


@dataclass(frozen=True)
class EquationSet:
    """Equations with the declarations that give them meaning.

    Attributes:
        name: kernel name ("rhs", "potential", ...).
        sizes: integer symbols, in the order of the kernel's `dims`.
        scalars: parameter symbols, in the order of the kernel's `par`.
        arrays: states, externals and parameter arrays, in the order of their buffers.
        stacks: assembled vectors.
        outputs: arrays written, in the order of the output buffer.
        equations: one per output array.
        entries: (target with integer indices, expression): irregular terms added to single entries.
    """

    name: str
    sizes: tuple[sp.Symbol, ...]
    scalars: tuple[sp.Symbol, ...]
    arrays: tuple[Array, ...]
    stacks: tuple[Stack, ...]
    outputs: tuple[Array, ...]
    equations: tuple[Equation, ...]
    entries: tuple[Equation, ...] = ()
    time: sp.Symbol = field(default_factory=lambda: sp.Symbol("t", real=True))

    def changed(self, **changes: Any) -> EquationSet:
        """The same set with some fields replaced."""
        return replace(self, **changes)

    def index_sets(self) -> list[IndexSet]:
        """All index sets in order of first appearance."""
        seen: dict[IndexSet, None] = {}
        for array in (*self.arrays, *self.outputs):
            seen.update(dict.fromkeys(array.axes))
        for stack in self.stacks:
            seen.setdefault(stack.axis)
            seen.update(dict.fromkeys(axis for _, axis in stack.pieces if axis is not None))
        return list(seen)

    def named(self, name: str) -> Array:
        """The declared array of this name."""
        return next(a for a in (*self.arrays, *self.outputs) if a.name == name)

"""H = T(p) + U(x) + M(x, p): what sums to all orders of hbar in a representation of its own, and the table of the rest.

    T, U    the factors K(p, k) and V(x, theta), exact to all orders
    M       rows c(x, p) d^alpha W, exact where M is a polynomial, because then they end
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.equation import MoyalEquation, moyal_equation
from qnnsym.phase_space.space import PhaseSpace


class Row(NamedTuple):
    """coefficient * d_x^dx d_p^dp W, all powers of hbar in the coefficient."""

    coefficient: sp.Expr
    dx: tuple[int, ...]
    dp: tuple[int, ...]


@dataclass(frozen=True)
class Parts:
    """The parts of a Hamiltonian; made by `Parts.of`.

    Attributes:
        equation: the Moyal equation of the whole H.
        kinetic, potential, mixed: T(p), U(x) (constants and functions of time go with it) and M(x, p).
    """

    equation: MoyalEquation
    kinetic: sp.Expr
    potential: sp.Expr
    mixed: sp.Expr

    @classmethod
    def of(cls, equation: MoyalEquation) -> Parts:
        """Sort the terms of H by what they depend on."""
        if equation.kinetic is not None and equation.potential is not None:
            return cls(equation, equation.kinetic, equation.potential, sp.Integer(0))
        xs, ps = set(equation.space.x), set(equation.space.p)
        kinetic, potential, mixed = [], [], []
        for term in sp.Add.make_args(sp.expand(equation.hamiltonian)):
            free = term.free_symbols
            (potential if not free & ps else kinetic if not free & xs else mixed).append(term)
        return cls(equation, sp.Add(*kinetic), sp.Add(*potential), sp.Add(*mixed))

    @property
    def space(self) -> PhaseSpace:
        """The phase space of H."""
        return self.equation.space

    @property
    def ends(self) -> bool:
        """Whether the table of M holds every term, so that the evolution is exact."""
        return moyal_equation(self.mixed, self.space).exact

    def split(self, order: int | None = None) -> tuple[sp.Expr, sp.Expr]:
        """K(p, k) and V(x, theta) of T + U, as `MoyalEquation.split` gives them."""
        return moyal_equation(self.kinetic + self.potential, self.space).split(order)

    def rows(self, order: int | None = None) -> tuple[Row, ...]:
        """The table of M, one row for each derivative of W.

        Arguments:
            order: the highest power of hbar kept; None for all of them.

        Raises:
            InputError: when every order was asked for and the table of M does not end.
        """
        table = moyal_equation(self.mixed, self.space, order)
        if order is None and not table.exact:
            raise InputError(
                f"The part {self.mixed} of H mixes x and p and is no polynomial, so that its table of terms does not "
                'end; give order=2 (or another even power of hbar) in place of order="exact".'
            )
        found: dict[tuple[tuple[int, ...], tuple[int, ...]], list[sp.Expr]] = {}
        for term in table.terms:
            found.setdefault((term.dx, term.dp), []).append(self.space.hbar**term.hbar_power * term.coefficient)
        return tuple(Row(sp.Add(*terms), dx, dp) for (dx, dp), terms in found.items())

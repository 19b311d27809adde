"""Kicked maps: a unitary exp(-i kick/hbar) at all multiples of a period, and the flow of H between them.

In phase space a kick of the positions multiplies W^(x, theta) by exp(i V), V = [k(x + hbar theta/2) -
k(x - hbar theta/2)]/hbar, and one of the momenta W^(k, p) by exp(-i K): the same factors as those of H, for a duration
of one.

Source: M. V. Berry, N. L. Balazs, M. Tabor, A. Voros, Ann. Phys. 122, 26 (1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from qnnsym.equations.numbers import exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.space import PhaseSpace


@dataclass(frozen=True)
class Kicks:
    """Kicks of one degree of freedom.

    Attributes:
        equation: the Moyal equation of the kick, taken as a Hamiltonian.
        kinetic: whether it acts on the momenta.
        period: the time between kicks, an expression in parameters.
    """

    equation: MoyalEquation
    kinetic: bool
    period: sp.Expr

    @classmethod
    def of(cls, kick: Any, period: Any, space: PhaseSpace) -> Kicks | None:
        """The kicks from what users give; None where there are none.

        Raises:
            InputError: for a kick without a period or a period without a kick, a kick of x and p at once, more than
                one degree of freedom, or a period that is not positive.
        """
        if kick is None and period is None:
            return None
        if kick is None:
            raise InputError(f"period={period} is given without a kick; give kick=..., a function of x or of p.")
        if period is None:
            raise InputError(f"kick={kick} is given without a period; give period=..., the time between kicks.")
        if space.dimension != 1:
            raise InputError(
                f"{space!r} has {space.dimension} degrees of freedom; kicks are built for one. Leave kick out."
            )
        symbol = check_hamiltonian(kick, space)
        (x,), (p,) = space.x, space.p
        if symbol.has(x) and symbol.has(p):
            raise InputError(
                f"kick={symbol} mixes x and p, so that it is no exact factor; give a function of x alone or of p alone."
            )
        return cls(moyal_equation(symbol, space), symbol.has(p), _period(period, space))

    @property
    def symbol(self) -> sp.Expr:
        """The Weyl symbol of the kick."""
        return self.equation.hamiltonian

    def factor(self, order: int | None = None) -> sp.Expr:
        """K(p, k) or V(x, theta) of the kick."""
        kinetic, potential = self.equation.split(order)
        return kinetic if self.kinetic else potential


def _period(period: Any, space: PhaseSpace) -> sp.Expr:
    if isinstance(period, sp.Expr) and period.free_symbols:
        unknown = sorted(map(str, period.free_symbols - {space.hbar, *space.defaults}))
        if unknown:
            raise InputError(
                f"The period {period} has the symbol(s) {', '.join(unknown)}; declare them with "
                f"space.parameters({unknown[0]}=1)."
            )
        return period
    number = exact_number(period, "The period")
    if not number.is_positive:
        raise InputError(f"The period is {period}; give a positive number.")
    return number

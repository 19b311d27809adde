"""A Hamiltonian with numbers for all its symbols, from what users give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.equations.numbers import exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space.circle import check_periodic
from qnnsym.phase_space.dissipation import Dissipation
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.kicks import Kicks
from qnnsym.phase_space.space import PhaseSpace


@dataclass(frozen=True)
class Problem:
    """A Hamiltonian, and what acts beside it, with numbers for all symbols."""

    equation: MoyalEquation
    space: PhaseSpace
    hbar: float
    parameters: dict[sp.Symbol, float]  # in the order in which the space declares them
    dissipation: Dissipation | None = None
    kicks: Kicks | None = None
    periodic: bool = False

    @classmethod
    def of(
        cls,
        H: Any,
        space: PhaseSpace,
        hbar: Any,
        values: Mapping[sp.Symbol, Any],
        *,
        dissipation: Any = None,
        kick: Any = None,
        period: Any = None,
        periodic: bool = False,
    ) -> Problem:
        number = as_number(hbar, "hbar")
        if not (np.isfinite(number) and number > 0):
            raise InputError(f"hbar is {hbar}; give a positive number.")
        hamiltonian = check_hamiltonian(H, space)
        equation = moyal_equation(hamiltonian, space)
        parameters = {s: as_number(values.get(s, d), f"The parameter {s}") for s, d in space.defaults.items()}
        negative = [s for s, value in parameters.items() if value < 0]
        if negative:
            raise InputError(
                f"The parameter {negative[0]} is declared positive and was given {parameters[negative[0]]:g}; write "
                "the sign in the Hamiltonian."
            )
        zeros = [s for s, value in parameters.items() if value == 0]
        if zeros and hamiltonian.subs({s: 0 for s in zeros}).has(sp.zoo, sp.nan, sp.oo):
            raise InputError(f"H = {hamiltonian} is not finite with {zeros[0]} = 0; give another number.")
        found = cls(
            equation, space, number, parameters,
            Dissipation.of(dissipation, hamiltonian, space), Kicks.of(kick, period, space), periodic,
        )  # fmt: skip
        if not isinstance(periodic, (bool, np.bool_)):
            raise InputError(f"periodic is {periodic!r}; give True for x on a circle, or False.")
        if periodic:
            found._check_circle()
        return found

    def _check_circle(self) -> None:
        if self.space.dimension != 1:
            raise InputError("A circle is built for one degree of freedom; leave periodic out.")
        if self.dissipation is not None:
            raise InputError(
                "On a circle neither x nor p x are operators, so that these open terms do not exist there; leave "
                "dissipation or periodic out."
            )
        (x,), hamiltonian = self.space.x, self.equation.hamiltonian
        check_periodic(hamiltonian, x, "H", self.numbers)
        if self.kicks is not None:
            check_periodic(self.kicks.symbol, x, "The kick", self.numbers)

    @property
    def numbers(self) -> dict[sp.Symbol, float]:
        """A number for every symbol but x, p and t."""
        return {**self.parameters, self.space.hbar: self.hbar}

    @property
    def autonomous(self) -> bool:
        """Whether the energy is conserved."""
        return not (self.equation.hamiltonian.has(self.space.t) or self.dissipation or self.kicks)

    @property
    def period(self) -> float:
        """Time between kicks."""
        assert self.kicks is not None
        period = self._number(self.kicks.period, "The period")
        if not period > 0:
            raise InputError(f"The period {self.kicks.period} is {period:g}; give positive numbers for its parameters.")
        return period

    @property
    def rates(self) -> tuple[float, ...]:
        """(a, b, D_x, D_p) of the open terms in numbers; zeros where nothing is open."""
        if self.dissipation is None:
            return (0.0,) * 4
        return tuple(self._number(rate, "A rate of dissipation") for rate in self.dissipation.rates)

    def _number(self, expression: sp.Expr, what: str) -> float:
        number = complex(expression.subs(self.numbers).evalf())
        if number.imag or not np.isfinite(number.real) or number.real < 0:
            raise InputError(
                f"{what} is {expression} = {number:.6g} with the parameters given; it has to be real and not negative. "
                "Give other parameters, or a length where this is the oscillator's."
            )
        return number.real


# Relative errors below this are rounding, whatever the steps.
SMALLEST_TOLERANCE = 1e-14


def check_settings(tolerance: Any, step: Any, workers: Any) -> None:
    """Make sure that the settings of an evolution are numbers that it can work with.

    Raises:
        InputError: saying which is not.
    """
    known = (int, float, np.integer, np.floating, sp.Number)
    if isinstance(tolerance, bool) or not (isinstance(tolerance, known) and 0 < tolerance < 1):
        raise InputError(f"The tolerance is {tolerance!r}; give a number between 0 and 1.")
    if tolerance < SMALLEST_TOLERANCE:
        raise InputError(
            f"The tolerance is {float(tolerance):g}, below what double precision can hold; give at least "
            f"{SMALLEST_TOLERANCE:g}."
        )
    number = isinstance(step, known) and not isinstance(step, bool) and np.isfinite(float(step)) and step > 0
    if step is not None and not number:
        raise InputError(f"step is {step!r}; give a positive number, or None to have it chosen.")
    whole = isinstance(workers, (int, np.integer)) and not isinstance(workers, bool)
    if not (whole and (workers >= 1 or workers == -1)):
        raise InputError(f"workers is {workers!r}; give a number of threads of at least 1, or -1 for all cores.")


def as_number(value: Any, what: str) -> float:
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"{what} is {value!r}; give a number.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {value!r}; give a number.") from None
    if not np.isfinite(number):
        raise InputError(f"{what} is {value}; give a finite number.")
    return number


def highest_power(order: Any) -> int | None:
    """The highest power of hbar, None for all."""
    if order is None or (isinstance(order, str) and order == "exact"):
        return None
    if isinstance(order, bool) or not isinstance(order, (int, np.integer, sp.Integer)) or order < 0 or order % 2:
        raise InputError(f'order={order!r} is no order in hbar; give "exact" or an even number 0, 2, 4, ... .')
    return int(order)


def with_values(
    H: Any, space: PhaseSpace, values: Mapping[Any, Any] | None, kick: Any = None
) -> tuple[Any, Any, dict[sp.Symbol, Any]]:
    """(H and kick with undeclared symbols replaced by their given values, {declared symbol: value})."""
    if not isinstance(space, PhaseSpace):
        raise InputError(f'space={space!r} is no phase space; give PhaseSpace("x", "p").')
    if not values:
        return H, kick, {}
    free = {s.name: s for given in (kick, H) for s in getattr(given, "free_symbols", ())}
    declared = {s.name: s for s in space.defaults}
    reserved = {s.name for s in (*space.variables, space.hbar, space.t)}
    replaced, found = {}, {}
    for key, value in values.items():
        name = str(key)
        if name in declared:
            found[declared[name]] = value
        elif name in free and name not in reserved:
            replaced[free[name]] = exact_number(value, f"The parameter {name}")
        else:
            known = ", ".join(sorted({*declared, *free} - reserved)) or "none"
            raise InputError(f"values names {name}, which is no parameter of H; the parameters are: {known}.")
    H, kick = (e.xreplace(replaced) if replaced and isinstance(e, sp.Basic) else e for e in (H, kick))
    return H, kick, found

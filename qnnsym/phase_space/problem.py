"""A Hamiltonian with numbers for all its symbols, from what users give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.equations.numbers import exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.space import PhaseSpace


@dataclass(frozen=True)
class Problem:
    """A Hamiltonian with numbers for all its symbols."""

    equation: MoyalEquation
    space: PhaseSpace
    hbar: float
    parameters: dict[sp.Symbol, float]  # in the order in which the space declares them

    @classmethod
    def of(cls, H: Any, space: PhaseSpace, hbar: Any, values: Mapping[sp.Symbol, Any]) -> Problem:
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
        return cls(equation, space, number, parameters)

    @property
    def numbers(self) -> dict[sp.Symbol, float]:
        return {**self.parameters, self.space.hbar: self.hbar}


def as_number(value: Any, what: str) -> float:
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


def with_values(H: Any, space: PhaseSpace, values: Mapping[Any, Any] | None) -> tuple[Any, dict[sp.Symbol, Any]]:
    """(H with undeclared symbols replaced by their given values, {declared symbol: value})."""
    if not isinstance(space, PhaseSpace):
        raise InputError(f'space={space!r} is no phase space; give PhaseSpace("x", "p").')
    if not values:
        return H, {}
    free = {s.name: s for s in getattr(H, "free_symbols", ())}
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
    return (H.xreplace(replaced) if replaced else H), found

"""The pointwise fields of the split evolution as structured equations: what phase-space kernels are made from.

    kinetic     K(k, p)     = [T(p + hbar k/2) - T(p - hbar k/2)]/hbar          dW^/dt = -i K W^
    potential   V(x, theta) = [U(x + hbar theta/2) - U(x - hbar theta/2)]/hbar  dW^/dt = +i V W^
    kick        the same of the kick's symbol, for a kicked model

Each is one array over two index sets whose extents are the numbers of grid points, known when the kernel runs.
"""

from __future__ import annotations

import sympy as sp

from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet
from qnnsym.equations.names import identifier
from qnnsym.errors import InputError
from qnnsym.phase_space.equation import MoyalEquation
from qnnsym.phase_space.kicks import Kicks

# Truncations that every model's kernels carry beside the exact form: Liouville's and the first correction.
ORDERS: tuple[int | None, ...] = (None, 0, 2)


def field_name(factor: str, order: int | None) -> str:
    """Name of a kernel: "potential" for all orders of hbar, "potential_2" for those up to hbar^2."""
    return factor if order is None else f"{factor}_{order}"


def field_equations(
    equation: MoyalEquation, orders: tuple[int | None, ...] = ORDERS, kicks: Kicks | None = None
) -> dict[str, EquationSet]:
    """The pointwise equation sets of a Hamiltonian T(p) + U(x) with one degree of freedom.

    Arguments:
        equation: the Moyal equation.
        orders: highest powers of hbar kept, None for all of them.
        kicks: of a kicked model.

    Returns:
        {name: EquationSet}; the arrays are ordered (k, p) for the kinetic and (x, theta) for the potential field,
        the scalars are hbar and the space's declared parameters in order.

    Raises:
        InputError: for more than one degree of freedom, or when H is not T(p) + U(x).
    """
    space = equation.space
    if space.dimension != 1:
        raise InputError(
            f"{space!r} has {space.dimension} degrees of freedom; grid kernels are generated for one. Use the table of "
            "terms (`qnnsym derive`) for more."
        )
    found: dict[str, EquationSet] = {}
    for order in orders:
        kinetic, potential = equation.split(order)
        for factor, value, variables in (
            ("kinetic", kinetic, (space.k[0], space.p[0])),
            ("potential", potential, (space.x[0], space.theta[0])),
        ):
            name = field_name(factor, order)
            found[name] = _field(name, value, variables, equation)
        if kicks is not None:
            name = field_name("kick", order)
            variables = (space.k[0], space.p[0]) if kicks.kinetic else (space.x[0], space.theta[0])
            found[name] = _field(name, kicks.factor(order), variables, equation)
    return found


def _field(name: str, value: sp.Expr, variables: tuple[sp.Symbol, ...], equation: MoyalEquation) -> EquationSet:
    space = equation.space
    taken = {"i", "j", "n_i", "n_j", "t", "field"}
    # Time is an argument of every kernel.
    rename: dict[sp.Symbol, sp.Symbol] = {space.t: sp.Symbol("t", real=True)}
    for symbol in (space.hbar, *space.defaults):
        rename[symbol] = sp.Symbol(identifier(symbol.name, taken), real=True)
        taken.add(rename[symbol].name)
    axes = tuple(IndexSet(letter, sp.Symbol(f"n_{letter}", integer=True, positive=True)) for letter in "ij")
    arrays = []
    for symbol, axis in zip(variables, axes, strict=True):
        arrays.append(Array(identifier(symbol.name, taken), (axis,)))
        taken.add(arrays[-1].name)
    at = tuple(axis.index(0) for axis in axes)
    entries = {s: array[index] for s, array, index in zip(variables, arrays, at, strict=True)}
    output = Array("field", axes)
    return EquationSet(
        name,
        tuple(axis.extent for axis in axes),
        tuple(rename[s] for s in (space.hbar, *space.defaults)),
        tuple(arrays),
        (),
        (output,),
        (Equation(output[at], value.xreplace({**rename, **entries})),),
    )

"""The pointwise fields of the split evolution as structured equations: what phase-space kernels are made from.

    kinetic     K(k, p)     = [T(p + hbar k/2) - T(p - hbar k/2)]/hbar          dW^/dt = -i K W^
    potential   V(x, theta) = [U(x + hbar theta/2) - U(x - hbar theta/2)]/hbar  dW^/dt = +i V W^
    kick        the same of the kick's symbol, for a kicked model

Each is one array over two index sets whose extents are the numbers of grid points, known when the kernel runs.

For several degrees of freedom, and for an H that mixes x and p, the fields are functions of a list of points, which
holds the values of all variables; what does not split is the table of terms, one array of coefficients a row.
"""

from __future__ import annotations

import sympy as sp

from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet
from qnnsym.equations.names import identifier
from qnnsym.phase_space.equation import MoyalEquation
from qnnsym.phase_space.kicks import Kicks
from qnnsym.phase_space.parts import Parts

# Truncations that every model's kernels carry beside the exact form: Liouville's and the first correction.
ORDERS: tuple[int | None, ...] = (None, 0, 2)


def field_name(factor: str, order: int | None) -> str:
    """Name of a kernel: "potential" for all orders of hbar, "potential_2" for those up to hbar^2."""
    return factor if order is None else f"{factor}_{order}"


def field_equations(
    equation: MoyalEquation, orders: tuple[int | None, ...] = ORDERS, kicks: Kicks | None = None
) -> dict[str, EquationSet]:
    """The pointwise equation sets of a Hamiltonian.

    Arguments:
        equation: the Moyal equation.
        orders: highest powers of hbar kept, None for all of them.
        kicks: of a kicked model.

    Returns:
        {name: EquationSet}, the scalars are hbar and the space's declared parameters in order. For H = T(p) + U(x) with
        one degree of freedom the arrays are ordered (k, p) for the kinetic and (x, theta) for the potential field; else
        as `joint_equations` says.
    """
    space = equation.space
    if space.dimension != 1 or not equation.separable:
        return joint_equations(Parts.of(equation), orders)
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


def joint_equations(parts: Parts, orders: tuple[int | None, ...] = ORDERS) -> dict[str, EquationSet]:
    """The pointwise equation sets of any Hamiltonian, over a list of points.

    Arguments:
        parts: T(p) + U(x) + M(x, p).
        orders: highest powers of hbar kept; all of them (None) are left out where the table of M does not end.

    Returns:
        {name: EquationSet} over one index set. The kinetic field takes arrays (k_1, ..., p_1, ...), the potential one
        (x_1, ..., theta_1, ...); the table, there unless M = 0, takes (x_1, ..., p_1, ...) and has one output for each
        of `parts.rows(order)`.
    """
    space, found = parts.space, {}
    for order in orders:
        if order is None and not parts.ends:
            continue
        kinetic, potential = parts.split(order)
        rows = parts.rows(order)
        outputs: list[tuple[str, list[tuple[str, sp.Expr]], tuple[sp.Symbol, ...]]] = [
            ("kinetic", [("field", kinetic)], space.k + space.p),
            ("potential", [("field", potential)], space.x + space.theta),
        ]
        if rows:
            named = [("_".join(map(str, ("row", *row.dx, *row.dp))), row.coefficient) for row in rows]
            outputs.append(("table", named, space.variables))
        for factor, entries, variables in outputs:
            name = field_name(factor, order)
            found[name] = _pointwise(name, entries, variables, parts.equation)
    return found


def _pointwise(
    name: str, entries: list[tuple[str, sp.Expr]], variables: tuple[sp.Symbol, ...], equation: MoyalEquation
) -> EquationSet:
    taken = {"i", "n_i", "t", *(output for output, _ in entries)}
    rename = _scalars(equation, taken)
    axis = IndexSet("i", sp.Symbol("n_i", integer=True, positive=True))
    at, arrays, values = axis.index(0), [], {}
    for symbol in variables:
        arrays.append(Array(identifier(symbol.name, taken), (axis,)))
        taken.add(arrays[-1].name)
        values[symbol] = arrays[-1][at]
    outputs = tuple(Array(output, (axis,)) for output, _ in entries)
    space = equation.space
    return EquationSet(
        name,
        (axis.extent,),
        tuple(rename[s] for s in (space.hbar, *space.defaults)),
        tuple(arrays),
        (),
        outputs,
        tuple(
            Equation(output[at], value.xreplace({**rename, **values}))
            for output, (_, value) in zip(outputs, entries, strict=True)
        ),
    )


def _scalars(equation: MoyalEquation, taken: set[str]) -> dict[sp.Symbol, sp.Symbol]:
    """{symbol of the space: scalar of the kernel}; the names are added to those that are taken."""
    space = equation.space
    # Time is an argument of every kernel.
    rename: dict[sp.Symbol, sp.Symbol] = {space.t: sp.Symbol("t", real=True)}
    for symbol in (space.hbar, *space.defaults):
        rename[symbol] = sp.Symbol(identifier(symbol.name, taken), real=True)
        taken.add(rename[symbol].name)
    return rename


def _field(name: str, value: sp.Expr, variables: tuple[sp.Symbol, ...], equation: MoyalEquation) -> EquationSet:
    space = equation.space
    taken = {"i", "j", "n_i", "n_j", "t", "field"}
    rename = _scalars(equation, taken)
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

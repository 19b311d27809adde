"""Shift operators in H, and what the derivative by a variable means when H holds it at several times.

    H = sum_k Delta_k F_k(t, y, S_T W) + (1/2 omega) sum_kj sum_{v=0}^{n+1} (S_{vT} M)_kj^2 + E(t, y, W),
    (S_T X)(t) = X(t - T),   n = floor(t/T)

The lag v is an index of its own: W[v, k, j] is W_kj(t - v T). One derivative of H by X[s, ...] with a free lag s serves
all readings; they differ in how they contract s:

    causal       sum_s dH/dX[s]          every shifted value is the variable itself
    variational  sum_s A^s dH/dX[s]      A: t -> t + T; values of one path, so that the variation of the action moves
                                         each term to the time at which the path is varied
    frozen       dH/dX[0]                shifted values are known functions of time

Source: V. A. Dorodnitsyn, R. V. Kozlov, S. V. Meleshko, arXiv:2409.08165 (variation with delays); A. T. Patrascu,
arXiv:2209.07577 (the Hamiltonian).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sympy as sp

from qnnsym.equations.calculus import canonical, differentiate, peel
from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet, Stack
from qnnsym.errors import InputError
from qnnsym.neural.hamiltonian import (
    CLAMPED,
    COLUMNS,
    COSTATE,
    INPUTS,
    MOVING,
    NEURONS,
    SIZE,
    M,
    NeuralHamiltonian,
    W,
    Y,
    Z,
)

EPOCH = sp.Symbol("n", integer=True, nonnegative=True)
REMAINING = sp.Symbol("R", real=True)
# Lags 0 .. n + 1 of the momenta; those of the weights are 0 in the cost and 1 in the drives.
LAGS = IndexSet("v", EPOCH + 2)
WEIGHT_LAGS = (0, 1)
# Weights and momenta with their lag as first index.
SHIFTED_W, SHIFTED_M = Array("W", (LAGS, NEURONS, COLUMNS)), Array("M", (LAGS, NEURONS, COLUMNS))
# What a kernel reads of other times: W(t - T), sum_{v=1}^{n+1} M(t - v T), and the next epoch.
DELAYED_W = Array("Wd", (NEURONS, COLUMNS), "external")
PAST_M = Array("Mp", (NEURONS, COLUMNS), "external")
NEXT_Y, NEXT_COSTATE = Array("ya", (NEURONS,), "external"), Array("Da", (NEURONS,), "external")
NEXT_INPUT = Array("xa", (CLAMPED,), "external")
NEXT_Z = Stack("za", COLUMNS, ((NEXT_INPUT, CLAMPED), (1, None), (NEXT_Y, NEURONS)))

NEIGHBOURS = {
    "causal": (DELAYED_W, PAST_M),
    "variational": (DELAYED_W, NEXT_Y, NEXT_COSTATE, NEXT_INPUT),
    "frozen": (DELAYED_W,),
}


def shifted_form(hamiltonian: NeuralHamiltonian, sign: int = 1) -> sp.Expr:
    """H over `Sum` and `Indexed` with lags as first indices, without a user's own cost."""
    v = LAGS.index()
    squares = 2 * hamiltonian.inertia * hamiltonian.kinetic_form(1, lambda k, j: SHIFTED_M[v, k, j])
    return (
        hamiltonian.motion_form(lambda k, j: SHIFTED_W[1, k, j])
        + sign * LAGS.sum(squares, v) / (2 * hamiltonian.inertia)
        + hamiltonian.cost_form(lambda k, j: SHIFTED_W[0, k, j])
    )


def shifted_equations(hamiltonian: NeuralHamiltonian, reading: str, sign: int = 1) -> EquationSet:
    """The equations of one reading, values of other times as external arrays.

    Arguments:
        hamiltonian: with a delay.
        reading: "causal", "variational" or "frozen".
        sign: of the kinetic terms.
    """
    h, k, j = shifted_form(hamiltonian, sign), NEURONS.index(), COLUMNS.index()
    contract = {"causal": _causal, "variational": _variational, "frozen": _frozen}[reading]
    moves = MOVING[k, j] if hamiltonian.dynamical is not None else sp.S.One
    rates = (
        (Y, _at_one_time(differentiate(h, COSTATE[k], (Z,)))),
        (COSTATE, _at_one_time(-differentiate(h, Y[k], (Z,)))),
        (W, contract(lambda s: differentiate(h, SHIFTED_M[s, k, j], (Z,)), None)),
        # A static weight is a parameter: no momentum is conjugate to it.
        (M, moves * contract(lambda s: -differentiate(h, SHIFTED_W[s, k, j], (Z,)), WEIGHT_LAGS)),
    )
    outputs = tuple(Array("d_" + array.name, array.axes) for array, _ in rates)
    neighbours = NEIGHBOURS[reading]
    own = hamiltonian.arrays
    parameters = tuple(a for a in own if a.role == "parameter")
    arrays = (*(a for a in own if a.role != "parameter"), *neighbours, *parameters)
    scalars = hamiltonian.scalars + ((REMAINING,) if reading == "variational" else ())
    stacks = (Z, NEXT_Z) if reading == "variational" else (Z,)
    equations = EquationSet("rhs", (SIZE, INPUTS), scalars, arrays, stacks, outputs, ())
    sets = equations.index_sets()
    derived = []
    for output, (array, rate) in zip(outputs, rates, strict=True):
        at = (k, j)[: len(array.axes)]
        derived.append(Equation(output[at], canonical(rate, sets, frozenset(at))))
    by_base = {Y.base: outputs[1], W.base: outputs[3]}
    # A user's cost sees y and W at one time: it acts alike in all readings.
    entries = tuple(
        Equation(by_base[entry.base][entry.indices], -derivative) for entry, derivative in hamiltonian.cost_entries()
    )
    return equations.changed(equations=tuple(derived), entries=entries)


def neighbours_as_states(equations: EquationSet) -> EquationSet:
    """The same equations with y, costate and weights of other times behind the state: what is differentiated along."""
    names = {a.name for a in (DELAYED_W, PAST_M, NEXT_Y, NEXT_COSTATE)}
    moved = tuple(Array(a.name, a.axes, "state", a.latex) for a in equations.arrays if a.name in names)
    states = tuple(a for a in equations.arrays if a.role == "state")
    others = tuple(a for a in equations.arrays if a.role != "state" and a.name not in names)
    by_name = {a.name: a for a in moved}
    stacks = tuple(
        replace(s, pieces=tuple((by_name.get(getattr(p, "name", ""), p), axis) for p, axis in s.pieces))
        for s in equations.stacks
    )
    return equations.changed(arrays=(*states, *moved, *others), stacks=stacks)


# readings: rules that contract the lag --------------------------------------------------------------------------------

Derivative = Callable[[sp.Expr], sp.Expr]


def _causal(derivative: Derivative, lags: tuple[int, ...] | None) -> sp.Expr:
    """sum_s dH/dX[s]: a shifted variable is the variable."""
    if lags is not None:
        return _at_one_time(sp.Add(*(derivative(sp.Integer(s)) for s in lags)))
    v = LAGS.index()
    return _at_one_time(LAGS.sum(derivative(v), v))


def _variational(derivative: Derivative, lags: tuple[int, ...] | None) -> sp.Expr:
    """sum_s A^s dH/dX[s]: the variation of int H dt by X(t) meets X in H(t), H(t + T), ... up to the last epoch."""
    if lags is not None:
        return sp.Add(*(_at_one_time(_advanced(derivative(sp.Integer(s)), s)) for s in lags))
    s = sp.Symbol("s", integer=True, nonnegative=True)
    moved = _at_one_time(_advanced(derivative(s), s))
    if moved.has(s):
        raise InputError("The kinetic term depends on the lag; the number of remaining epochs cannot be taken out.")
    return REMAINING * moved


def _frozen(derivative: Derivative, lags: tuple[int, ...] | None) -> sp.Expr:
    """dH/dX[0]: shifted values are given."""
    return _at_one_time(derivative(sp.S.Zero))


def _advanced(expression: sp.Expr, by: sp.Expr | int) -> sp.Expr:
    """The expression `by` epochs later: lags shrink; what has no lag becomes the next epoch's (by at most one)."""

    def walk(part: sp.Expr) -> sp.Expr:
        if isinstance(part, sp.Indexed):
            if len(part.indices) == 3:
                lag, *rest = part.indices
                return part.base[(sp.expand(lag - by), *rest)]
            if by == 0 or part.base not in _NEXT:
                return part
            if by != 1:
                raise InputError(f"{part} is wanted {by} epochs later; only neighbouring epochs are coupled.")
            return _NEXT[part.base][part.indices]
        return part.func(*(walk(a) for a in part.args)) if part.args else part

    return walk(expression)


_NEXT = {Y.base: NEXT_Y, COSTATE.base: NEXT_COSTATE, Z.base: NEXT_Z}


def _at_one_time(expression: sp.Expr) -> sp.Expr:
    """Lagged entries as the arrays that a kernel knows: W[0] = W, W[1] = Wd, sum_v M[v] = M + Mp."""
    if isinstance(expression, sp.Sum):
        body, index, extent = peel(expression)
        if sp.expand(extent - LAGS.extent) == 0:
            return sp.Add(*(_lag_sum(term, index) for term in sp.Add.make_args(sp.expand(body))))
        return sp.Sum(_at_one_time(body), (index, 0, extent - 1))
    if isinstance(expression, sp.Indexed) and len(expression.indices) == 3:
        lag, *at = expression.indices
        known = {("W", 0): W, ("W", 1): DELAYED_W, ("M", 0): M}.get((str(expression.base.label), lag))
        if known is None:
            raise InputError(f"{expression} is no value that these equations receive.")
        return known[tuple(at)]
    return expression.func(*(_at_one_time(a) for a in expression.args)) if expression.args else expression


def _lag_sum(term: sp.Expr, index: sp.Symbol) -> sp.Expr:
    """sum_v c M[v, k, j] = c (M + Mp): one term of now, the others of the past."""
    inside = [f for f in sp.Mul.make_args(term) if f.has(index)]
    outside = sp.Mul(*(f for f in sp.Mul.make_args(term) if not f.has(index)))
    if len(inside) != 1 or not isinstance(inside[0], sp.Indexed) or inside[0].base != SHIFTED_M.base:
        raise InputError(f"The sum of {term} over past epochs is no sum of momenta.")
    at = inside[0].indices[1:]
    return outside * (M[at] + PAST_M[at])

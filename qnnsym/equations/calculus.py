"""Differentiation of indexed sums: fresh bound indices, deltas contracted, canonical names at the end.

SymPy's own derivative of a Sum captures indices when the variable carries the bound one, and its deltas end
in Piecewise; the rules below are all that is needed for sums of products and elementary functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from qnnsym.equations.indexed import EquationSet, IndexSet, Stack
from qnnsym.errors import InputError


def peel(expression: sp.Sum) -> tuple[sp.Expr, sp.Symbol, sp.Expr]:
    """(inner body, outermost index, its extent): SymPy merges nested sums, this takes one off again."""
    *inner, (index, low, high) = expression.limits
    if low != 0:
        raise InputError(f"The sum over {index} starts at {low}; index sets start at 0, shift the index.")
    return (sp.Sum(expression.function, *inner) if inner else expression.function), index, high + 1


def fresh(expression: sp.Expr) -> sp.Expr:
    """Give every bound index a fresh dummy, so that no capture can happen."""
    if isinstance(expression, sp.Sum):
        body, index, extent = peel(expression)
        dummy = sp.Dummy(index.name, integer=True)
        return sp.Sum(fresh(body.xreplace({index: dummy})), (dummy, 0, extent - 1))
    if not expression.has(sp.Sum):
        return expression
    return expression.func(*(fresh(a) for a in expression.args))


def differentiate(expression: sp.Expr, variable: sp.Indexed, stacks: tuple[Stack, ...] = ()) -> sp.Expr:
    """Derivative of an indexed expression with respect to one array entry with free indices.

    Arguments:
        expression: SymPy expression with `Indexed` and `Sum`.
        variable: e.g. y[i]; its indices must not occur free in the expression.
        stacks: assembled vectors in which the variable's array may be a piece.

    Returns:
        The derivative with all deltas over bound indices contracted.
    """
    return _contract(_derivative(fresh(expression), variable, stacks))


def _derivative(expression: sp.Expr, variable: sp.Indexed, stacks: tuple[Stack, ...]) -> sp.Expr:
    if isinstance(expression, sp.Indexed):
        return _entry_derivative(expression, variable, stacks)
    if isinstance(expression, sp.Sum):
        for stack in stacks:
            for entry in expression.function.atoms(sp.Indexed):
                _whole(entry, stack, expression.limits)
        return sp.Sum(_derivative(expression.function, variable, stacks), *expression.limits)
    return _chain(expression, lambda part: _derivative(part, variable, stacks))


def _whole(entry: sp.Indexed, stack: Stack, limits: tuple) -> None:
    """Refuse a sum over part of an assembled vector: a delta contracted there could point beyond the sum."""
    for index, _, high in limits:
        if entry.base == stack.base and entry.indices[0] == index and sp.expand(high + 1 - stack.axis.extent) != 0:
            raise InputError(
                f"The sum over {index} runs over {high + 1} entries of {stack.name}, not the whole of it; sum over all "
                f"{stack.axis.extent}, or over the piece's own array."
            )


def _entry_derivative(entry: sp.Indexed, variable: sp.Indexed, stacks: tuple[Stack, ...]) -> sp.Expr:
    if entry.base == variable.base:
        return sp.Mul(*(sp.KroneckerDelta(a, b) for a, b in zip(entry.indices, variable.indices, strict=True)))
    for stack in stacks:
        if entry.base == stack.base:
            for (piece, _), offset in zip(stack.pieces, stack.offsets(), strict=True):
                if getattr(piece, "base", None) == variable.base:
                    return sp.KroneckerDelta(entry.indices[0], variable.indices[0] + offset)
    return sp.S.Zero


def _chain(expression: sp.Expr, derivative) -> sp.Expr:
    """Sum, product, power and chain rules; atoms have derivative zero."""
    if isinstance(expression, sp.Add):
        return sp.Add(*(derivative(a) for a in expression.args))
    if isinstance(expression, sp.Mul):
        args = expression.args
        return sp.Add(*(sp.Mul(*args[:n], derivative(a), *args[n + 1 :]) for n, a in enumerate(args)))
    if isinstance(expression, sp.Pow):
        base, exponent = expression.args
        inner = derivative(base)
        outer = exponent * base ** (exponent - 1) * inner if inner != 0 else sp.S.Zero
        above = derivative(exponent)
        return outer + (expression * sp.log(base) * above if above != 0 else sp.S.Zero)
    if isinstance(expression, sp.Function):
        inner = [derivative(a) for a in expression.args]
        return sp.Add(*(expression.fdiff(n + 1) * d for n, d in enumerate(inner) if d != 0))
    if not expression.args:
        return sp.S.Zero
    raise InputError(f"{expression.func.__name__} has no differentiation rule in index form; write it out.")


def _contract(expression: sp.Expr) -> sp.Expr:
    """Carry out sums over deltas, innermost first; what is left free of the bound index moves out."""
    if not expression.has(sp.Sum):
        return expression
    if not isinstance(expression, sp.Sum):
        return expression.func(*(_contract(a) for a in expression.args))
    inner, index, extent = peel(expression)
    return sp.Add(*(_contract_term(term, index, extent) for term in opened(_contract(inner), _has_delta)))


def opened(expression: sp.Expr, wanted: Callable[[sp.Expr], bool]) -> list[sp.Expr]:
    """Terms of a sum of products; only the factors that are wanted are multiplied out, the rest stay as written."""
    if isinstance(expression, sp.Add):
        return [term for part in expression.args for term in opened(part, wanted)]
    if isinstance(expression, sp.Mul):
        for n, factor in enumerate(expression.args):
            if isinstance(factor, sp.Add) and wanted(factor):
                rest = sp.Mul(*expression.args[:n], *expression.args[n + 1 :])
                return [term for part in factor.args for term in opened(part * rest, wanted)]
    return [expression]


def _has_delta(factor: sp.Expr) -> bool:
    return factor.has(sp.KroneckerDelta)


def _contract_term(term: sp.Expr, index: sp.Symbol, extent: sp.Expr) -> sp.Expr:
    if term == 0:
        return sp.S.Zero
    factors = list(sp.Mul.make_args(term))
    for n, factor in enumerate(factors):
        if isinstance(factor, sp.KroneckerDelta) and factor.has(index):
            value = factor.args[1] if factor.args[0] == index else factor.args[0]
            if value.has(index) or index not in factor.args:
                raise InputError(
                    f"The delta {factor} ties a shifted bound index; sum over the larger index set instead."
                )
            # The delta's other argument lies in the summed set: piece offsets are inclusions.
            return sp.Mul(*factors[:n], *factors[n + 1 :]).subs(index, value)
    outside = [f for f in factors if not f.has(index)]
    inside = [f for f in factors if f.has(index)]
    if not inside:
        return sp.Mul(*outside) * extent
    return sp.Mul(*outside, sp.Sum(sp.Mul(*inside), (index, 0, extent - 1)))


def tangent(expression: sp.Expr, directions: Mapping[sp.IndexedBase, sp.IndexedBase]) -> sp.Expr:
    """Directional derivative: every entry of a key array varies in the direction of the value array."""

    def derivative(part: sp.Expr) -> sp.Expr:
        if isinstance(part, sp.Indexed):
            direction = directions.get(part.base)
            return sp.S.Zero if direction is None else direction[part.indices]
        if isinstance(part, sp.Sum):
            inner = derivative(part.function)
            return sp.S.Zero if inner == 0 else sp.Sum(inner, *part.limits)
        return _chain(part, derivative)

    return _contract(derivative(fresh(expression)))


def canonical(expression: sp.Expr, sets: list[IndexSet], used: frozenset[sp.Symbol] = frozenset()) -> sp.Expr:
    """Bound indices named by index set and nesting depth, numbers out of sums: equal sums are equal expressions."""
    # Fresh first: an outer sum must not be given the name that an inner sum carries.
    return _named(fresh(expression), sets, used)


def _named(expression: sp.Expr, sets: list[IndexSet], used: frozenset[sp.Symbol]) -> sp.Expr:
    if isinstance(expression, sp.Sum):
        body, index, extent = peel(expression)
        home = next((s for s in sets if sp.expand(s.extent - extent) == 0), None)
        if home is None:
            raise InputError(f"The sum over {index} with extent {extent} runs over no declared index set.")
        taken = used | expression.free_symbols
        name = next(home.index(n) for n in range(99) if home.index(n) not in taken)
        return sp.Sum(_named(body.xreplace({index: name}), sets, used | {name}), (name, 0, home.extent - 1))
    if not expression.args or isinstance(expression, sp.Indexed):
        return expression
    arguments = [_named(a, sets, used) for a in expression.args]
    if isinstance(expression, sp.Mul):
        # SymPy multiplies a lone number into a sum, 2*(y - d) becoming 2*y - 2*d; inside a product it comes out again.
        pairs = [a.primitive() if isinstance(a, sp.Add) else (sp.S.One, a) for a in arguments]
        arguments = [sp.Mul(*(number for number, _ in pairs)), *(rest for _, rest in pairs)]
    return expression.func(*arguments)


def tangent_set(equations: EquationSet) -> EquationSet:
    """The equations of (state, direction) -> (rates, their directional derivative): the JVP kernel's content."""
    from qnnsym.equations.indexed import Array, Equation

    states = [a for a in equations.arrays if a.role == "state"]
    others = [a for a in equations.arrays if a.role != "state"]
    moved = {a: Array(a.name + "_v", a.axes, "state", rf"\delta {a.latex or a.name}") for a in states}
    directions = {a.base: v.base for a, v in moved.items()}
    stacks = []
    for stack in equations.stacks:
        pieces = tuple(
            (moved.get(piece, 0), axis) if not isinstance(piece, (int, float)) else (0, axis)
            for piece, axis in stack.pieces
        )
        direction = Stack(stack.name + "_v", stack.axis, pieces)
        directions[stack.base] = direction.base
        stacks.append(direction)
    outputs = {a.base: Array(a.name + "_v", a.axes, a.role) for a in equations.outputs}
    sets = equations.index_sets()

    def varied(equation: Equation) -> Equation:
        target = outputs[equation.target.base][equation.target.indices]
        used = frozenset(i for i in equation.target.indices if isinstance(i, sp.Symbol))
        return Equation(target, canonical(tangent(equation.rhs, directions), sets, used))

    return equations.changed(
        name=equations.name + "_jvp",
        arrays=(*states, *moved.values(), *others),
        stacks=(*equations.stacks, *stacks),
        outputs=(*equations.outputs, *outputs.values()),
        equations=(*equations.equations, *(varied(e) for e in equations.equations)),
        entries=(*equations.entries, *(varied(e) for e in equations.entries)),
    )

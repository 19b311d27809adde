"""Indexed expressions evaluated directly, entry by entry, and random ones to evaluate.

The evaluator shares nothing with unrolling, scheduling or emission: sums are Python loops over NumPy arrays.
"""

import cmath
import random
from math import prod

import numpy as np
import sympy as sp
from hypothesis import strategies as st

from qnnsym.equations.functions import logistic
from tests.networks import COSTATE, LAM, MU, OMEGA, TARGET, A, J, K, L, M, N, W, X, Y, Z


def _sigmoid(u):
    return 1 / (1 + cmath.exp(-u))


FUNCTIONS = {
    "tanh": cmath.tanh,
    "exp": cmath.exp,
    "log": cmath.log,
    "sin": cmath.sin,
    "cos": cmath.cos,
    "logistic": _sigmoid,
    "softplus": lambda u: cmath.log(1 + cmath.exp(u)),
    "relu": lambda u: u if complex(u).real > 0 else 0 * u,
    "step": lambda u: 1.0 if complex(u).real > 0 else 0.0,
}


def value(expression, arrays, numbers):
    """The value of an indexed expression: `arrays` by name, sizes, scalars and indices in `numbers`."""
    if expression.is_Integer:
        return int(expression)
    if expression.is_number and not expression.args:
        return float(expression)
    if isinstance(expression, sp.Indexed):
        at = tuple(int(value(i, arrays, numbers)) for i in expression.indices)
        assert all(n >= 0 for n in at), f"{expression} is taken at {at}"
        return arrays[str(expression.base.label)][at]
    if isinstance(expression, sp.Symbol):
        return numbers[expression]
    if isinstance(expression, sp.Sum):
        *inner, (index, low, high) = expression.limits
        body = sp.Sum(expression.function, *inner) if inner else expression.function
        span = range(value(low, arrays, numbers), value(high, arrays, numbers) + 1)
        return sum(value(body, arrays, {**numbers, index: n}) for n in span)
    parts = [value(a, arrays, numbers) for a in expression.args]
    if isinstance(expression, sp.Add):
        return sum(parts)
    if isinstance(expression, sp.Mul):
        return prod(parts)
    if isinstance(expression, sp.Pow):
        return parts[0] ** parts[1]
    return FUNCTIONS[expression.func.__name__](*parts)


def values_of(arrays, stacks, numbers, rng):
    """Random arrays by name, the assembled vectors among them."""
    found = {a.name: rng.normal(size=[int(s.extent.subs(numbers)) for s in a.axes]) for a in arrays}
    for stack in stacks:
        found[stack.name] = assembled(stack, found, numbers)
    return found


def assembled(stack, arrays, numbers):
    """The vector that a stack stands for."""
    pieces = []
    for piece, axis in stack.pieces:
        count = 1 if axis is None else int(axis.extent.subs(numbers))
        pieces.append(np.full(count, float(piece)) if isinstance(piece, (int, float)) else arrays[piece.name])
    return np.concatenate(pieces)


def rates_of(equations, arrays, numbers):
    """All right-hand sides of an equation set in output order, evaluated entry by entry."""
    found = []
    by_target = {str(e.target.base.label): e for e in equations.equations}
    for array in equations.outputs:
        equation = by_target[array.name]
        block = np.zeros([int(s.extent.subs(numbers)) for s in array.axes], complex)
        for at in np.ndindex(*block.shape):
            block[at] = value(equation.rhs, arrays, {**numbers, **dict(zip(equation.target.indices, at, strict=True))})
        for entry in equations.entries:
            if str(entry.target.base.label) == array.name:
                block[tuple(map(int, entry.target.indices))] += value(entry.rhs, arrays, numbers)
        found.append(block.ravel())
    rates = np.concatenate(found)
    return rates if np.iscomplexobj(next(iter(arrays.values()))) or rates.imag.any() else rates.real


# Random expressions --------------------------------------------------------------------------------------------

SIZES = {N: 3, L: 2}
NUMBERS = {**SIZES, LAM: 0.7, OMEGA: 1.3, MU: 0.2}
ARRAYS = (Y, COSTATE, W, M, X, TARGET)
SETS = {"K": K, "A": A, "J": J}
SCALARS = (sp.Integer(1), sp.Integer(2), sp.Rational(-3, 2), LAM, MU)


def point(seed):
    """Random arrays at unequal extents."""
    return values_of(ARRAYS, (Z,), SIZES, np.random.default_rng(seed))


def leaf(draw, scope, shifted):
    """A number, a scalar, or an entry at the indices in scope."""
    rows = [i for i, s in scope if s == "K"]
    columns = [i for i, s in scope if s == "J"]
    inputs = [i for i, s in scope if s == "A"]
    found = [draw.choice(SCALARS)]
    found += [entry for k in rows for entry in (Y[k], COSTATE[k], TARGET[k])]
    found += [Z[j] for j in columns] * 2 + [X[a] for a in inputs]
    found += [array[k, j] for k in rows for j in columns for array in (W, M)] * 2
    if shifted:
        # The recurrent block: a neuron in the place of a column.
        found += [W[k, k1 + L + 1] for k in rows for k1 in rows]
    return draw.choice(found)


def expression(draw, scope=(), depth=4, names=None, shifted=True):
    """A random sum of products and functions; bound indices are called after their depth, or from `names`."""
    if depth == 0:
        return leaf(draw, scope, shifted)
    kind = draw.choice(["mul", "mul", "sum", "add", "function", "power", "leaf"] if scope else ["sum"])
    if kind == "leaf":
        return leaf(draw, scope, shifted)
    if kind == "sum":
        home = draw.choice("KKJJA")
        name = f"{home.lower()}_{len(scope)}" if names is None else names[len(scope)]
        index = sp.Symbol(name, integer=True)
        return SETS[home].sum(expression(draw, (*scope, (index, home)), depth - 1, names, shifted), index)
    first = expression(draw, scope, depth - 1, names, shifted)
    if kind == "function":
        return draw.choice([sp.tanh, sp.sin, logistic])(first)
    if kind == "power":
        return first ** draw.choice([2, 3])
    second = expression(draw, scope, depth - 1, names, shifted)
    return first + second if kind == "add" else first * second


def expressions(**options):
    """Strategy: random expressions, each a sum of two so that most depend on what is differentiated by."""

    def made(seed):
        draw = random.Random(seed)
        return expression(draw, **options) + expression(draw, **options)

    return st.integers(0, 2**32).map(made)

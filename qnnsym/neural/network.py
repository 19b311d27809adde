"""Networks: how many neurons and inputs, which synapses exist, and the activation of each neuron.

Column order of every weight array: inputs x_{-l}..x_{-1}, bias 1, neurons y_1..y_N, so W is N x (l + 1 + N).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.arrays import real_array
from qnnsym.equations.functions import ELEMENTARY
from qnnsym.equations.numbers import exact_decimals
from qnnsym.equations.unroll import entry_symbol
from qnnsym.errors import InputError

# The argument of an activation inside the package; users may write theirs with any one symbol.
ARGUMENT = sp.Symbol("u", real=True)

# Names that variables of networks carry: a parameter called so would be taken for one of them.
VARIABLE = re.compile(r"t|[xyD]_\d+|[WM]_\d+_\d+")

ACTIVATIONS = {
    "tanh": sp.tanh(ARGUMENT),
    "linear": ARGUMENT,
    **{name: ELEMENTARY[name](ARGUMENT) for name in ("logistic", "softplus", "relu")},
}


class WeightSymbols:
    """The Symbols of all weights, made when asked for: `W[k, j]`, zero-based."""

    def __init__(self, rows: int, columns: int, name: str = "W") -> None:
        self.shape = (rows, columns)
        self.name = name

    def __getitem__(self, at: tuple[int, int]) -> sp.Symbol:
        pair = at if isinstance(at, tuple) and len(at) == 2 else (None, None)
        if not all(isinstance(i, (int, np.integer)) and -n <= i < n for n, i in zip(self.shape, pair, strict=True)):
            rows, columns = self.shape
            raise InputError(
                f"{self.name}[{', '.join(map(str, at)) if isinstance(at, tuple) else at}] is no weight; write "
                f"{self.name}[k, j], k from 0 to {rows - 1}, j from 0 to {columns - 1} (inputs, bias, neurons)."
            )
        k, j = (range(n)[i] for n, i in zip(self.shape, at, strict=True))
        return entry_symbol(self.name, (k, j))

    def __iter__(self):
        return (self[k, j] for k in range(self.shape[0]) for j in range(self.shape[1]))


class Network:
    """A network of N neurons with l clamped inputs and a bias.

    Arguments:
        neurons: number N of neurons.
        inputs: number l of external inputs.
        activation: a name (tanh, logistic, softplus, linear, relu), a SymPy expression f(u) of one symbol, or a list
            with one of these per neuron. Further symbols of an expression are parameters; its argument is then
            called u.
        mask: 0/1 array (N, l + 1 + N), 0 where a synapse is missing; None where all exist.
        layers: (inputs, hidden..., outputs) instead of the numbers: each layer sees the one before and the bias.

    Attributes:
        t: Symbol of time.  x, y: tuples of Symbols.  W: Symbols of all weights, W[k, j].

    Raises:
        InputError: for numbers that are not positive integers, masks of a wrong shape or content, and activations
            that are not functions of one argument.

    Source: U. Ramacher, Neural Networks 6 (1993) 547.
    """

    def __init__(
        self,
        neurons: int | None = None,
        inputs: int = 0,
        activation: Any = "tanh",
        mask: Any = None,
        layers: Sequence[int] | None = None,
    ) -> None:
        if layers is not None:
            if neurons is not None or inputs or mask is not None:
                raise InputError("A network is given either by layers=... or by neurons, inputs and mask; drop one.")
            if not isinstance(layers, (list, tuple, np.ndarray)) or len(layers) < 2:
                raise InputError(f"layers={layers!r} names fewer than two layers; give (inputs, ..., outputs).")
            widths = [_count(n, "A layer's width", 1) for n in layers]
            inputs, neurons, mask = widths[0], sum(widths[1:]), _feed_forward(widths)
        if neurons is None:
            raise InputError("A network needs a number of neurons: Network(neurons=5), or layers=(2, 3, 1).")
        self.neurons = _count(neurons, "The number of neurons", 1)
        self.inputs = _count(inputs, "The number of inputs", 0)
        self.columns = self.inputs + 1 + self.neurons
        self.mask = None if mask is None else check_mask(mask, (self.neurons, self.columns), "The mask")
        given = list(activation) if isinstance(activation, (list, tuple)) else [activation]
        if len(given) not in (1, self.neurons):
            raise InputError(
                f"{len(given)} activations were given for {self.neurons} neurons; give one for all, or one each."
            )
        parsed = [_activation(a) for a in given]
        # Distinct functions once each, and for every neuron which of them it uses.
        self.activations: tuple[sp.Expr, ...] = tuple(dict.fromkeys(parsed))
        self.choice: tuple[int, ...] = tuple(
            self.activations.index(a) for a in (parsed if len(parsed) > 1 else parsed * self.neurons)
        )
        self.t = sp.Symbol("t", real=True)
        self.x = tuple(entry_symbol("x", (a,)) for a in range(self.inputs))
        self.y = tuple(entry_symbol("y", (k,)) for k in range(self.neurons))
        self.W = WeightSymbols(self.neurons, self.columns)

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Further symbols of the activations, in the order of their names."""
        found = {s for f in self.activations for s in f.free_symbols} - {ARGUMENT}
        return tuple(sorted(found, key=lambda s: s.name))

    def with_activation(self, activation: Any) -> Network:
        """The same network with another activation."""
        return Network(self.neurons, self.inputs, activation, self.mask)

    def __repr__(self) -> str:
        functions = ", ".join(sp.sstr(f) for f in self.activations)
        masked = "" if self.mask is None else f", {int(self.mask.sum())} of {self.mask.size} synapses"
        return f"Network({self.neurons} neurons, {self.inputs} inputs, f(u) = {functions}{masked})"


def check_mask(mask: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    """A 0/1 array of the given shape as floats."""
    array = numbers(mask, what)
    if array.shape != shape:
        raise InputError(
            f"{what} has the shape {array.shape}; it needs {shape}: a row per neuron, columns inputs, bias, neurons."
        )
    if not np.isin(array, (0.0, 1.0)).all():
        raise InputError(f"{what} holds values other than 0 and 1; write 1 where the synapse is, 0 where it is not.")
    return array


def numbers(given: Any, what: str) -> np.ndarray:
    """An array of floats, of any shape."""
    try:
        return real_array(given, what)
    except InputError:
        raise
    except (TypeError, ValueError):
        raise InputError(f"{what}: {given!r} is no array of numbers; give rows of numbers of equal length.") from None


def _count(value: Any, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer, sp.Integer)) or value < least:
        raise InputError(f"{what} is {value!r}; it has to be an integer of at least {least}.")
    return int(value)


def _feed_forward(widths: list[int]) -> np.ndarray:
    inputs, neurons = widths[0], sum(widths[1:])
    mask = np.zeros((neurons, inputs + 1 + neurons))
    mask[:, inputs] = 1
    mask[: widths[1], :inputs] = 1
    start = 0
    for below, above in pairwise(widths[1:]):
        rows = slice(start + below, start + below + above)
        mask[rows, inputs + 1 + start : inputs + 1 + start + below] = 1
        start += below
    return mask


def _activation(given: Any) -> sp.Expr:
    if isinstance(given, str):
        if given not in ACTIVATIONS:
            raise InputError(
                f"The activation {given!r} is not known; use one of {', '.join(ACTIVATIONS)}, or a SymPy expression "
                "f(u)."
            )
        return ACTIVATIONS[given]
    if isinstance(given, type) and issubclass(given, sp.Function):
        given = given(ARGUMENT)
    if not isinstance(given, sp.Expr):
        raise InputError(f"The activation {given!r} is neither a name nor a SymPy expression f(u).")
    expression = exact_decimals(given)
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    argument = [s for s in symbols if s.name == "u"] or symbols
    if len(argument) != 1:
        raise InputError(
            f"The activation {given} has the symbols {', '.join(map(str, symbols)) or 'none'}; write it as a function "
            "of u, with any other symbol as a parameter."
        )
    expression = expression.xreplace({argument[0]: ARGUMENT})
    strange = expression.atoms(sp.core.function.AppliedUndef, sp.Piecewise, sp.Derivative, sp.Integral)
    if strange or expression.has(sp.I, sp.oo, sp.zoo, sp.nan):
        raise InputError(
            f"The activation {given} is not made of elementary real functions; write it with tanh, exp, logistic, "
            "softplus and the like (softplus(b*u)/b smooths a kink)."
        )
    # Tangent equations need two derivatives.
    if expression.diff(ARGUMENT, 2).atoms(*_JUMPS):
        raise InputError(
            f"The activation {given} has no second derivative in closed form; smooth its kink (softplus(b*u)/b, "
            'sqrt(u**2 + b**2)), or use "relu".'
        )
    named = [s.name for s in expression.free_symbols if VARIABLE.fullmatch(s.name)]
    if named:
        raise InputError(
            f"The activation {given} contains {', '.join(sorted(named))}, which names a variable of the network; an "
            "activation is a function of u alone, rename the parameter."
        )
    return expression


_JUMPS = (sp.Derivative, sp.Subs, sp.DiracDelta, sp.Heaviside, sp.Piecewise)

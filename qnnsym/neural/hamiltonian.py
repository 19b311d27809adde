"""The neural Hamiltonian in index form, with the network's size left to run time.

    H = sum_k Delta_k F_k + (1/2 omega) sum_kj M_kj^2 + E(t, y, W),   F_k = (1/lambda)(-y_k + f_k(u_k)),
    u_k = sum_j W_kj z_j,   z = [x_{-l} .. x_{-1}, 1, y_1 .. y_N]

With a delay T the drives see W(t - T), and the kinetic term is a sum over M(t - v T): see `shifts`.

Source: U. Ramacher, Neural Networks 6 (1993) 547; A. T. Patrascu, arXiv:2209.07577.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.equations.indexed import Array, IndexSet, Stack
from qnnsym.equations.names import identifier
from qnnsym.equations.numbers import exact_decimals
from qnnsym.equations.unroll import MAX_TERMS, entry_symbol
from qnnsym.errors import InputError
from qnnsym.neural.network import ARGUMENT, VARIABLE, Network, check_mask, numbers

SIZE, INPUTS = sp.symbols("N l", integer=True, positive=True)
NEURONS, CLAMPED = IndexSet("k", SIZE), IndexSet("a", INPUTS)
COLUMNS = IndexSet("j", INPUTS + 1 + SIZE)

Y, COSTATE = Array("y", (NEURONS,), latex="y"), Array("D", (NEURONS,), latex=r"\Delta")
W, M = Array("W", (NEURONS, COLUMNS)), Array("M", (NEURONS, COLUMNS))
INPUT, TARGET = Array("x", (CLAMPED,), "external"), Array("d", (NEURONS,), "external")
WEIGHT = Array("c", (NEURONS,), "parameter")
MASK, MOVING = Array("S", (NEURONS, COLUMNS), "parameter"), Array("G", (NEURONS, COLUMNS), "parameter")
Z = Stack("z", COLUMNS, ((INPUT, CLAMPED), (1, None), (Y, NEURONS)))
# Names that a model's own parameters have to leave to the arrays, sizes and indices above.
TAKEN = frozenset("t N l k a j y D W M x d c S G z".split())


@dataclass(frozen=True)
class QuadraticCost:
    """E = 1/2 sum_k c_k (y_k - d_k(t))^2 + (mu/2) |W|^2, added to H with a plus sign.

    Arguments:
        c: weight of each neuron's error, a number or an array (N,).
        target: d, an array (N,) or a function of t returning one; None is zero.
        decay: mu, a non-negative number or a Symbol.

    Source: spec of the neural Hamiltonian [A4]; U. Ramacher, Neural Networks 6 (1993) 547.
    """

    c: Any = 1
    target: Any = None
    decay: Any = 0


class NeuralHamiltonian:
    """The Hamiltonian of a network's activity, its costates, weights and momenta.

    Arguments:
        network: the network.
        relaxation: lambda > 0, relaxation time of the neurons; a number or a Symbol.
        inertia: omega > 0, inertia of the weights; a number, a Symbol, or oo for fixed weights.
        cost: QuadraticCost, or a SymPy expression in network.t, .x, .y and .W; None is no cost.
        delay: T > 0 where the drives see the weights of a time T ago; a number or a Symbol. None: no shift operators.
        dynamical: 0/1 array (N, l + 1 + N) of the weights that move, missing ones apart; None lets all of them move.
        values: {Symbol or name: number} for symbolic parameters.

    Attributes:
        q, p: tuples of canonical Symbols: y then the moving weights row by row; costates then their momenta.
        W: Symbols of all weights, W[k, j].
        scalars: the parameter Symbols in kernel order; values: their numbers as far as given.

    Raises:
        InputError: for parameters that are not positive, arrays of wrong shape, and costs that are no functions of
            the network's variables and of parameters.
    """

    room = "qnnsym.neural"

    def __init__(
        self,
        network: Network,
        relaxation: Any,
        inertia: Any,
        cost: Any = None,
        delay: Any = None,
        dynamical: Any = None,
        values: Any = None,
    ) -> None:
        if not isinstance(network, Network):
            raise InputError(f"The network is {network!r}; give a Network(neurons=..., inputs=...).")
        _check_delay(delay, network)
        if values is not None and not isinstance(values, Mapping):
            raise InputError(f"The values are {values!r}; give a dictionary of parameter names and numbers.")
        self.network, self.cost = network, cost
        self.values: dict[sp.Symbol, float] = {}
        self._names: dict[str, str] = {}  # the user's name -> name in the kernel
        self._symbols: dict[sp.Symbol, sp.Symbol] = {}  # symbol of the kernel -> the user's Symbol
        self.expression: sp.Expr = sp.S.Zero if cost is None or isinstance(cost, QuadraticCost) else self._cost(cost)
        extra = list(network.parameters)
        extra += sorted(self._foreign(self.expression) - set(extra), key=lambda s: s.name)
        # A number's own name must not be taken for a parameter that the user calls the same.
        given = (relaxation, inertia, delay, cost.decay if isinstance(cost, QuadraticCost) else None, *extra)
        self._reserved = frozenset(s.name for s in given if isinstance(s, sp.Symbol))
        shape = (network.neurons, network.columns)
        self.dynamical = None if dynamical is None else check_mask(dynamical, shape, "The array dynamical")
        self.relaxation = self._parameter(relaxation, "lambda", "The relaxation time")
        self.inertia = self._parameter(inertia, "omega", "The inertia", infinite=True)
        self.decay: sp.Symbol | None = None
        self.target: Any = None
        self.delay: sp.Symbol | None = None if delay is None else self._parameter(delay, "T", "The delay")
        scalars = [self.relaxation, self.inertia]
        if isinstance(cost, QuadraticCost):
            self.decay = self._parameter(cost.decay, "mu", "The decay", zero=True)
            scalars.append(self.decay)
            self.weight = self._vector(cost.c, "The weights c of the cost")
            self.target = self._target(cost.target)
        self._rename = {s: self._kernel_symbol(s) for s in extra}
        scalars += [self.delay] if self.delay is not None else []
        self.scalars: tuple[sp.Symbol, ...] = tuple(dict.fromkeys([*scalars, *self._rename.values()]))
        for key, value in dict(values or {}).items():
            self.set_value(str(key), value)

    # parameters -------------------------------------------------------------------------------------------
    def _kernel_symbol(self, symbol: sp.Symbol) -> sp.Symbol:
        """The kernel's symbol for a parameter of the user: one for each name."""
        if symbol.name not in self._names:
            self._names[symbol.name] = identifier(symbol.name, TAKEN | set(self._names.values()))
        kernel = sp.Symbol(self._names[symbol.name], real=True)
        self._symbols[kernel] = symbol
        return kernel

    def _parameter(self, given: Any, name: str, what: str, infinite: bool = False, zero: bool = False) -> sp.Symbol:
        """The kernel's symbol for a parameter; a number given for it becomes its value, never text of the kernel."""
        if isinstance(given, sp.Symbol):
            if VARIABLE.fullmatch(given.name) or given == self.network.t:
                raise InputError(
                    f"{what} is {given}, a variable of the network; parameters are constant here: give a positive "
                    "number, or a Symbol of another name."
                )
            return self._kernel_symbol(given)
        number = _number(given)
        unbounded = infinite and number == float("inf")
        if not unbounded and not (0 <= number < float("inf") and (zero or number > 0)):
            allowed = f"{'non-negative' if zero else 'positive'} number{' (oo for fixed weights)' if infinite else ''}"
            raise InputError(f"{what} is {given!r}; give a {allowed} or a Symbol.")
        while name in self._reserved:
            name += "_"
        symbol = self._kernel_symbol(sp.Symbol(name))
        del self._symbols[symbol]
        self.values[symbol] = number
        return symbol

    def set_value(self, name: str, value: Any) -> None:
        """Give a symbolic parameter its number, by the name the user wrote."""
        symbol = next((s for s in self.scalars if s.name == self._names.get(name, name)), None)
        if symbol is None:
            raise InputError(
                f"{name} is no parameter of this Hamiltonian; it has {', '.join(self.parameter_names)}. "
                "Use one of these names."
            )
        number = _number(value)
        positive = symbol in (self.relaxation, self.inertia, self.delay)
        unbounded = number == float("inf") and symbol == self.inertia
        if not unbounded and (not np.isfinite(number) or (positive and number <= 0)):
            allowed = "positive" if positive else "finite"
            raise InputError(f"The parameter {name} is {value!r}; give a {allowed} number.")
        if symbol == self.decay and number < 0:
            raise InputError(f"The decay {name} is {value!r}; give a non-negative number.")
        self.values[symbol] = number

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The user's names of the parameters, in kernel order."""
        back = {kernel: name for name, kernel in self._names.items()}
        return tuple(back.get(s.name, s.name) for s in self.scalars)

    def _vector(self, given: Any, what: str) -> np.ndarray:
        array = numbers(given, what)
        if array.shape not in ((), (self.network.neurons,)):
            raise InputError(f"{what} have the shape {array.shape}; give a number or {self.network.neurons} of them.")
        if not np.isfinite(array).all():
            raise InputError(f"{what} hold a value that is not finite; give finite numbers.")
        return np.array(np.broadcast_to(array, (self.network.neurons,)))

    def _target(self, given: Any) -> np.ndarray | Callable[[float], np.ndarray]:
        if callable(given):
            return given
        return self._vector(0.0 if given is None else given, "The targets d of the cost")

    @cached_property
    def _weight_positions(self) -> dict[sp.Symbol, tuple[int, int]]:
        if self.expression == 0:
            return {}
        net = self.network
        return {net.W[k, j]: (k, j) for k in range(net.neurons) for j in range(net.columns)}

    def _cost(self, given: Any) -> sp.Expr:
        if not isinstance(given, (sp.Expr, int, float)) or isinstance(given, bool):
            raise InputError(f"The cost is {given!r}; give a QuadraticCost or a SymPy expression in network.y, .W, .t.")
        expression = exact_decimals(sp.sympify(given))
        if expression.has(sp.I, sp.oo, sp.zoo, sp.nan) or not expression.is_commutative:
            raise InputError(f"The cost {expression} is not a real, finite expression; mend it.")
        if expression.atoms(sp.core.function.AppliedUndef, sp.Derivative, sp.Integral, sp.Piecewise):
            raise InputError(f"The cost {expression} is not made of elementary functions; write it out.")
        for symbol in sorted(self._foreign(expression), key=lambda s: s.name):
            if VARIABLE.fullmatch(symbol.name):
                raise InputError(
                    f"The cost contains {symbol}, which is no variable of this network although it is called like one; "
                    "use the Symbols network.t, .x, .y and .W themselves, or rename the parameter."
                )
        return expression

    def _foreign(self, expression: sp.Expr) -> set[sp.Symbol]:
        """The symbols that are no variables of the network: parameters."""
        net = self.network
        if not expression.free_symbols:
            return set()
        return expression.free_symbols - {net.t, *net.x, *net.y, *net.W}

    # index form -------------------------------------------------------------------------------------------
    @property
    def arrays(self) -> tuple[Array, ...]:
        """States, externals and parameter arrays in the order of their buffers."""
        quadratic = isinstance(self.cost, QuadraticCost)
        externals = (INPUT, TARGET) if quadratic else (INPUT,)
        parameters = [WEIGHT] if quadratic else []
        if self.network.mask is not None:
            parameters.append(MASK)
        if self.dynamical is not None:
            parameters.append(MOVING)
        return (Y, COSTATE, W, M, *externals, *parameters, *self.selectors)

    @property
    def selectors(self) -> tuple[Array, ...]:
        """One 0/1 array per distinct activation, where there is more than one."""
        count = len(self.network.activations)
        return tuple(Array(f"f{n}", (NEURONS,), "parameter") for n in range(count)) if count > 1 else ()

    def activation(self, u: sp.Expr, k: sp.Expr) -> sp.Expr:
        """f_k(u) in index form."""
        functions = [f.xreplace({ARGUMENT: u, **self._rename}) for f in self.network.activations]
        if len(functions) == 1:
            return functions[0]
        return sp.Add(*(s[k] * f for s, f in zip(self.selectors, functions, strict=True)))

    def index_form(self, sign: int = 1) -> sp.Expr:
        """H over `Sum` and `Indexed`, without a user's own cost (which names single entries).

        Arguments:
            sign: of the kinetic term of the weights; -1 is Pontryagin's.
        """
        return self.motion_form() + self.kinetic_form(sign) + self.cost_form()

    @property
    def _synapse(self) -> sp.Expr:
        """S_kj where synapses are missing."""
        masked = self.network.mask is not None
        return MASK[NEURONS.index(), COLUMNS.index()] if masked else sp.S.One

    def motion_form(self, weights: Callable[[sp.Symbol, sp.Symbol], sp.Expr] = lambda k, j: W[k, j]) -> sp.Expr:
        """sum_k Delta_k F_k with the given weights in the drives."""
        k, j = NEURONS.index(), COLUMNS.index()
        u = COLUMNS.sum(self._synapse * weights(k, j) * Z[j], j)
        return NEURONS.sum(COSTATE[k] * (-Y[k] + self.activation(u, k)) / self.relaxation, k)

    def kinetic_form(
        self, sign: int = 1, momenta: Callable[[sp.Symbol, sp.Symbol], sp.Expr] = lambda k, j: M[k, j]
    ) -> sp.Expr:
        """(sign / 2 omega) sum_kj M_kj^2 over the weights that move."""
        k, j = NEURONS.index(), COLUMNS.index()
        moving = self._synapse * (MOVING[k, j] if self.dynamical is not None else sp.S.One)
        return sign * NEURONS.sum(COLUMNS.sum(moving * momenta(k, j) ** 2, j), k) / (2 * self.inertia)

    def cost_form(self, weights: Callable[[sp.Symbol, sp.Symbol], sp.Expr] = lambda k, j: W[k, j]) -> sp.Expr:
        """The quadratic cost with the given weights; zero where there is none."""
        if self.decay is None:
            return sp.S.Zero
        k, j = NEURONS.index(), COLUMNS.index()
        error = NEURONS.sum(WEIGHT[k] * (Y[k] - TARGET[k]) ** 2, k) / 2
        return error + self.decay / 2 * NEURONS.sum(COLUMNS.sum(self._synapse * weights(k, j) ** 2, j), k)

    def cost_entries(self) -> list[tuple[sp.Indexed, sp.Expr]]:
        """(entry of y or W, dE/d entry) of a user's own cost, over entries with integer indices.

        Raises:
            InputError: above the budget of single entries; each is a statement of the kernel.
        """
        if not self.expression.free_symbols:
            return []
        net, occurring = self.network, self.expression.free_symbols
        place: dict[sp.Basic, sp.Basic] = {s: Y[k] for k, s in enumerate(net.y)}
        place |= {s: INPUT[a] for a, s in enumerate(net.x)}
        place |= {s: W[at] for s, at in self._weight_positions.items() if s in occurring}
        acted_on = sorted((s for s in occurring & set(place) if place[s].base != INPUT.base), key=sp.default_sort_key)
        if len(acted_on) > MAX_TERMS:
            raise InputError(
                f"The cost acts on {len(acted_on)} single entries of y and W, more than the budget of {MAX_TERMS}; use "
                "a QuadraticCost, whose kernel's text does not depend on the size."
            )
        found = []
        for symbol in acted_on:
            entry = place[symbol]
            moves = entry.base == Y.base or self.moving[entry.indices]
            derivative = self.expression.diff(symbol)
            if derivative != 0 and moves:
                found.append((entry, derivative.xreplace({**place, **self._rename})))
        return found

    # canonical symbols ------------------------------------------------------------------------------------
    @cached_property
    def moving(self) -> np.ndarray:
        """Boolean (N, l + 1 + N): the weights that are canonical variables."""
        net = self.network
        moving = np.ones((net.neurons, net.columns), bool)
        for array in (net.mask, self.dynamical):
            if array is not None:
                moving &= array.astype(bool)
        return moving

    @property
    def W(self):
        return self.network.W

    @cached_property
    def q(self) -> tuple[sp.Symbol, ...]:
        return self.network.y + tuple(self.network.W[k, j] for k, j in np.argwhere(self.moving).tolist())

    @cached_property
    def p(self) -> tuple[sp.Symbol, ...]:
        costates = tuple(entry_symbol("D", (k,)) for k in range(self.network.neurons))
        return costates + tuple(entry_symbol("M", (k, j)) for k, j in np.argwhere(self.moving).tolist())

    @property
    def autonomous(self) -> bool:
        """Whether neither the cost nor the targets depend on time."""
        return not callable(self.target) and not self.expression.has(self.network.t)

    def changed(self, **changes: Any) -> NeuralHamiltonian:
        """The same Hamiltonian with some constructor arguments replaced; numbers given meanwhile stay."""
        cost = self.cost
        if isinstance(cost, QuadraticCost) and self.decay is not None:
            cost = replace(cost, decay=self._given(self.decay))
        kept = {
            "network": self.network,
            "relaxation": self._given(self.relaxation),
            "inertia": self._given(self.inertia),
            "cost": cost,
            "dynamical": self.dynamical,
            "delay": None if self.delay is None else self._given(self.delay),
        }
        new = NeuralHamiltonian(**{**kept, **changes})
        own = {symbol.name: kernel for kernel, symbol in new._symbols.items()}
        for kernel, symbol in self._symbols.items():
            if kernel in self.values and symbol.name in own and own[symbol.name] not in new.values:
                new.set_value(symbol.name, self.values[kernel])
        return new

    def _given(self, kernel: sp.Symbol) -> Any:
        """What the user gave for a parameter: the Symbol, or the number it has now."""
        return self._symbols.get(kernel, self.values.get(kernel))

    def characteristic_equations(self, reading: str = "canonical", kinetic: str = "plus"):
        """Hamilton's equations of this Hamiltonian, in index form.

        Arguments:
            reading: "canonical" (shifts left out, one kinetic term), or, where there is a delay, what the shifted
                variables are: "causal" (the same variable), "variational" (values of one path at other times) or
                "frozen" (known functions of time).
            kinetic: "plus", or "minus" for Pontryagin's sign of the kinetic term.

        Returns:
            CharacteristicEquations; DelayedEquations for the readings of shifted variables.

        Raises:
            InputError: for another reading or sign, and for readings of shifts where there is no delay.
        """
        from qnnsym.neural.characteristic import characteristic_equations

        return characteristic_equations(self, reading, kinetic)

    def __repr__(self) -> str:
        cost = "no cost" if self.cost is None else "quadratic cost" if self.decay is not None else f"E = {self.cost}"
        return f"NeuralHamiltonian({self.network!r}, {cost})"


def _check_delay(delay: Any, network: Network) -> None:
    """Refuse delays that depend on the state or on time."""
    inside = getattr(delay, "free_symbols", set()) if not isinstance(delay, sp.Symbol) else {delay}
    moving = any(VARIABLE.fullmatch(s.name) for s in inside) or network.t in inside
    if callable(delay) or moving or (inside and not isinstance(delay, sp.Symbol)):
        raise InputError(
            f"The delay {delay} depends on time, state or other symbols; delays are constant here, for the times at "
            "which derivatives jump have to be known beforehand. Give a positive number, or one Symbol."
        )


def _number(given: Any) -> float:
    """A real number as a float; NaN for everything else."""
    if isinstance(given, bool) or not isinstance(given, (int, float, sp.Expr, np.number)):
        return float("nan")
    try:
        return float(given)
    except (TypeError, ValueError):
        return float("nan")

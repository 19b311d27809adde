"""Moyal corrections of the neural Hamiltonian, order by order in hbar^2, from the bidifferential series itself.

    d rho/dt = {{H, rho}} = {H, rho} + sum_{s>=1} (-1)^s (hbar/2)^{2s}/(2s+1)! P_{2s+1} rho,
    P_r rho = H (<-d_q ->d_p - <-d_p ->d_q)^r rho

H is linear in the costates and quadratic in the momenta of the weights, so that two families of derivatives survive:
P_r rho = (H_{q..q}).(d_p)^r rho - r sum_k (d_q^{r-1} F_k).(d_p)^{r-1} d_{y_k} rho. They are not put in: the derivatives
of H are enumerated, and those that vanish vanish.

Source: J. E. Moyal, Proc. Camb. Phil. Soc. 45 (1949) 99; H. J. Groenewold, Physica 12 (1946) 405.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import comb, factorial
from typing import Any

import sympy as sp

from qnnsym.equations.functions import relu, step
from qnnsym.equations.latex import latex
from qnnsym.equations.numbers import exact_number
from qnnsym.equations.unroll import entry_symbol
from qnnsym.errors import InputError
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.written_out import written_out

HBAR = sp.Symbol("hbar", positive=True)
# Derivatives of rho that one correction may have: beyond it the expression says nothing to anybody.
MOST_ROWS = 20_000


def own_expression(hamiltonian: NeuralHamiltonian, sign: int = 1) -> sp.Expr:
    """H at the network's own size in its canonical Symbols, with its masks, costs and numbers put in.

    Parameters that are Symbols stay Symbols; targets that are functions of time become Symbols d_k.
    """
    h, net = hamiltonian, hamiltonian.network
    values: dict[sp.Symbol, Any] = {}
    for name, array in (("S", net.mask), ("G", h.dynamical)):
        if array is not None:
            values |= {
                entry_symbol(name, (k, j)): sp.Integer(int(array[k, j]))
                for k in range(net.neurons)
                for j in range(net.columns)
            }
    for n in range(len(h.selectors)):
        values |= {entry_symbol(f"f{n}", (k,)): sp.Integer(int(c == n)) for k, c in enumerate(net.choice)}
    if isinstance(h.cost, QuadraticCost):
        values |= {entry_symbol("c", (k,)): exact_number(c, "A weight of the cost") for k, c in enumerate(h.weight)}
        if not callable(h.target):
            values |= {entry_symbol("d", (k,)): exact_number(d, "A target") for k, d in enumerate(h.target)}
    for symbol in h.scalars:
        given = h._given(symbol)
        if isinstance(given, sp.Symbol):
            values[symbol] = given
        else:
            values[symbol] = sp.oo if given == float("inf") else exact_number(given, f"The parameter {symbol}")
    values |= {kernel: user for user, kernel in h._rename.items()}
    expression = written_out(h, net.neurons, net.inputs, sign, own_cost=True)
    omega = values.pop(h.inertia)
    return expression.subs(h.inertia, omega).xreplace(values)


@dataclass(frozen=True)
class Row:
    """coefficient times the derivatives of rho by the listed Symbols (repeated as often as they act)."""

    coefficient: sp.Expr
    dp: tuple[sp.Symbol, ...]
    dq: tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class MoyalCorrection:
    """P_{order+1}, the operator of one correction; made by `moyal_correction`.

    Attributes:
        hamiltonian: H as an expression in its canonical Symbols.
        q, p: canonical Symbols.
        order: the power of hbar it comes with.
    """

    hamiltonian: sp.Expr
    q: tuple[sp.Symbol, ...]
    p: tuple[sp.Symbol, ...]
    order: int

    @property
    def factor(self) -> sp.Expr:
        """What P rho is multiplied with in d rho/dt: (-1)^s (hbar/2)^{2s}/(2s+1)!."""
        return (-1) ** (self.order // 2) * (HBAR / 2) ** self.order / sp.factorial(self.order + 1)

    @cached_property
    def terms(self) -> tuple[Row, ...]:
        """The rows that do not vanish, each set of derivatives once."""
        r, found = self.order + 1, []
        for b in range(r + 1):
            for along_p, inner in _derivatives(self.hamiltonian, self.p, b):
                for along_q, derivative in _derivatives(inner, self.q, r - b):
                    number = (-1) ** b * comb(r, b) * _ways(along_q) * _ways(along_p)
                    partner = dict(zip((*self.q, *self.p), (*self.p, *self.q), strict=True))
                    dp = tuple(partner[s] for s in along_q)
                    dq = tuple(partner[s] for s in along_p)
                    found.append(Row(number * derivative, dp, dq))
                    if len(found) > MOST_ROWS:
                        raise InputError(
                            f"The correction has more than {MOST_ROWS} derivatives of rho; take a smaller network, "
                            "fewer dynamical weights, or a lower order."
                        )
        return tuple(found)

    def apply(self, rho: Any) -> sp.Expr:
        """P rho, without the factor (-hbar^2/24 at order 2).

        Arguments:
            rho: SymPy expression in the Symbols of H.q and H.p; further symbols are parameters.
        """
        if not isinstance(rho, (sp.Expr, int, float)) or isinstance(rho, bool):
            raise InputError(f"rho is {rho!r}; give a SymPy expression in the Symbols of H.q and H.p.")
        expression = sp.sympify(rho)
        own = {s.name: s for s in (*self.q, *self.p)}
        for symbol in sorted(expression.free_symbols, key=str):
            if isinstance(symbol, sp.Symbol) and own.get(symbol.name, symbol) != symbol:
                raise InputError(
                    f"rho contains {symbol}, which is no variable of this network although it is called like one; use "
                    "the Symbols of H.q and H.p themselves, or rename the parameter."
                )
        known: dict[tuple[sp.Symbol, ...], sp.Expr] = {(): expression}

        def differentiated(symbols: tuple[sp.Symbol, ...]) -> sp.Expr:
            if symbols not in known:
                known[symbols] = sp.diff(differentiated(symbols[:-1]), symbols[-1])
            return known[symbols]

        return sp.Add(*(row.coefficient * differentiated((*row.dq, *row.dp)) for row in self.terms))

    @property
    def latex(self) -> str:
        """P rho as LaTeX, one derivative of rho after the other."""
        if not self.terms:
            return rf"P_{{{self.order + 1}}}\,\rho = 0"
        parts = []
        for row in self.terms:
            symbols = Counter((*row.dq, *row.dp))
            below = " ".join(rf"\partial {_name(s)}" + (f"^{{{n}}}" if n > 1 else "") for s, n in symbols.items())
            parts.append(
                rf"\left({latex(row.coefficient)}\right) \frac{{\partial^{{{self.order + 1}}} \rho}}{{{below}}}"
            )
        return rf"P_{{{self.order + 1}}}\,\rho = " + " + ".join(parts)

    def __str__(self) -> str:
        if not self.terms:
            return f"P{self.order + 1} rho = 0"
        parts = [
            f"({sp.sstr(row.coefficient)})*d[{' '.join(s.name for s in (*row.dq, *row.dp))}] rho" for row in self.terms
        ]
        return f"P{self.order + 1} rho = " + "\n  + ".join(parts)


def moyal_correction(hamiltonian: Any, order: int = 2, kinetic: str = "plus") -> MoyalCorrection:
    """The correction of order hbar^order to the evolution of a density over a network's phase space.

    Arguments:
        hamiltonian: NeuralHamiltonian without delay; weights that do not move are parameters.
        order: an even power of hbar, 2 or higher; activations are differentiated order + 1 times.
        kinetic: "plus", or "minus" for Pontryagin's sign.

    Returns:
        MoyalCorrection; apply(rho) gives P_{order+1} rho as an expression, .terms its rows.

    Raises:
        InputError: for activations with a kink, delayed variables, and orders that are not even and positive.
    """
    if not isinstance(hamiltonian, NeuralHamiltonian):
        raise InputError(f"The Hamiltonian is {hamiltonian!r}; give a NeuralHamiltonian.")
    if getattr(hamiltonian, "delay", None) is not None:
        raise InputError(
            "A Hamiltonian with delayed variables has no canonical causal reading, so that it has no Moyal bracket; "
            "leave delay out."
        )
    if isinstance(order, bool) or not isinstance(order, int) or order < 2 or order % 2:
        raise InputError(f"order={order!r}; corrections come with even powers of hbar: give 2, 4, 6, ...")
    if kinetic not in ("plus", "minus"):
        raise InputError(f"kinetic={kinetic!r} is not a sign; use 'plus' or 'minus'.")
    if any(f.has(relu, step, sp.Abs, sp.sign, sp.Max, sp.Min) for f in hamiltonian.network.activations):
        raise InputError(
            "The activation relu has no third derivative at its kink, and the Moyal corrections differentiate it three "
            "times and more; smooth it, for instance softplus(beta*u)/beta."
        )
    if hamiltonian.expression.has(relu, step, sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside, sp.DiracDelta):
        raise InputError(
            f"The cost {hamiltonian.expression} has a kink, and the Moyal corrections differentiate it three times and "
            "more; smooth it, for instance sqrt(y**2 + eps**2) for Abs(y)."
        )
    expression = own_expression(hamiltonian, 1 if kinetic == "plus" else -1)
    return MoyalCorrection(expression, hamiltonian.q, hamiltonian.p, order)


def poisson_bracket(hamiltonian: sp.Expr, rho: sp.Expr, q: tuple, p: tuple) -> sp.Expr:
    """{H, rho} = sum_i H_{q_i} rho_{p_i} - H_{p_i} rho_{q_i}, the classical part of d rho/dt."""
    return sp.Add(
        *(
            sp.diff(hamiltonian, a) * sp.diff(rho, b) - sp.diff(hamiltonian, b) * sp.diff(rho, a)
            for a, b in zip(q, p, strict=True)
        )
    )


def _derivatives(
    expression: sp.Expr, symbols: tuple[sp.Symbol, ...], count: int, first: int = 0
) -> Iterator[tuple[tuple[sp.Symbol, ...], sp.Expr]]:
    """Every non-zero derivative of the given order, its symbols in ascending order; none below a zero is looked at."""
    if count == 0:
        if expression != 0:
            yield (), expression
        return
    free = expression.free_symbols
    for n in range(first, len(symbols)):
        if symbols[n] not in free:
            continue
        derivative = sp.diff(expression, symbols[n])
        if derivative != 0:
            for rest, inner in _derivatives(derivative, symbols, count - 1, n):
                yield (symbols[n], *rest), inner


def _ways(symbols: tuple[sp.Symbol, ...]) -> int:
    """The number of orderings of derivatives, some of them by the same variable."""
    number = factorial(len(symbols))
    for times in Counter(symbols).values():
        number //= factorial(times)
    return number


def _name(symbol: sp.Symbol) -> str:
    letter, _, rest = symbol.name.partition("_")
    return {"D": r"\Delta"}.get(letter, letter) + "_{" + rest.replace("_", " ") + "}"

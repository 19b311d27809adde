"""Open terms of the evolution equation: what coupling to an environment adds to dW/dt = {{H, W}}.

    damping g, occupation n     Lindblad sqrt(g (n+1)) a and sqrt(g n) a^dag, a = (x/l + i p l/hbar)/sqrt(2):
                                (g/2) [d_x(x W) + d_p(p W)] + (g/2)(n + 1/2) [l^2 W_xx + (hbar/l)^2 W_pp]
    diffusion D                 Lindblad sqrt(2 D) x/hbar, decoherence of positions:  D W_pp
    friction f                  2 f d_p(p W), the friction of Caldeira and Leggett, -(i f/hbar) [x, {p, rho}]

The oscillator length l is that of the quadratic part of H at the origin: l^2 = hbar/(m omega) with 1/m = H_pp and
m omega^2 = H_xx there. Where H has no such part (not positive, not constant in time) m and omega are one each by
itself: l^2 = hbar for p^2/2 + x^4/4. "length" gives another.

With a temperature T, D = 2 m f k T balances the friction at the Maxwell distribution. Friction with less diffusion than
the uncertainty relation asks for is not of Lindblad form: W may cease to be a state.

Sources: G. Lindblad, Commun. Math. Phys. 48, 119 (1976); A. O. Caldeira, A. J. Leggett, Physica A 121, 587 (1983);
W. H. Zurek, J. P. Paz, Phys. Rev. Lett. 72, 2508 (1994).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import sympy as sp

from qnnsym.equations.latex import latex
from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.moyal import star
from qnnsym.phase_space.space import PhaseSpace

KEYS = ("damping", "occupation", "diffusion", "friction", "length")


class OpenTerm(NamedTuple):
    """coefficient * d_x^dx d_p^dp W."""

    coefficient: sp.Expr
    dx: int
    dp: int


@dataclass(frozen=True)
class Dissipation:
    """The open terms of one degree of freedom.

    Attributes:
        space: the phase space.
        damping, occupation, diffusion, friction: rates, expressions in hbar and declared parameters.
        length: the oscillator length l.
    """

    space: PhaseSpace
    damping: sp.Expr
    occupation: sp.Expr
    diffusion: sp.Expr
    friction: sp.Expr
    length: sp.Expr

    @classmethod
    def of(cls, given: Any, hamiltonian: sp.Expr, space: PhaseSpace) -> Dissipation | None:
        """The open terms from what users give.

        Arguments:
            given: None, or a mapping of some of KEYS to numbers or expressions.
            hamiltonian: the Weyl symbol of H, for the oscillator length.
            space: its phase space.

        Returns:
            None where nothing is open.

        Raises:
            InputError: for unknown keys, values that depend on x, p or time, negative ones, or more than one degree of
                freedom.
        """
        if given is None or given == {}:
            return None
        if not isinstance(given, Mapping):
            raise InputError(
                f'dissipation is {given!r}; give a dictionary such as {{"damping": 0.1, "occupation": 0}}, with some '
                f"of {', '.join(KEYS)}."
            )
        unknown = sorted(str(key) for key in given if key not in KEYS)
        if unknown:
            raise InputError(
                f"dissipation names {', '.join(unknown)}, which is not known; use some of {', '.join(KEYS)}."
            )
        if space.dimension != 1:
            raise InputError(
                f"{space!r} has {space.dimension} degrees of freedom; open terms are built for one. Leave dissipation "
                "out."
            )
        values = {key: _expression(key, given.get(key, 0), space) for key in KEYS[:-1]}
        if values["occupation"] != 0 and values["damping"] == 0:
            raise InputError('An occupation without damping does nothing; give "damping" as well.')
        length = oscillator_length(hamiltonian, space)
        if given.get("length") is not None:
            length = _expression("length", given["length"], space)
            if length.is_zero:
                raise InputError("The oscillator length is 0; give a positive one.")
        if not any(values.values()):
            return None
        return cls(space, **values, length=length)

    @property
    def rates(self) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
        """(a, b, D_x, D_p) of d_x(a x W) + d_p(b p W) + D_x W_xx + D_p W_pp."""
        half, hbar = self.damping / 2, self.space.hbar
        thermal = half * (self.occupation + sp.Rational(1, 2))
        return (
            half,
            half + 2 * self.friction,
            thermal * self.length**2,
            thermal * hbar**2 / self.length**2 + self.diffusion,
        )

    @property
    def terms(self) -> tuple[OpenTerm, ...]:
        """The rows that are added to the table of terms."""
        (x,), (p,) = self.space.x, self.space.p
        a, b, dx, dp = self.rates
        rows = (
            OpenTerm(a + b, 0, 0), OpenTerm(a * x, 1, 0), OpenTerm(b * p, 0, 1),
            OpenTerm(dx, 2, 0), OpenTerm(dp, 0, 2),
        )  # fmt: skip
        return tuple(row for row in rows if row.coefficient != 0)

    def apply(self, W: sp.Expr) -> sp.Expr:
        """The open terms of dW/dt for a given W."""
        (x,), (p,) = self.space.x, self.space.p
        return sp.Add(*(row.coefficient * sp.diff(W, (x, row.dx), (p, row.dp)) for row in self.terms))

    def from_operators(self, W: sp.Expr) -> sp.Expr:
        """The Weyl symbol of the master equation's open terms, by star products of its operators.

        L rho L^dag - (L^dag L rho + rho L^dag L)/2 for each jump operator, and -(i f/hbar) [x, {p, rho}].
        """
        space = self.space
        (x,), (p,), hbar = space.x, space.p, space.hbar

        def product(*factors: sp.Expr) -> sp.Expr:
            result = factors[-1]
            for factor in factors[-2::-1]:
                result = star(factor, result, space)
            return sp.expand(result)

        def dissipator(jump: sp.Expr) -> sp.Expr:
            adjoint = sp.conjugate(jump)
            number = product(adjoint, jump)
            return product(jump, product(W, adjoint)) - (product(number, W) + product(W, number)) / 2

        found = sp.Add(*(rate * dissipator(jump) for rate, jump in self.jumps))
        if self.friction != 0:
            anti = product(p, W) + product(W, p)
            found += -sp.I * self.friction / hbar * (product(x, anti) - product(anti, x))
        return sp.expand(found)

    @property
    def jumps(self) -> tuple[tuple[sp.Expr, sp.Expr], ...]:
        """(rate, Weyl symbol of the jump operator) of the terms of Lindblad form."""
        (x,), (p,), hbar = self.space.x, self.space.p, self.space.hbar
        a = (x / self.length + sp.I * p * self.length / hbar) / sp.sqrt(2)
        found = (
            (self.damping * (self.occupation + 1), a),
            (self.damping * self.occupation, sp.conjugate(a)),
            (2 * self.diffusion / hbar**2, x),
        )
        return tuple((rate, jump) for rate, jump in found if rate != 0)

    def latex(self) -> str:
        """LaTeX of the terms, each with its sign, to stand after those of the Moyal equation."""
        (x,), (p,) = self.space.x, self.space.p
        pieces = []
        for row in self.terms:
            order = row.dx + row.dp
            below = rf"\partial {latex(x if row.dx else p)}" + (f"^{{{order}}}" if order > 1 else "")
            above = rf"\partial^{{{order}}} W" if order > 1 else r"\partial W"
            derivative = rf"\frac{{{above}}}{{{below}}}" if order else "W"
            text = latex(row.coefficient)
            if row.coefficient.is_Add:
                text = rf"\left({text}\right)"
            pieces.append(f"+ {text} {derivative}")
        return " ".join(pieces)


def oscillator_length(hamiltonian: sp.Expr, space: PhaseSpace) -> sp.Expr:
    """sqrt(hbar/(m omega)) of the quadratic part of H at the origin; m = 1, omega = 1 where it has none."""
    (x,), (p,) = space.x, space.p
    inverse_mass = _curvature(hamiltonian, p, space) or sp.Integer(1)
    stiffness = _curvature(hamiltonian, x, space) or 1 / inverse_mass
    return sp.sqrt(space.hbar) * sp.root(inverse_mass / stiffness, 4)


def _curvature(hamiltonian: sp.Expr, variable: sp.Symbol, space: PhaseSpace) -> sp.Expr | None:
    """The second derivative at the origin where it is finite, positive and constant."""
    try:
        second = sp.simplify(sp.diff(hamiltonian, variable, 2).subs({v: 0 for v in space.variables}))
        number = sp.sympify(second).subs(space.defaults).subs(space.hbar, 1)
    except (ValueError, TypeError, ZeroDivisionError, AttributeError):
        return None
    if second.has(space.t, sp.zoo, sp.oo, sp.nan) or not (number.is_number and number.is_positive):
        return None
    return second


def _expression(key: str, value: Any, space: PhaseSpace) -> sp.Expr:
    try:
        expression = exact_decimals(sp.sympify(value, strict=not isinstance(value, str)))
    except (sp.SympifyError, AttributeError, TypeError):
        expression = None
    if not isinstance(expression, sp.Expr) or isinstance(value, (str, bool)):
        raise InputError(f"The {key} of dissipation is {value!r}; give a number or an expression in parameters.")
    unknown = sorted(map(str, expression.free_symbols - {space.hbar, *space.defaults}))
    if unknown:
        raise InputError(
            f"The {key} of dissipation is {expression}, with {', '.join(unknown)}; give a constant, with parameters "
            f"declared by space.parameters({unknown[0]}=1)."
        )
    number = expression.subs(space.defaults).subs(space.hbar, 1)
    if expression.has(sp.oo, sp.zoo, sp.nan) or not number.is_real:
        raise InputError(f"The {key} of dissipation is {expression}; give a finite real number.")
    if number.is_negative:
        raise InputError(f"The {key} of dissipation is {expression}; it cannot be negative.")
    return expression

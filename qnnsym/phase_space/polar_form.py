"""Schroedinger's equation in Madelung's form: psi = R exp(iS/hbar), real and imaginary part apart.

The Weyl quantisation of H acts on psi as a differential operator (P = -i hbar d/dx); what remains after exp(iS/hbar)
is divided out is polynomial in i. Its real part over R is Hamilton and Jacobi's equation with the quantum potential,
its imaginary part times 2R/hbar the continuity of R^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from qnnsym.equations.latex import latex
from qnnsym.errors import InputError
from qnnsym.phase_space.equation import real_function
from qnnsym.phase_space.moyal import is_undefined
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.weyl import weyl_symbol
from qnnsym.phase_space.weyl.operators import to_variables
from qnnsym.phase_space.weyl.quantize import weyl_quantize


@dataclass(frozen=True)
class Madelung:
    """The polar form of Schroedinger's equation; made by `madelung`.

    Attributes:
        hamiltonian: the Weyl symbol of H.
        space: its phase space.
        R, S: the real functions R(x, t), S(x, t) of psi = R exp(iS/hbar).
        hamilton_jacobi: the expression that vanishes, dS/dt + H(x, grad S) + quantum potential.
        continuity: the expression that vanishes, d(R^2)/dt + div(current).
        classical: hamilton_jacobi without the quantum potential, its limit hbar -> 0.
        current: the probability current of each degree of freedom, R^2 dH/dp at p = grad S where H is at most
            quadratic in the momenta, else None.
    """

    hamiltonian: sp.Expr
    space: PhaseSpace
    R: Any
    S: Any
    hamilton_jacobi: sp.Expr
    continuity: sp.Expr
    classical: sp.Expr
    current: tuple[sp.Expr, ...] | None

    def quantum_potential(self, R: Any = None, S: Any = None) -> sp.Expr:
        """What Hamilton and Jacobi's equation has beyond the classical one, -(hbar^2/2m)(Lap R)/R for H = p^2/2m + U.

        Arguments:
            R: the amplitude as an expression in the positions (and time); None keeps R undefined.
            S: the phase, needed only where H is of higher degree in the momenta.

        Raises:
            InputError: for an amplitude that is zero or holds a momentum, or a phase that is needed and not given.
        """
        quantum = sp.expand(self.hamilton_jacobi - self.classical)
        replacements = {}
        for name, symbol, value in (("R", self.R, R), ("S", self.S, S)):
            if value is None:
                continue
            expression = _of_position(value, name, self.space)
            replacements[symbol] = expression
        if R is not None and quantum.has(self.S) and S is None:
            raise InputError(
                f"The quantum potential of H = {self.hamiltonian} depends on the phase too, because H is not quadratic "
                "in the momenta; give quantum_potential(R, S)."
            )
        if not replacements:
            return quantum
        if replacements.get(self.R) == 0:
            raise InputError("The amplitude R is zero, and the quantum potential divides by it; give R of a state.")
        return sp.simplify(quantum.subs(replacements).doit())

    def latex(self) -> dict[str, str]:
        """LaTeX of the two equations, without delimiters."""
        return {
            "Hamilton-Jacobi": f"{latex(self.hamilton_jacobi)} = 0",
            "Continuity": f"{latex(self.continuity)} = 0",
        }


def madelung(H: Any, space: PhaseSpace) -> Madelung:
    """Insert psi = R exp(iS/hbar) into Schroedinger's equation and separate real and imaginary part.

    Arguments:
        H: the Weyl symbol of a real Hamiltonian, polynomial in the momenta (vector potentials, position-dependent
            masses, several particles, undefined functions of position and time), or a Hermitian operator in X, P.
        space: the phase space.

    Returns:
        A Madelung, whose expressions vanish on solutions.

    Raises:
        InputError: when H is not real or not a polynomial in the momenta.

    Source: E. Madelung, Z. Phys. 40, 322 (1927); D. Bohm, Phys. Rev. 85, 166 (1952).
    """
    if isinstance(H, sp.Expr) and not H.is_commutative:
        H = weyl_symbol(H, space)
    symbol = real_function(H, space)
    if not symbol.is_polynomial(*space.p):
        raise InputError(
            f"H = {symbol} is not a polynomial in {', '.join(map(str, space.p))}, so that it is no differential "
            "operator on psi(x); expand its kinetic energy in powers of the momenta."
        )
    hbar, t = space.hbar, space.t
    R = sp.Function("R", real=True)(*space.x, t)
    S = sp.Function("S", real=True)(*space.x, t)
    operator = weyl_quantize(symbol, space)
    # With exp(iS/hbar) divided out, a derivative of psi acts on the amplitude as d + (i/hbar) dS.
    acted = sp.Add(*(_acted(term, R, S, space) for term in sp.Add.make_args(sp.expand_mul(operator))))
    rate = sp.I * hbar * (sp.diff(R, t) + sp.I / hbar * sp.diff(S, t) * R)
    real, imaginary = _parts(acted - rate)
    hamilton_jacobi = sp.expand(real / R)
    continuity = sp.expand(-imaginary * 2 * R / hbar)
    gradient = {p: sp.diff(S, x) for x, p in zip(space.x, space.p, strict=True)}
    classical = sp.diff(S, t) + sp.expand(symbol.xreplace(gradient).subs(hbar, 0))
    current = None
    if sp.Poly(symbol, *space.p).total_degree() <= 2:
        current = tuple(R**2 * sp.diff(symbol, p).xreplace(gradient) for p in space.p)
    return Madelung(symbol, space, R, S, hamilton_jacobi, continuity, classical, current)


def _acted(term: Any, R: Any, S: Any, space: PhaseSpace) -> Any:
    """A word of the quantised H applied to psi, over exp(iS/hbar)."""
    coordinate = dict(zip(space.P, space.x, strict=True))
    coefficients, factors = term.args_cnc()
    state = R
    for factor in reversed(factors):
        base, times = (factor.base, int(factor.exp)) if factor.is_Pow and factor.base in coordinate else (factor, 1)
        if base in coordinate:
            x = coordinate[base]
            for _ in range(times):
                state = -sp.I * space.hbar * sp.diff(state, x) + sp.diff(S, x) * state
        else:
            state = to_variables(factor, space) * state
    return sp.Mul(*coefficients) * state


def _parts(expression: Any) -> tuple[Any, Any]:
    """Real and imaginary part of a polynomial in i whose other pieces are real."""
    unit = sp.Dummy("i")
    expanded = sp.expand(expression).xreplace({sp.I: unit})
    parts = [sp.Integer(0), sp.Integer(0)]
    for (n,), c in sp.Poly(expanded, unit, domain=sp.EXRAW).terms():
        parts[n % 2] += (-1) ** (n // 2) * c
    return parts[0], parts[1]


def _of_position(value: Any, name: str, space: PhaseSpace) -> Any:
    try:
        expression = sp.sympify(value, strict=True)
    except sp.SympifyError:
        expression = None
    if not isinstance(expression, sp.Expr) or not expression.is_commutative:
        raise InputError(f"{name} is {value!r}; give a SymPy expression in {', '.join(map(str, space.x))}.")
    if is_undefined(expression):
        raise InputError(f"{name} = {expression} is undefined or infinite; give a function of position and time.")
    if not expression.free_symbols.isdisjoint(space.p):
        raise InputError(f"{name} = {expression} holds a momentum; it is a function of position and time.")
    return expression

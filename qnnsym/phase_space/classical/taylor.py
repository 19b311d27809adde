"""Short-time expansions of expectation values, exact: repeated brackets in the ring, then moments of the state.

    <A>(t) = sum_k t^k/k! iint A_k W,    A_0 = A,  A_{k+1} = {{A_k, H}}

The evolution acts on A because iint A {{H, W}} = iint {{A, H}} W; polynomials stay polynomials.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import sympy as sp

from qnnsym.equations.numbers import exact_decimals, exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space.classical.pieces import expectation, pieces
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.ring import Element, Ring
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import FockState, Mixture

# Highest power of hbar kept in the equation of motion.
FLOWS = {"quantum": None, "classical": 0, "truncated": 2}


def taylor_expectations(
    H: Any, A: Any, family: Any, space: PhaseSpace, hbar: Any = 1, number: int = 8, flow: str = "quantum"
) -> list[sp.Expr]:
    """The exact coefficients of t^0, t^1, ... of <A>(t).

    Arguments:
        H, A: Weyl symbols, polynomials in x and p; further symbols are parameters and stay.
        family: the state at t = 0; its parameters may be expressions in space.hbar.
        space: phase space, any number of degrees of freedom.
        hbar: number, or space.hbar to keep it.
        number: of coefficients.
        flow: "quantum" is dW/dt = {{H, W}}, "classical" Liouville's equation, "truncated" the equation cut at hbar^2
            (the coefficients may hold higher powers then: the cut equation is applied repeatedly).

    Returns:
        `number` expressions, in units of A over powers of t.

    Raises:
        InputError: for H or A that are no polynomials, unknown flows, or numbers that cannot be used.

    Source: J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949).
    """
    if not isinstance(space, PhaseSpace):
        raise InputError(f'space={space!r} is no phase space; give PhaseSpace("x", "p").')
    if flow not in FLOWS:
        raise InputError(f"flow={flow!r} is not known; give one of {', '.join(map(repr, FLOWS))}.")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError(f"number={number!r} is no count of coefficients; give 1 or more.")
    value = _value(hbar, space)
    symbols = {name: _polynomial(f, name, space) for name, f in (("H", H), ("A", A))}
    if symbols["H"].has(space.t) or symbols["A"].has(space.t):
        raise InputError("H or A depends on time; the coefficients are those of an autonomous H.")
    parts = pieces(_checked(family), space)
    equation = moyal_equation(symbols["H"], space, FLOWS[flow])
    ring = Ring.of([symbols["H"], symbols["A"], space.hbar, *(row.coefficient for row in equation.terms)], space)
    rows = [(ring.element(space.hbar**row.hbar_power * row.coefficient), row.dx + row.dp) for row in equation.terms]
    observable: Element = ring.element(symbols["A"])
    found = []
    for k in range(number):
        if k:
            # {{A, H}} = -{{H, A}}: the rows of the evolution equation, applied to A.
            observable = sum((factor * observable.derivative(orders) for factor, orders in rows), observable * 0) * -1
        found.append(_put(expectation(observable.as_expr(), parts, space) / factorial(k), space, value))
    return found


def _value(hbar: Any, space: PhaseSpace) -> sp.Expr:
    if hbar == space.hbar:
        return space.hbar
    number = exact_number(hbar, "hbar")
    if not number.is_positive:
        raise InputError(f"hbar is {hbar}; give a positive number, or space.hbar to keep the symbol.")
    return number


def _polynomial(f: Any, name: str, space: PhaseSpace) -> sp.Expr:
    if isinstance(f, Element):
        f = f.as_expr()
    try:
        expression = sp.sympify(f, strict=True)
    except sp.SympifyError:
        expression = None
    if not isinstance(expression, sp.Expr) or not expression.is_commutative:
        raise InputError(f"{name} is {f!r}; give its Weyl symbol, a SymPy expression in {space.variables}.")
    expression = exact_decimals(expression)
    if not expression.is_polynomial(*space.variables):
        raise InputError(
            f"{name} = {expression} is no polynomial in {', '.join(map(str, space.variables))}, so that its brackets "
            "do not stay in closed form; expand it about the centre of the state first (sympy.series)."
        )
    return expression


def _checked(family: Any) -> Any:
    for state in family.states if isinstance(family, Mixture) else (family,):
        if isinstance(state, FockState) and not all(n.is_Integer for n in state.n):
            raise InputError(f"{state!r} has no number n; exact moments need one.")
    return family


def _put(value: sp.Expr, space: PhaseSpace, hbar: sp.Expr) -> sp.Expr:
    return value if hbar == space.hbar else value.xreplace({space.hbar: hbar})

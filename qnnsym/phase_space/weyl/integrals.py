"""Traces, expectation values and marginals as integrals over phase space.

    Tr A = h^{-n} int A~,    Tr AB = h^{-n} int A~ B~,    <A> = int A~ W,    h = 2 pi hbar

Integrals of polynomials times Gaussians (and plane waves, and delta functions) are exact. Where only some of the
variables can be integrated so, the others stay as a SymPy Integral, which evalf() computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.gaussians import gaussian_terms, integrate_term
from qnnsym.phase_space.moyal import as_function, real_gaussians
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import State
from qnnsym.phase_space.weyl import weyl_symbol
from qnnsym.phase_space.weyl.closed_symbols import deltas_reduced

# Longer results are left as the integration gave them; SymPy's simplification would take minutes.
LONGEST_SIMPLIFIED = 150


def trace(A: Any, space: PhaseSpace) -> sp.Expr:
    """Tr A = h^{-n} int A~ over phase space.

    Arguments:
        A: an operator in X, P, a state, or the Weyl symbol itself.
        space: the phase space.

    Raises:
        InputError: where the integral does not converge (the operator has no trace).
    """
    return _over_all(symbol_of(A, space), space, f"the trace of {A}") / _cells(space)


def trace_product(A: Any, B: Any, space: PhaseSpace) -> sp.Expr:
    """Tr AB = h^{-n} int A~ B~ over phase space; the star of the product may be left out under the integral.

    Arguments:
        A, B: operators in X, P, states (for their density operators), or Weyl symbols.
        space: the phase space.

    Raises:
        InputError: where the integral does not converge.

    Source: W. B. Case, Am. J. Phys. 76, 937 (2008).
    """
    f = symbol_of(A, space) * symbol_of(B, space)
    return _over_all(f, space, f"the trace of the product of {A} and {B}") / _cells(space)


def expectation(A: Any, state: Any, space: PhaseSpace) -> sp.Expr:
    """<A> = Tr rho A = int A~ W over phase space.

    Arguments:
        A: an operator in X, P, or its Weyl symbol.
        state: a state, or its Wigner function (normalised, int W = 1).
        space: the phase space.

    Returns:
        An exact expression; it is complex for operators that are not Hermitian. Functions that cannot be integrated
        in closed form stay under a SymPy Integral over as few variables as possible.

    Raises:
        InputError: where the integral does not converge.
    """
    return _over_all(symbol_of(A, space) * wigner_of(state, space), space, f"the expectation value of {A}")


def marginal(state: Any, space: PhaseSpace, variables: Any) -> sp.Expr:
    """The density of some variables: W integrated over all others.

    Arguments:
        state: a state, or its Wigner function.
        space: the phase space.
        variables: a variable of the space or several. Densities of variables that commute are probabilities; the
            reduced Wigner function of one degree of freedom has both of its variables kept.

    Raises:
        InputError: for what is no variable of the space, or an integral that does not converge.
    """
    kept = tuple(variables) if isinstance(variables, (tuple, list, set, frozenset, sp.Tuple)) else (variables,)
    strangers = [v for v in kept if v not in space.variables]
    if strangers or not kept:
        raise InputError(
            f"marginal was asked for the density of {', '.join(map(str, strangers)) or 'nothing'}; give variables of "
            f"{space!r}: {', '.join(map(str, space.variables))}."
        )
    over = [v for v in space.variables if v not in kept]
    return integrate(wigner_of(state, space), over, space, f"the marginal of {', '.join(map(str, kept))}")


def marginals(state: Any, space: PhaseSpace) -> tuple[sp.Expr, sp.Expr]:
    """The joint densities of all positions and of all momenta, <x|rho|x> and <p|rho|p>."""
    return marginal(state, space, space.x), marginal(state, space, space.p)


def symbol_of(A: Any, space: PhaseSpace) -> Any:
    """The Weyl symbol of an operator, a state or a symbol."""
    if isinstance(A, State):
        return A.symbol(space)
    if isinstance(A, sp.Expr) and not (A.is_commutative and A.free_symbols.isdisjoint(space.X + space.P)):
        return weyl_symbol(A, space)
    return as_function(A)


def wigner_of(state: Any, space: PhaseSpace) -> Any:
    """The Wigner function of a state, or the expression itself."""
    if isinstance(state, State):
        return state.wigner(space)
    function = as_function(state)
    if not function.is_commutative:
        raise InputError(
            f"The state is the operator {function}; give a state or a Wigner function, weyl_symbol(rho, space)/h**n."
        )
    return function


def integrate(f: Any, over: Sequence[sp.Symbol], space: PhaseSpace, what: str) -> Any:
    """The integral of a function over some variables of the space, each from -oo to oo.

    Raises:
        InputError: naming `what` does not converge.
    """
    if not over:
        return f
    if f.has(sp.DiracDelta):
        return _deltas_integrated(f, over, space, what)
    result = _exactly(f, over, space.variables, what)
    if result is None:
        rest = []
        # Variables in which the integrand is a Gaussian go first; functions of the others are parameters meanwhile.
        for v in over:
            single = _exactly(f, [v], (v,), what)
            if single is None:
                rest.append(v)
            else:
                f = single
        kept = sp.expand(f, power_exp=False) if f.has(sp.I) else f
        return sp.Integral(kept, *((v, -sp.oo, sp.oo) for v in rest)) if rest else f
    return _simplified(real_gaussians(result, space))


def _simplified(result: Any) -> Any:
    return sp.simplify(result) if sp.count_ops(result) < LONGEST_SIMPLIFIED else result


def _exactly(f: Any, over: Sequence[sp.Symbol], variables: Sequence[sp.Symbol], what: str) -> Any | None:
    terms = gaussian_terms(f, variables)
    if terms is None:
        return None
    total = []
    for term in terms:
        value = integrate_term(term, variables, over)
        if value is None:
            raise InputError(
                f"The integral for {what} over {', '.join(map(str, over))} does not converge: its integrand does not "
                "decay. Give a normalisable state, or an operator with a trace."
            )
        total.append(value)
    return sp.Add(*total)


def _deltas_integrated(f: Any, over: Sequence[sp.Symbol], space: PhaseSpace, what: str) -> Any:
    """Each term integrated over the variables that its delta functions fix, then over the others."""
    total: Any = sp.Integer(0)
    for term in sp.Add.make_args(deltas_reduced(f, space)):
        left = list(over)
        for delta in term.atoms(sp.DiracDelta):
            fixed = [v for v in left if delta.has(v)]
            if fixed:
                # Coefficients are free of the variable by now, so that derivatives of delta integrate to zero.
                derivative = len(delta.args) > 1 and delta.args[1] != 0
                term = sp.Integer(0) if derivative else term.xreplace({delta: sp.Integer(1)})
                left.remove(fixed[0])
        total += term if term == 0 else integrate(term, left, space, what)
    return _simplified(total)


def _over_all(f: Any, space: PhaseSpace, what: str) -> Any:
    return integrate(f, list(space.variables), space, what)


def _cells(space: PhaseSpace) -> Any:
    return (2 * sp.pi * space.hbar) ** space.dimension

"""The s-parametrised family: P (s = 1), Wigner (s = 0) and Husimi's Q (s = -1), for states and for operators.

With the oscillator length a = sqrt(hbar/(m omega)) and D = a^2 d_x^2 + (hbar^2/a^2) d_p^2 (summed over degrees of
freedom), a state has the functions W_s = exp(-s D/4) W and an operator the symbols A_s = exp(+s D/4) A~, s = 1 for
normal, 0 for symmetric and -1 for antinormal ordering, such that <A> = int W_s A_s for every s.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.gaussians import (
    GaussianTerm,
    exponent_of,
    gaussian_terms,
    heat_flow,
    integrate_term,
    positive_definite,
    sign_of,
)
from qnnsym.phase_space.moyal import real_gaussians
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.weyl.integrals import symbol_of, wigner_of
from qnnsym.phase_space.weyl.operators import oscillator
from qnnsym.phase_space.weyl.quantize import weyl_quantize

NAMES = {1: "P function", 0: "Wigner function", -1: "Q function"}
ORDERED = {1: "normally ordered symbol", 0: "Weyl symbol", -1: "antinormally ordered symbol"}


def quasiprobability(state: Any, space: PhaseSpace, s: Any, mass: Any = 1, omega: Any = 1) -> sp.Expr:
    """The s-parametrised function of a state, int W_s = 1.

    Arguments:
        state: a state, or its Wigner function: a sum of polynomials times Gaussians.
        space: the phase space.
        s: 1 for P, 0 for W, -1 for Q, or any real number (or Symbol) up to 1.
        mass, omega: the oscillator whose length a = sqrt(hbar/(mass omega)) is used, one value or one per degree of
            freedom.

    Returns:
        An expression in x, p, hbar; delta functions for P of a coherent state.

    Raises:
        InputError: where W_s is no function, as P of squeezed, Fock and cat states, or s > 1.

    Source: K. E. Cahill and R. J. Glauber, Phys. Rev. 177, 1882 (1969).
    """
    s = _parameter(s)
    if (s - 1).is_positive:
        raise InputError(f"s is {s}; states have s-parametrised functions for s <= 1 (1 for P, 0 for W, -1 for Q).")
    S = -s * _lengths(space, mass, omega)
    terms = _terms(wigner_of(state, space), space, state)
    label = f"{NAMES.get(s, f'function for s = {s}')} of {state}"
    return _present([_smoothed(term, S, space, label) for term in terms], space)


def ordered_symbol(operator: Any, space: PhaseSpace, s: Any, mass: Any = 1, omega: Any = 1) -> sp.Expr:
    """The s-ordered symbol of an operator.

    Arguments:
        operator: an operator in X, P (or its Weyl symbol): a polynomial, or sums of polynomials times exponentials of
            quadratic forms.
        space: the phase space.
        s: 1 for normal ordering (the coherent-state expectation value <alpha|A|alpha>), 0 for symmetric ordering (the
            Weyl symbol), -1 for antinormal ordering, or any real number between.
        mass, omega: the oscillator whose coherent states are meant.

    Returns:
        An expression in x, p, hbar; a + a^dagger stand for sqrt(2) x/length.

    Raises:
        InputError: where the symbol is no function, or the Weyl symbol is not of that kind.

    Source: K. E. Cahill and R. J. Glauber, Phys. Rev. 177, 1857 (1969).
    """
    s = _parameter(s)
    S = s * _lengths(space, mass, omega)
    terms = _terms(symbol_of(operator, space), space, operator)
    label = f"{ORDERED.get(s, f'symbol for s = {s}')} of {operator}"
    return _present([_smoothed(term, S, space, label) for term in terms], space)


def ordered_quantize(f: Any, space: PhaseSpace, s: Any, mass: Any = 1, omega: Any = 1) -> sp.Expr:
    """The operator whose s-ordered symbol is f; `weyl_quantize` is the case s = 0.

    Arguments and Raises: as for `ordered_symbol` and `weyl_quantize`.
    """
    s = _parameter(s)
    S = -s * _lengths(space, mass, omega)
    terms = _terms(symbol_of(f, space), space, f)
    label = f"Weyl symbol of the operator with the symbol {f}"
    return weyl_quantize(_present([_smoothed(term, S, space, label) for term in terms], space), space)


def ordered_expansion(
    operator: Any, space: PhaseSpace, s: Any = 1, mass: Any = 1, omega: Any = 1
) -> dict[tuple[int, ...], sp.Expr]:
    """The coefficients of an operator as an s-ordered polynomial of creation and annihilation operators.

    Arguments:
        operator: a polynomial in X and P (or its Weyl symbol).
        s: 1 for normal ordering (creation operators to the left), 0 symmetric, -1 antinormal.
        space, mass, omega: as for `ordered_symbol`.

    Returns:
        {(n_1, ..., m_1, ...): coefficient of {a_1^dagger^n_1 ... a_1^m_1 ...}_s}, without zeros.

    Raises:
        InputError: for operators that are no polynomials.
    """
    symbol = ordered_symbol(operator, space, s, mass, omega)
    up = [sp.Dummy(f"u{i}") for i in range(space.dimension)]
    down = [sp.Dummy(f"d{i}") for i in range(space.dimension)]
    values = {}
    for x, p, stiffness, u, d in zip(space.x, space.p, oscillator(space, mass, omega), up, down, strict=True):
        values[x] = sp.sqrt(space.hbar / (2 * stiffness)) * (d + u)
        values[p] = -sp.I * sp.sqrt(space.hbar * stiffness / 2) * (d - u)
    if not symbol.is_polynomial(*space.variables):
        raise InputError(f"The operator {operator} is not a polynomial in X and P; ordered_symbol gives its symbol.")
    poly = sp.Poly(sp.expand(symbol.xreplace(values)), *up, *down)
    return {tuple(map(int, m)): sp.simplify(c) for m, c in poly.terms() if sp.simplify(c) != 0}


def _smoothed(term: GaussianTerm, S: sp.Matrix, space: PhaseSpace, what: str) -> Any:
    """exp(d.S d/4) of a term, if it is a function."""
    variables = space.variables
    if S.is_zero_matrix or term.flat:
        flowed = heat_flow(term, variables, S)
        return flowed.polynomial * sp.exp(exponent_of(flowed, variables))
    form = term.form
    if positive_definite(form):
        # The width that is left, in every direction.
        left = form.inv() + S
        if all(sign_of(entry) == "zero" for entry in left):
            return _points(term, space, what)
        if positive_definite(left):
            flowed = heat_flow(term, variables, S)
            return flowed.polynomial * sp.exp(exponent_of(flowed, variables))
    elif not any(sign_of(entry) == "negative" for entry in S.diagonal()):
        N = sp.eye(len(variables)) + S * form
        if sign_of(N.det()) == "positive":
            flowed = heat_flow(term, variables, S)
            return flowed.polynomial * sp.exp(exponent_of(flowed, variables))
    raise _no_function(what)


def _points(term: GaussianTerm, space: PhaseSpace, what: str) -> Any:
    """The Gaussian has shrunk to a point: its weight times delta functions there."""
    variables = space.variables
    centre = term.form.inv() * term.linear / 2
    whole = integrate_term(term, variables, variables)
    if not term.polynomial.free_symbols.isdisjoint(variables) or any(c.has(sp.I) for c in centre) or whole is None:
        raise _no_function(what)
    return sp.simplify(whole) * sp.Mul(
        *(sp.DiracDelta(v - sp.simplify(c)) for v, c in zip(variables, centre, strict=True))
    )


def _no_function(what: str) -> InputError:
    return InputError(
        f"The {what} does not exist as a function: the Wigner function is narrower in some direction than the "
        "Gaussian it would have to be freed of (so for the P function of squeezed, Fock and cat states), and only a "
        "highly singular distribution is left. Choose an s nearer to that of a smoother function (0 for the Wigner "
        "function, -1 for Q), or the oscillator (mass=, omega=) that fits; where existence depends on parameters, "
        "give them numbers."
    )


def _terms(f: Any, space: PhaseSpace, what: Any) -> list[GaussianTerm]:
    terms = gaussian_terms(f, space.variables)
    if terms is None:
        raise InputError(
            f"The symbol of {what} is not a sum of polynomials times exponentials of quadratic forms, so that its "
            "smoothing has no closed form; expand it, or smooth it numerically."
        )
    return terms


def _present(parts: list[Any], space: PhaseSpace) -> Any:
    result = sp.Add(*parts)
    if result.is_polynomial(*space.variables):
        return sp.expand(result)
    return result if result.has(sp.DiracDelta) else real_gaussians(result, space)


def _parameter(s: Any) -> Any:
    try:
        value = exact_decimals(sp.sympify(s, strict=True))
    except sp.SympifyError:
        value = None
    if isinstance(s, bool) or not isinstance(value, sp.Expr) or value.is_extended_real is False or not value.is_finite:
        if not (isinstance(value, sp.Symbol) and value.is_commutative and value.is_extended_real is not False):
            raise InputError(f"s is {s!r}; give a real number: 1 (P, normal), 0 (W, symmetric), -1 (Q, antinormal).")
    return value


def _lengths(space: PhaseSpace, mass: Any, omega: Any) -> sp.Matrix:
    """The squares of the widths of the oscillator's ground state in x and in p."""
    stiffness = oscillator(space, mass, omega)
    return sp.diag(*(space.hbar / k for k in stiffness), *(space.hbar * k for k in stiffness))

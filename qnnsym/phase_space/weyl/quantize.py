"""Weyl quantisation: the operator, in symmetric ordering, whose Weyl symbol is a given function."""

from __future__ import annotations

from math import comb
from typing import Any

import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.gaussians import gaussian_terms, positive_definite, sign_of
from qnnsym.phase_space.moyal import as_function
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.weyl.operators import to_operators


def weyl_quantize(f: Any, space: PhaseSpace) -> sp.Expr:
    """The operator whose Weyl symbol is f.

    Products of powers of one variable with anything become the symmetric sum of H. Weyl and N. H. McCoy,

        v^k F -> 2^{-k} sum_j C(k, j) V^j F^ V^{k-j},

    functions of one linear form or of commuting variables the same function of the operators, and Gaussians of one
    degree of freedom exponentials of quadratic forms.

    Arguments:
        f: SymPy expression or ring element in the variables of the space.
        space: the phase space.

    Returns:
        An expanded sum of words in `space.X`, `space.P`; `weyl_symbol` takes it back to f.

    Raises:
        InputError: for functions that mix x and p otherwise, and for what is no function on the phase space.

    Source: N. H. McCoy, Proc. Natl. Acad. Sci. 18, 674 (1932).
    """
    expression = as_function(f)
    if not expression.is_commutative:
        raise InputError(
            f"{expression} is an operator already; weyl_quantize takes a function of {space.variables}. weyl_symbol "
            "goes the other way."
        )
    if expression.has(sp.DiracDelta):
        return _deltas(expression, space)
    return sp.expand_mul(sp.Add(*(_term(t, space) for t in _terms(expression, space))))


def _terms(expression: sp.Expr, space: PhaseSpace) -> list[Any]:
    """Terms of the expanded sum, except where an inner sum is a function of commuting variables anyway."""
    if _commute(expression, space):
        return list(sp.Add.make_args(expression))
    return list(sp.Add.make_args(sp.expand(expression, power_exp=False)))


def _term(term: Any, space: PhaseSpace) -> Any:
    """The operator of a product."""
    powers = dict.fromkeys(space.variables, 0)
    rest: Any = sp.Integer(1)
    for factor in sp.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        if base in powers and exponent.is_Integer and exponent > 0:
            powers[base] += int(exponent)
        else:
            rest *= factor
    core = _core(rest, term, space)
    outside = []
    present = rest.free_symbols
    for x, p in zip(space.x, space.p, strict=True):
        if p not in present and (x in present or powers[x] >= powers[p]):
            core, outer = space.operator_of[x] ** powers[x] * core, (p,)
        elif x not in present:
            core, outer = space.operator_of[p] ** powers[p] * core, (x,)
        else:
            outer = (x, p)
        outside += [(v, powers[v]) for v in outer]
    for v, k in outside:
        V = space.operator_of[v]
        core = sp.Add(*(sp.Rational(comb(k, j), 2**k) * V**j * core * V ** (k - j) for j in range(k + 1)))
        core = sp.expand_mul(core)
    return core


def _commute(f: Any, space: PhaseSpace) -> bool:
    return not any({x, p} <= f.free_symbols for x, p in zip(space.x, space.p, strict=True))


def _core(f: Any, term: Any, space: PhaseSpace) -> Any:
    """The operator of what is no power of a variable."""
    variables = space.variables
    if _commute(f, space):
        return to_operators(f, space)
    numbers, dependent = f.as_independent(*variables, as_Add=False)
    # Factors that share no degree of freedom commute; those that do belong together.
    groups: list[tuple[set[int], Any]] = []
    for factor in sp.Mul.make_args(dependent):
        degrees = {i for i, pair in enumerate(zip(space.x, space.p, strict=True)) if factor.has(*pair)}
        joined = [g for g in groups if g[0] & degrees]
        groups = [g for g in groups if not g[0] & degrees]
        groups.append((degrees.union(*(g[0] for g in joined)), sp.Mul(factor, *(g[1] for g in joined))))
    return sp.Mul(numbers, *(_group(g, term, space) for _, g in groups))


def _group(f: Any, term: Any, space: PhaseSpace) -> Any:
    variables = space.variables
    if _commute(f, space):
        return to_operators(f, space)
    if len(f.args) == 1 and _linear(f.args[0], space):
        return f.func(to_operators(sp.expand(f.args[0]), space))
    if f.is_Pow and len(f.base.args) == 1 and _linear(f.base.args[0], space) and not f.exp.has(*variables):
        return f.func(f.base.func(to_operators(sp.expand(f.base.args[0]), space)), f.exp)
    terms = gaussian_terms(f, variables)
    if terms is None or (len(terms) == 1 and not terms[0].polynomial.free_symbols.isdisjoint(variables)):
        raise InputError(
            f"The term {term} mixes x and p in a function that is neither a polynomial in one of them, nor a "
            "function of one linear form, nor a Gaussian; its Weyl quantisation has no closed form here. Expand it "
            "in powers of x or p first."
        )
    if len(terms) == 1 and not terms[0].flat:
        return _gaussian(terms[0], term, space)
    return sp.Add(*(_term(t.polynomial * _exponential(t, space), space) for t in terms))


def _exponential(term: Any, space: PhaseSpace) -> Any:
    z = sp.Matrix(list(space.variables))
    return sp.exp((-(z.T * term.form * z) + term.linear.T * z)[0] + term.constant)


def _linear(f: Any, space: PhaseSpace) -> bool:
    return f.is_polynomial(*space.variables) and sp.Poly(f, *space.variables).total_degree() <= 1


def _gaussian(term: Any, whole: Any, space: PhaseSpace) -> Any:
    """exp(-z.A z) as a multiple of exp of a quadratic form in the operators (|0><0| where hbar sqrt(det A) = 1)."""
    used = [
        i
        for i in range(space.dimension)
        if term.form[i, i] != 0 or term.form[i + space.dimension, i + space.dimension] != 0
    ]
    one = len(used) == 1 and term.linear.is_zero_matrix
    i = used[0] if used else 0
    block = term.form.extract([i, i + space.dimension], [i, i + space.dimension])
    if not one or not positive_definite(block):
        raise InputError(
            f"The term {whole} is not a centred, decaying Gaussian of one degree of freedom; only such Gaussians, and "
            "products of them, have a quantisation in closed form here."
        )
    hbar = space.hbar
    s = sp.simplify(hbar * sp.sqrt(sp.factor(block.det())))
    sign = sign_of(1 - s)
    weight = term.polynomial * sp.exp(term.constant)
    X, P = space.X[i], space.P[i]
    if sign == "zero" and space.dimension == 1 and block[0, 1] == 0:
        return weight * space.ket_bra(0, 0, mass=sp.simplify(block[0, 0] * hbar)) / 2
    if sign in ("zero", "negative"):
        raise InputError(
            f"The term {whole} is narrower than a pure state allows (hbar sqrt(det A) = {s} is not below 1), so that "
            "its operator is no exponential of a quadratic form with real coefficients; write it with space.ket_bra "
            "or the parity."
        )
    u = sp.atanh(s)
    quadratic = block[0, 0] * X**2 + block[1, 1] * P**2 + block[0, 1] * (X * P + P * X)
    return weight / sp.sqrt(1 - s**2) * sp.exp(-u / s * quadratic)


def _deltas(expression: Any, space: PhaseSpace) -> Any:
    parity = sp.Mul(*(sp.DiracDelta(v) for v in space.variables))
    rest = sp.simplify(expression / parity)
    if rest.has(sp.DiracDelta) or not rest.free_symbols.isdisjoint(space.variables):
        raise InputError(
            f"{expression} is a generalised function; of those only a multiple of delta(x) delta(p), the parity, is "
            "quantised."
        )
    return rest / (sp.pi * space.hbar) ** space.dimension * space.parity()

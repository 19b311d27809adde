"""Complete integrals of the Hamilton-Jacobi equation by separation of variables, and what incomplete ones lose.

    J_t + H(q, J_q) = 0,   J = -E(alpha) t + sum_i W_i(q_i; alpha),   beta_a = dJ/dalpha_a

A coordinate separates when H knows (q_i, p_i) only through one function g_i of them (and of constants found before);
g_i = alpha_i then gives p_i, and H goes on without them. What separates after a rotation to the centre of mass does so
as well. J is complete where det J_{alpha q}, Van Vleck's determinant, is not zero.

Source: H. Goldstein, Classical Mechanics (3rd ed., 2002), sections 10.1 to 10.8; J. H. Van Vleck, Proc. Natl.
Acad. Sci. 14 (1928) 178.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
import sympy as sp

from qnnsym.equations.numbers import exact_decimals, exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.trajectories import Trajectories

# Relative size of a singular value that counts, in 40-digit arithmetic at points drawn at random.
RANK_TOLERANCE = 1e-20


@dataclass(frozen=True)
class Separated:
    """One separated coordinate.

    Attributes:
        coordinate: as an expression in the space's positions; momentum: in its momenta.
        symbol, conjugate: its own Symbols.
        constant: alpha.  invariant: the function of (symbol, conjugate, earlier constants) that equals it.
        momentum_squared: p^2 from it, or None where p is given directly.  solution: p itself (the root taken positive).
    """

    coordinate: sp.Expr
    momentum: sp.Expr
    symbol: sp.Symbol
    conjugate: sp.Symbol
    constant: sp.Symbol
    invariant: sp.Expr
    momentum_squared: sp.Expr | None
    solution: sp.Expr


@dataclass(frozen=True)
class CompleteIntegral:
    """An integral of the Hamilton-Jacobi equation; made by `complete_integral`.

    Attributes:
        J: SymPy expression in the positions, t, the constants and the parameters; integrals that have no table stay
            written as integrals.
        constants: those J still has.
        hessian: J_{alpha q}, a row per constant, a column per position.
        lost: constants whose conjugate beta cannot be had: fixed ones, and those on which J does not depend freely.
        fixed: {constant: value}.
        energy: E(alpha), or None where J was given with its own time dependence.
    """

    J: sp.Expr
    hamiltonian: sp.Expr
    space: PhaseSpace
    constants: tuple[sp.Symbol, ...]
    fixed: Mapping[sp.Symbol, sp.Expr]
    energy: sp.Expr | None
    parts: tuple[Separated, ...] = ()

    @cached_property
    def slopes(self) -> tuple[sp.Expr, ...]:
        """J_q, by the separated momenta where there are some: their integrals need not be differentiated."""
        if not self.parts:
            return tuple(sp.diff(self.J, q) for q in self.space.x)
        momenta = [
            (part.solution.subs(dict(self.fixed)).subs(part.symbol, part.coordinate), part) for part in self.parts
        ]
        return tuple(sp.Add(*(p * sp.diff(part.coordinate, q) for p, part in momenta)) for q in self.space.x)

    @cached_property
    def hessian(self) -> sp.Matrix:
        rows = [[sp.simplify(sp.diff(slope, a)) for slope in self.slopes] for a in self.constants]
        return sp.Matrix(len(self.constants), self.space.dimension, [e for row in rows for e in row])

    @cached_property
    def determinant(self) -> sp.Expr:
        """det J_{alpha q}; zero where constants were fixed, because there is no volume of trajectories then."""
        if self.hessian.rows != self.hessian.cols:
            return sp.S.Zero
        return sp.simplify(self.hessian.det())

    @cached_property
    def rank(self) -> int:
        """Generic rank of J_{alpha q}: the largest at points drawn at random."""
        return _generic_rank(self.hessian)

    @property
    def complete(self) -> bool:
        return self.rank == self.space.dimension

    @cached_property
    def lost(self) -> tuple[sp.Symbol, ...]:
        found, rows = list(self.fixed), []
        for n, constant in enumerate(self.constants):
            if _generic_rank(self.hessian[[*rows, n], :]) == len(rows) + 1:
                rows.append(n)
            else:
                found.append(constant)
        return tuple(found)

    @property
    def betas(self) -> dict[sp.Symbol, sp.Expr]:
        """{beta_a: dJ/dalpha_a}: setting them constant gives the trajectories."""
        return {sp.Symbol(_beta(a.name), real=True): sp.diff(self.J, a) for a in self.constants if a not in self.lost}

    @cached_property
    def trajectories(self) -> Trajectories:
        """Trajectories from beta = dJ/dalpha: called with (q0, p0, times, values), it gives (times, n) positions."""
        return Trajectories(self)

    def residual(self, amplitude: Any = 1) -> sp.Expr:
        """(i hbar d/dt - H^) psi / psi for psi = amplitude exp(iJ/hbar), H = p.A.p/2 + U with a constant matrix A.

        For amplitude 1 it is (i hbar/2) sum A_ij J_{q_i q_j}; the square root of |det J_{alpha q}| leaves the quantum
        potential of the amplitude alone.

        Raises:
            InputError: for H that is not of this form.
        """
        space, hbar = self.space, self.space.hbar
        matrix, potential = _kinetic(self.hamiltonian, space)
        amplitude = sp.sympify(amplitude)
        i = sp.I

        slopes = self.slopes
        clock = sp.diff(self.J, space.t) if self.energy is None else -self.energy

        def along(f: sp.Expr, n: int) -> sp.Expr:
            """The derivative of f exp(iJ/hbar) by the n-th position, over the exponential."""
            return sp.diff(f, space.x[n]) + i / hbar * slopes[n] * f

        applied = i * hbar * sp.diff(amplitude, space.t) - clock * amplitude
        for a in range(space.dimension):
            for b in range(space.dimension):
                if matrix[a, b] != 0:
                    applied += hbar**2 / 2 * matrix[a, b] * along(along(amplitude, b), a)
        return sp.simplify(sp.expand((applied - potential * amplitude) / amplitude))

    def __str__(self) -> str:
        lost = f"; lost: {', '.join(_beta(a.name) for a in self.lost)}" if self.lost else ""
        return f"J = {self.J} (rank {self.rank} of {self.space.dimension}{lost})"


def complete_integral(
    hamiltonian: Any, space: PhaseSpace, J: Any = None, constants: Any = None, fixed: Any = None
) -> CompleteIntegral:
    """A complete integral of J_t + H(q, J_q, t) = 0, found by separation, or a given J examined.

    Arguments:
        hamiltonian: SymPy expression in space.x, space.p (and space.t with a given J); further symbols are parameters.
        space: the phase space.
        J: an integral to be examined; without time it is taken for J + E t at energy E.
        constants: Symbols of the constants, one per position; for a given J those that are not parameters.
        fixed: {constant: value}: the integral that remains when these are not free.

    Returns:
        CompleteIntegral.

    Raises:
        InputError: where no separation is found, or a given J does not solve the equation.
    """
    if not isinstance(space, PhaseSpace):
        raise InputError(f"The space is {space!r}; give a PhaseSpace.")
    h = sp.sympify(hamiltonian)
    if not isinstance(h, sp.Expr) or h.has(sp.nan, sp.zoo, sp.oo):
        raise InputError(f"The Hamiltonian is {hamiltonian!r}; give a SymPy expression in {space!r}.")
    h = exact_decimals(h)
    given = _constants(constants, space)
    if J is not None:
        result = _examined(h, space, J, given)
    else:
        if h.has(space.t):
            raise InputError("The Hamiltonian depends on time, and separation needs E to be conserved; give J=... .")
        result = _separated(h, space, given)
    values = dict(fixed or {})
    strange = [str(a) for a in values if a not in result.constants]
    if strange:
        raise InputError(
            f"fixed names {', '.join(strange)}, and the constants are {', '.join(map(str, result.constants))}; use "
            "these."
        )
    if not values:
        return result
    point = {a: exact_number(v, f"The constant {a}") for a, v in values.items()}
    return CompleteIntegral(
        result.J.subs(point), h, space, tuple(a for a in result.constants if a not in point), point,
        None if result.energy is None else result.energy.subs(point), result.parts,
    )  # fmt: skip


def _constants(given: Any, space: PhaseSpace) -> tuple[sp.Symbol, ...] | None:
    if given is None:
        return None
    symbols = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    if not all(isinstance(s, sp.Symbol) for s in symbols) or len(set(symbols)) != len(symbols):
        raise InputError(f"The constants are {given!r}; give different Symbols.")
    if set(symbols) & {*space.x, *space.p, space.t}:
        raise InputError(f"The constants {', '.join(map(str, symbols))} contain a variable of the space; rename them.")
    return symbols


def _examined(h: sp.Expr, space: PhaseSpace, given: Any, constants: tuple[sp.Symbol, ...] | None) -> CompleteIntegral:
    j = exact_decimals(sp.sympify(given))
    if not isinstance(j, sp.Expr) or j.has(*space.p):
        raise InputError(f"J is {given!r}; give an expression in the positions, t and the constants.")
    if constants is None:
        known = {*space.x, space.t, space.hbar, *h.free_symbols, *space.defaults}
        constants = tuple(sorted(j.free_symbols - known, key=lambda s: s.name))
    momenta = {p: sp.diff(j, x) for x, p in zip(space.x, space.p, strict=True)}
    rest = sp.simplify(sp.diff(j, space.t) + h.subs(momenta, simultaneous=True))
    energy = None
    if rest != 0 and not j.has(space.t) and not rest.has(*space.x, space.t):
        energy, j, rest = rest, j - rest * space.t, sp.S.Zero
    if rest != 0 and not _vanishes(rest):
        raise InputError(f"J does not solve J_t + H(q, J_q) = 0: the left side is {rest}. Mend J or H.")
    return CompleteIntegral(j, h, space, constants, {}, energy)


def _vanishes(e: sp.Expr) -> bool:
    """Zero in 40-digit arithmetic at a few random points (where simplification does not see it)."""
    symbols = sorted(e.free_symbols, key=lambda s: s.name)
    with mpmath.workdps(40):
        function = sp.lambdify(symbols, e, "mpmath")
        for n in range(3):
            value = function(*_point(len(symbols), n))
            if not abs(value) < mpmath.mpf(10) ** -25:
                return False
    return True


def _point(count: int, number: int) -> list[Any]:
    """Numbers between 0.4 and 1.4 in no relation to each other."""
    return [mpmath.mpf(2) / 5 + mpmath.frac(mpmath.sqrt(2 + 3 * number + 7 * k) * (k + 2)) for k in range(count)]


def _generic_rank(matrix: sp.Matrix) -> int:
    if not matrix.rows:
        return 0
    symbols = sorted(matrix.free_symbols, key=lambda s: s.name)
    best = 0
    with mpmath.workdps(40):
        function = sp.lambdify(symbols, matrix, "mpmath")
        for n in range(3):
            values = mpmath.svd_c(mpmath.matrix(function(*_point(len(symbols), n))), compute_uv=False)
            top = max(values)
            best = max(best, sum(1 for v in values if top > 0 and v > RANK_TOLERANCE * top))
    return best


# separation ----------------------------------------------------------------------------------------------------------
def _separated(h: sp.Expr, space: PhaseSpace, constants: tuple[sp.Symbol, ...] | None) -> CompleteIntegral:
    if constants is not None and len(constants) != space.dimension:
        raise InputError(f"{len(constants)} constants were given for {space.dimension} positions; give one for each.")
    alphas = constants or _alphas(h, space)
    for coordinates, momenta, symbols, conjugates, transformed in _frames(h, space):
        found = _ladder(transformed, coordinates, momenta, symbols, conjugates, alphas)
        if found is not None:
            parts, energy = found
            j = -energy * space.t
            for part in parts:
                j += _action(part)
            return CompleteIntegral(j, h, space, alphas, {}, energy, tuple(parts))
    raise InputError(
        f"No separation of H = {h} was found in the coordinates {', '.join(map(str, space.x))} (nor in a centre of "
        "mass); "
        "write H in coordinates that separate (polar, parabolic, ...), or give J=... to have it examined."
    )


def _alphas(h: sp.Expr, space: PhaseSpace) -> tuple[sp.Symbol, ...]:
    taken = {s.name for s in h.free_symbols}
    stem = "alpha"
    while any(name.startswith(stem) for name in taken):
        stem += "_"
    names = [stem] if space.dimension == 1 else [f"{stem}_{n + 1}" for n in range(space.dimension)]
    return tuple(sp.Symbol(n, real=True) for n in names)


def _frames(h: sp.Expr, space: PhaseSpace):
    """(coordinates, momenta, symbols, conjugates, H in them): as given, then along a direction that H does not know."""
    x, p = space.x, space.p
    yield x, p, x, p, h
    n = space.dimension
    try:
        matrix, _ = _kinetic(h, space)
    except InputError:
        return
    slopes = [sp.diff(h, q) for q in x]
    # Directions v with v.grad U = 0: null vectors of the slopes at random points.
    rows = sp.Matrix(
        [[s.subs(dict(zip((*x, *p), _rationals(2 * n, k), strict=True))) for s in slopes] for k in range(n + 2)]
    )
    for v in rows.nullspace():
        v = v / next(e for e in v if e != 0)
        if sp.simplify(sum(a * b for a, b in zip(v, slopes, strict=True))) != 0:
            continue
        # Columns: v, then directions orthogonal to it in the metric of the kinetic energy.
        inverse = matrix.inv()
        others = (v.T * inverse).nullspace()
        frame = sp.Matrix.hstack(v, *[o / next(e for e in o if e != 0) for o in others])
        symbols = tuple(sp.Symbol(f"Q_{k}", real=True) for k in range(n))
        conjugates = tuple(sp.Symbol(f"P_{k}", real=True) for k in range(n))
        back = frame.inv()
        positions, momenta = frame * sp.Matrix(symbols), back.T * sp.Matrix(conjugates)
        rule = dict(zip((*x, *p), (*positions, *momenta), strict=True))
        transformed = sp.simplify(sp.expand(h.subs(rule, simultaneous=True)))
        yield tuple(back * sp.Matrix(x)), tuple(frame.T * sp.Matrix(p)), symbols, conjugates, transformed


def _rationals(count: int, number: int) -> list[sp.Rational]:
    return [sp.Rational((7 * k + 11 * number + 3 + k * k * number) % 23 + 1, 17) for k in range(count)]


def _ladder(
    h: sp.Expr, coordinates: Sequence[sp.Expr], momenta: Sequence[sp.Expr], symbols: Sequence[sp.Symbol],
    conjugates: Sequence[sp.Symbol], alphas: Sequence[sp.Symbol],
) -> tuple[list[Separated], sp.Expr] | None:  # fmt: skip
    """The separated coordinates in the order in which they separate, and E; None where one is left that does not."""
    left, found, current = list(range(len(symbols))), [], sp.expand(h)
    while left:
        for i in left:
            others = {s for k in left if k != i for s in (symbols[k], conjugates[k])}
            split = _invariant(current, symbols[i], conjugates[i], others)
            if split is None:
                continue
            invariant, reduced = split
            roots = _momentum(invariant, conjugates[i], alphas[i])
            if roots is None:
                return None
            found.append(Separated(coordinates[i], momenta[i], symbols[i], conjugates[i], alphas[i], invariant, *roots))
            current = sp.expand(reduced(alphas[i]))
            left.remove(i)
            break
        else:
            return None
    return found, current


def _invariant(h: sp.Expr, q: sp.Symbol, p: sp.Symbol, others: set[sp.Symbol]):
    """(g, function of alpha giving H with g replaced) where H knows (q, p) only through g; None where it does not."""
    if not h.has(q):
        return p, lambda alpha: h.subs(p, alpha)
    terms = sp.Add.make_args(h)
    mine = [t for t in terms if t.has(q, p)]
    rest = sp.Add(*(t for t in terms if not t.has(q, p)))
    factors = []
    for term in mine:
        shared, own = sp.Mul(*[f for f in sp.Mul.make_args(term) if f.has(*others)]) if others else sp.S.One, term
        own = sp.cancel(term / shared) if shared != 1 else term
        if shared.has(q, p) or (others and own.has(*others)):
            return None
        factors.append((shared, own))
    if len({f for f, _ in factors}) != 1:
        return None
    shared = factors[0][0]
    invariant = sp.Add(*(own for _, own in factors))
    if shared == 1:
        return invariant, lambda alpha: rest + alpha
    # Beside a function of other coordinates the scale is free: the square of the momentum gets the coefficient one.
    scale = sp.Poly(invariant, p).coeff_monomial(p**2) if invariant.is_polynomial(p) else sp.S.One
    scale = scale if scale != 0 and not scale.has(q, p) else sp.S.One
    return sp.expand(invariant / scale), lambda alpha: rest + shared * scale * alpha


def _momentum(invariant: sp.Expr, p: sp.Symbol, alpha: sp.Symbol) -> tuple[sp.Expr | None, sp.Expr] | None:
    """(p^2 or None, p) from invariant = alpha."""
    if invariant == p:
        return None, alpha
    if not invariant.has(p):
        return None
    square = sp.Dummy("square")
    if invariant.is_polynomial(p):
        polynomial = sp.Poly(invariant - alpha, p)
        if polynomial.degree() == 1:
            a, b = polynomial.all_coeffs()
            return None, sp.simplify(-b / a)
        if polynomial.degree() == 2 and polynomial.coeff_monomial(p) == 0:
            squared = sp.expand(sp.simplify(-polynomial.coeff_monomial(1) / polynomial.coeff_monomial(p**2)))
            return squared, sp.sqrt(squared)
    even = invariant.subs(p, sp.sqrt(square))
    if not sp.simplify(invariant.subs(p, -p) - invariant) == 0:
        return None
    roots = sp.solve(sp.simplify(even) - alpha, square)
    return (roots[0], sp.sqrt(roots[0])) if len(roots) == 1 else None


def _action(part: Separated) -> sp.Expr:
    """W = int p dq, in closed form where a table has it."""
    s = part.symbol
    if not part.solution.has(s):
        return part.solution * part.coordinate
    closed = _table(part.solution, s)
    if closed is not None:
        return closed.subs(s, part.coordinate)
    if part.coordinate == s:
        return sp.Integral(part.solution, s)
    dummy = sp.Symbol(f"{s.name}'", real=True)
    return sp.Integral(part.solution.subs(s, dummy), (dummy, 0, part.coordinate))


def _table(p: sp.Expr, s: sp.Symbol) -> sp.Expr | None:
    """int sqrt(a + b s + c s^2) ds for the harmonic oscillator and the uniform field."""
    square = sp.expand(p**2)
    if not square.is_polynomial(s) or sp.Poly(square, s).degree() > 2:
        return None
    a, b, c = (sp.Poly(square, s).coeff_monomial(s**n) for n in range(3))
    root = sp.sqrt(square)
    if c == 0:
        return sp.Rational(2, 3) * root**3 / b
    if not (-c).is_positive:
        return None
    u = s + b / (2 * c)
    top = a - b**2 / (4 * c)
    return u * root / 2 + top / (2 * sp.sqrt(-c)) * sp.asin(u * sp.sqrt(-c / top))


def _kinetic(h: sp.Expr, space: PhaseSpace) -> tuple[sp.Matrix, sp.Expr]:
    """(A, U) of H = p.A.p/2 + U(q) with a constant matrix A."""
    matrix = sp.hessian(sp.expand(h), space.p)
    potential = h.subs(dict.fromkeys(space.p, 0))
    form = sp.expand(h - potential - (sp.Matrix(space.p).T * matrix * sp.Matrix(space.p))[0] / 2)
    if matrix.has(*space.x, *space.p) or sp.simplify(form) != 0:
        raise InputError(
            f"H = {h} is not p.A.p/2 + U(q) with a constant A; write the wave equation in such coordinates."
        )
    return matrix, potential


def _beta(name: str) -> str:
    return name.replace("alpha", "beta") if "alpha" in name else f"beta_{name}"
